"""Facts into state, where it takes more than writing them down: what is shown where."""

from __future__ import annotations

import json
from typing import Any

from proxy.record.folding import Folding
from proxy.record.notebook import as_notebook_outputs
from proxy.session import facts
from tests.record import facts as f

OUTPUT: dict[str, Any] = {"_model_name": "OutputModel", "msg_id": "", "outputs": []}


def with_a_widget(*happened: facts.Fact) -> Folding:
    """A cell that runs, and an Output widget."""
    folding = f.new_folding()
    for fact in (f.queued("1", "a"), f.sent("a"), f.opens("out", OUTPUT), *happened):
        folding.take(fact)
    folding.settle()
    return folding


def captured(folding: Folding) -> list[Any]:
    """What the widget shows, in short."""
    fields = folding.record.comms["out"].fields
    assert fields is not None
    value = fields["outputs"].value
    assert value is not None
    return [_short(output) for output in json.loads(bytes(value))]


def shown(folding: Folding) -> list[Any]:
    """What the first cell shows, in short."""
    (first, *_) = folding.record.executions.values()
    return [_short(output) for output in as_notebook_outputs(first.outputs.items)]


def _short(output: dict[str, Any]) -> Any:
    return output.get("text") or output.get("data", {}).get("text/plain")


def hooks(msg_id: str) -> facts.CommChanged:
    return f.changes("out", {"msg_id": msg_id})


def shows(text: str, parent: str, display_id: str | None = None) -> facts.Published:
    return f.shows({"text/plain": text}, parent, display_id)


def test_a_widget_takes_what_is_shown_between_two_messages() -> None:
    folding = with_a_widget(
        f.prints("before\n", "a"),
        hooks("a"),
        f.prints("one\n", "a"),
        f.prints("two\n", "a"),
        shows("shown", "a"),
        hooks(""),
        f.prints("after\n", "a"),
    )
    assert captured(folding) == ["one\ntwo\n", "shown"]
    assert shown(folding) == ["before\nafter\n"]


def test_a_widget_goes_on_with_what_a_frontend_made_of_it() -> None:
    """A frontend sends the kernel the list, and the kernel repeats it."""
    folding = with_a_widget(hooks("a"), f.prints("one\n", "a"), hooks(""))
    listed = [{"name": "stdout", "output_type": "stream", "text": "one\n"}]
    for fact in (
        f.changes("out", {"outputs": listed}),
        hooks("a"),
        f.prints("two\n", "a"),
        shows("shown", "a"),
    ):
        folding.take(fact)
    folding.settle()
    assert captured(folding) == ["one\ntwo\n", "shown"]
    for fact in (f.changes("out", {"outputs": listed}), f.prints("three\n", "a")):
        folding.take(fact)
    folding.settle()
    assert captured(folding) == ["one\nthree\n"]


def test_a_widget_goes_on_with_what_the_kernel_put_into_it() -> None:
    everything = [
        {"output_type": "display_data", "data": {"text/plain": "put"}, "metadata": {"m": 1}},
        {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": 3},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
        {"output_type": "nobody knows it"},
    ]
    put = f.changes("out", {"outputs": everything})
    folding = with_a_widget(put, hooks("a"), shows("shown", "a"))
    fields = folding.record.comms["out"].fields
    assert fields is not None
    value = fields["outputs"].value
    assert value is not None
    assert json.loads(bytes(value))[:3] == everything[:3]
    assert captured(folding)[-1] == "shown"


def test_a_clear_that_waits_outlives_the_list_that_is_repeated() -> None:
    folding = with_a_widget(
        hooks("a"), f.prints("one\n", "a"), f.says("clear_output", "a", wait=True), hooks("")
    )
    listed = [{"output_type": "stream", "name": "stdout", "text": "one\n"}]
    for fact in (
        f.changes("out", {"outputs": listed}),
        hooks("a"),
        f.prints("two\n", "a"),
    ):
        folding.take(fact)
    folding.settle()
    assert captured(folding) == ["two\n"]


def test_what_is_no_list_of_outputs_is_begun_anew() -> None:
    put = f.changes("out", {"outputs": {"no": "list"}})
    assert captured(with_a_widget(put, hooks("a"), shows("shown", "a"))) == ["shown"]


def test_the_inner_of_two_widgets_takes_it() -> None:
    folding = with_a_widget(f.opens("inner", OUTPUT), hooks("a"), f.prints("outer\n", "a"))
    for fact in (
        f.changes("inner", {"msg_id": "a"}),
        f.prints("inner\n", "a"),
        f.changes("inner", {"msg_id": ""}),
        f.prints("outer again\n", "a"),
    ):
        folding.take(fact)
    folding.settle()
    assert captured(folding) == ["outer\nouter again\n"]


def test_a_display_in_a_widget_changes_those_of_its_id_in_cells() -> None:
    """But what is in the widget is not changed by one that comes later (as in nbclient)."""
    folding = with_a_widget(
        shows("first", "a", "d"), hooks("a"), shows("second", "a", "d"), hooks("")
    )
    assert (shown(folding), captured(folding)) == (["second"], ["second"])
    update = {"data": {"text/plain": "third"}, "metadata": {}}
    folding.take(f.says("update_display_data", "a", transient={"display_id": "d"}, **update))
    folding.settle()
    assert (shown(folding), captured(folding)) == (["third"], ["second"])


def test_a_display_of_one_cell_is_changed_by_another() -> None:
    folding = with_a_widget(shows("first", "a", "d"), f.ended("a"), f.queued("2", "b"))
    folding.take(shows("second", "b", "d"))
    assert shown(folding) == ["second"]
    folding.take(f.says("clear_output", "a"))
    folding.take(shows("third", "b", "d"))
    assert shown(folding) == []


def test_large_json_that_is_shown_becomes_a_blob() -> None:
    shown_data = {"list": list(range(100))}
    folding, store = with_a_widget(), f.Store()
    folding.take(f.shows({"application/json": shown_data}, "a"))
    store.put(folding.settle())
    assert json.dumps(shown_data).encode() in store.blobs.values()
