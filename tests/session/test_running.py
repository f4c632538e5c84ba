"""What a cell that runs has shown so far."""

from __future__ import annotations

import pytest

from proxy.message import Message, MsgId
from proxy.session import running as module
from proxy.session.running import Running
from tests.messages import cell, message, published, stream


def begun(running: Running) -> Message:
    """A cell begins."""
    asked = cell()
    running.published(published("execute_input", asked, code="1", execution_count=1))
    return asked


def shown(running: Running) -> list[str]:
    """The cells' code and the texts that were printed, in the order of a replay."""
    contents = [m.content() for m in running.so_far()]
    return [str(content.get("code", content.get("text"))) for content in contents]


def test_a_newcomer_is_shown_input_and_outputs_in_order_until_the_cell_is_done() -> None:
    running = Running()
    asked = begun(running)
    for text in "abc":
        running.published(stream(text, asked))
    assert shown(running) == ["1", "a", "b", "c"]
    running.idled(asked.msg_id)
    assert shown(running) == []


def test_cells_on_two_shells_run_at_once() -> None:
    running = Running()
    first, second = begun(running), begun(running)
    running.published(stream("b", second))
    running.published(stream("a", first))
    assert shown(running) == ["1", "a", "1", "b"]
    running.idled(first.msg_id)
    assert shown(running) == ["1", "b"]


@pytest.mark.parametrize("wait", [False, True])
def test_clear_output_clears_at_once_or_with_the_next_output(wait: bool) -> None:
    running = Running()
    asked = begun(running)
    running.published(stream("old", asked))
    running.published(published("clear_output", asked, wait=wait))
    assert shown(running) == (["1", "old", "None"] if wait else ["1"]), "one that waits is replayed"
    running.published(stream("new", asked))
    running.published(stream("newer", asked))
    assert shown(running) == ["1", "new", "newer"]


def test_output_that_is_no_running_cells_is_not_kept() -> None:
    running = Running()
    begun(running)
    running.published(stream("a thread's", cell()))
    running.published(stream("a warning", None))
    assert shown(running) == ["1"]


def test_of_a_flood_the_latest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 20_000)
    running = Running()
    asked = begun(running)
    for number in range(100):
        running.published(stream(str(number), asked))
    texts = shown(running)
    assert texts[0] == "1"
    assert texts[-1] == "99"
    assert 10 < len(texts) < 30
    running.published(message("display_data", {"text": "x" * 30_000}, parent=asked))
    assert shown(running) == ["1", "x" * 30_000], "however large, the last one is there"


def test_cells_whose_idle_was_lost_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 3)
    running = Running()
    for _ in range(10):
        begun(running)
    assert len(running) == 3
    running.clear()
    running.idled(MsgId("unknown"))
    assert len(running) == 0
