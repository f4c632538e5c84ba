"""The latest cells in short: what is seen of them, and that it is bounded."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from proxy.errors import StoreError
from proxy.record import glimpse
from proxy.record.glimpse import CODE_CHARACTERS, MAX_OUTPUTS, TAIL_CHARACTERS, ShownCell
from proxy.record.values import Large
from proxy.session import facts
from tests.record import facts as f
from tests.record.recorded import Recorded

PICTURE = b"\x89PNG" + bytes(100)
BASE64 = base64.b64encode(PICTURE).decode()


class Values:
    """Where large values are, in memory."""

    def __init__(self, recorded: Recorded) -> None:
        self._blobs = recorded.blobs

    def fetch(self, large: Large) -> bytes:
        return self._blobs.get(large.sha256)

    def tail(self, large: Large, count: int) -> bytes:
        return self.fetch(large)[-count:]


def cell(*shown: facts.Published, code: str = "x", msg_id: str = "a") -> list[facts.Fact]:
    return [f.queued(code, msg_id), f.sent(msg_id), *shown, f.ended(msg_id)]


def seen(recorded: Recorded, cells: int = 3) -> list[ShownCell]:
    sketches = glimpse.sketch(recorded.folding.record, cells)
    return glimpse.draw(sketches, Values(recorded))


def shown(*published: facts.Published) -> list[dict[str, Any]]:
    """What is seen of one cell's outputs, as JSON has it."""
    (one,) = seen(Recorded(*cell(*published)))
    return [msgspec.to_builtins(output) for output in one.outputs]


def display(**data: Any) -> facts.Published:
    return f.says("display_data", "a", data=data, metadata={})


def stream(text: str, name: str = "stdout") -> facts.Published:
    return f.says("stream", "a", name=name, text=text)


def test_a_cell_that_runs_and_one_that_ran() -> None:
    recorded = Recorded(*cell(stream("hello\n")), f.queued("y", "b"), f.sent("b", at=9.0))
    ran, runs = seen(recorded)
    assert (ran.code, ran.state, ran.end) == ("x", "complete", "ok")
    assert (ran.started, ran.completed) == ("1970-01-01T00:00:03Z", "1970-01-01T00:00:04Z")
    assert [output.text for output in ran.outputs] == ["hello\n"]
    assert (runs.code, runs.state, runs.completed) == ("y", "executing", None)
    assert ran.key != runs.key


def test_only_the_latest_that_began_in_the_order_in_which_they_did() -> None:
    recorded = Recorded()
    for number in range(10):
        recorded.take(f.queued(f"cell {number}", str(number)))
    for number, at in ((0, 1.0), (2, 2.0), (1, 3.0), (3, 4.0)):  # clients take turns
        recorded.take(f.sent(str(number), at=at), f.ended(str(number)))
    recorded.take(f.ended("9", "aborted"))
    assert [each.code for each in seen(recorded)] == ["cell 2", "cell 1", "cell 3"]


def test_of_what_was_printed_there_is_the_end() -> None:
    lines = [f"line {number}\n" for number in range(10_000)]
    recorded = Recorded(*cell(*(stream(line) for line in lines[:5000])))
    recorded.take(*(stream(line) for line in lines[5000:]))
    ((output,),) = (each.outputs for each in seen(recorded))
    assert output.text == "".join(lines)[-TAIL_CHARACTERS:]
    assert output.is_cut


def test_what_is_not_folded_into_the_record_yet_is_seen() -> None:
    recorded = Recorded(*cell(stream("a" * 50), stream("b" * 50)))
    recorded.folding.take(stream("c"))
    ((output,),) = (each.outputs for each in seen(recorded))
    assert output.text == "a" * 50 + "b" * 50 + "c"
    assert not output.is_cut


def test_bytes_that_are_cut_in_the_middle_of_a_character() -> None:
    (output,) = shown(stream("ü" * 5000))
    assert set(output["text"]) == {"ü"}
    assert output["is_cut"]


def test_a_picture_is_told_by_its_name_and_what_it_is() -> None:
    (output,) = shown(display(**{"image/png": BASE64, "text/plain": "<Figure>"}))
    assert output == {
        "kind": "picture",
        "text": "<Figure>",
        "media_type": "image/png",
        "blob": output["blob"],
        "bytes": len(PICTURE),
    }
    assert len(output["blob"]) == 64


def test_a_picture_that_has_no_name_yet_is_not_seen_yet() -> None:
    recorded = Recorded(*cell())
    recorded.folding.take(display(**{"image/png": BASE64}))
    assert seen(recorded)[0].outputs[0].kind == "other"


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<script>alert(1)</script>"},
        {"image/svg+xml": "<svg onload='alert(1)'/>"},
        {"application/javascript": "alert(1)"},
        {"image/png": "this is no picture"},
    ],
)
def test_what_runs_or_is_not_what_it_says_is_only_named(data: dict[str, str]) -> None:
    ((media_type, text),) = data.items()
    (output,) = shown(display(**data))
    assert output == {"kind": "other", "media_type": media_type, "bytes": len(text)}


def test_plain_text_is_what_is_seen_of_the_rest() -> None:
    html = {"text/html": "<b>2</b>", "text/plain": "2"}
    result = f.says("execute_result", "a", data=html, metadata={}, execution_count=1)
    assert shown(result) == [{"kind": "text", "text": "2"}]
    assert shown(display(**{"text/plain": {"not": "text"}})) == [
        {"kind": "text", "text": '{"not": "text"}'}
    ]
    assert shown(display()) == [{"kind": "other"}]


@pytest.mark.parametrize("lines", [["Traceback", "E: no"], ["Traceback", "E: no" + "!" * 5000]])
def test_an_error_is_its_traceback(lines: list[str]) -> None:
    (output,) = shown(f.says("error", "a", ename="E", evalue="no", traceback=lines))
    assert output["kind"] == "error"
    assert output["text"] == "\n".join(lines)[-TAIL_CHARACTERS:]
    assert shown(f.says("error", "a", ename="E", evalue="no", traceback=[]))[0]["text"] == "E: no"


def test_a_progress_bar_between_printed_lines_is_seen_once() -> None:
    turns = [(stream(f"line {n}\n"), stream(f"\r{n} %", "stderr")) for n in range(100)]
    recorded = Recorded(*cell(display(), *(each for turn in turns for each in turn)))
    recorded.take(display(**{"text/plain": "done"}))
    (one,) = seen(recorded)
    first, out, err, last = one.outputs
    assert (first.kind, last.text) == ("other", "done")
    assert out.text == "".join(f"line {n}\n" for n in range(100))
    assert err.text == "".join(f"\r{n} %" for n in range(100))
    assert (out.name, err.name, one.earlier) == ("stdout", "stderr", 0)


def test_all_is_bounded() -> None:
    numbers = [f"{n}" for n in range(40)]
    outputs = [each for n in numbers for each in (display(**{"text/plain": n * 10_000}), stream(n))]
    (one,) = seen(Recorded(*cell(*outputs, code="y" * 100_000)))
    assert len(one.outputs) == MAX_OUTPUTS
    assert one.earlier == len(outputs) - MAX_OUTPUTS
    assert [output.text[0] for output in one.outputs] == ["3"] * MAX_OUTPUTS
    assert (len(one.code), one.is_cut) == (CODE_CHARACTERS, True)
    assert len(msgspec.json.encode(one)) < MAX_OUTPUTS * TAIL_CHARACTERS + 4000


def test_what_is_lost_is_left_out() -> None:
    class Lost:
        def fetch(self, large: Large) -> bytes:
            raise StoreError("it is lost")

        def tail(self, large: Large, count: int) -> bytes:
            raise StoreError("it is lost")

    recorded = Recorded(*cell(stream("x" * 5000), code="y" * 5000))
    sketches = glimpse.sketch(recorded.folding.record, 1)
    assert glimpse.is_on_disk(sketches)
    (one,) = glimpse.draw(sketches, Lost())
    assert (one.code, one.outputs[0].text) == ("", "")


def test_what_is_small_needs_no_disk() -> None:
    recorded = Recorded(*cell(stream("hello"), display(**{"image/png": BASE64})))
    assert not glimpse.is_on_disk(glimpse.sketch(recorded.folding.record, 3))
