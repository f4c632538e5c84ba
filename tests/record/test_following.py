"""What is new of a cell since it was last looked at, whatever pieces the record is in by then."""

from __future__ import annotations

from typing import Any

from proxy.record.following import Cleared, Follower, News, Text
from proxy.record.loading import WholeRecord
from proxy.record.outputs import merge
from proxy.record.reading import read_record
from proxy.record.state import Display, Error, Stream
from proxy.session import facts
from tests.record import facts as f
from tests.record.recorded import Recorded
from tests.record.test_projection import wanted


class Watched:
    """A cell whose record is read again each time."""

    def __init__(self) -> None:
        self.recorded = Recorded(f.queued("1", "a"), f.sent("a"))
        self.follower = Follower(self.whole().fetch)
        self.follower.news(self.execution())

    def whole(self) -> WholeRecord:
        return self.recorded.whole

    def execution(self) -> Any:
        record = self.recorded.folding.record
        blobs = self.recorded.blobs
        read, _ = read_record(wanted(record), blobs.get)
        return next(iter(read.executions.values()))

    def when(self, *happened: facts.Fact) -> list[News]:
        self.recorded.take(*happened)
        return self.follower.news(self.execution())


def texts(news: list[News]) -> list[str]:
    """What would be on the screen, in short."""
    return ["<cleared>" if isinstance(each, Cleared) else _text(each) for each in news]


def _text(each: News) -> str:
    match each:
        case Text():
            return each.text
        case Display():
            return str(each.data["text/plain"])
        case Error():
            return each.ename
    return "?"


def shows(text: str, display_id: str | None = None) -> facts.Published:
    return f.shows({"text/plain": text}, "a", display_id)


def test_a_stream_is_told_once_as_it_grows() -> None:
    watched = Watched()
    assert texts(watched.when(f.prints("one\n", "a"))) == ["one\n"]
    assert texts(watched.when()) == []
    assert texts(watched.when(f.prints("é☃", "a"), f.prints("\n", "a"))) == ["é☃\n"]
    long = "long " * 100 + "\n"
    assert texts(watched.when(f.prints(long, "a"))) == [long]
    assert texts(watched.when(f.prints("end", "a"))) == ["end"]


def test_a_stream_in_other_pieces_is_the_same_one() -> None:
    watched = Watched()
    for n in range(50):
        watched.when(f.prints(f"{n} é\n" * 10, "a"))
    (execution,) = watched.recorded.folding.record.executions.values()
    (stream,) = execution.outputs.items
    assert isinstance(stream, Stream)
    stream.chunks = merge(stream.chunks, watched.recorded.blobs.get, 1000)
    for chunk in stream.chunks:
        if not isinstance(chunk, str) and not chunk.sha256:
            watched.recorded.blobs.store.put([chunk])
    assert texts(watched.when(f.prints("more", "a"))) == ["more"]


def test_what_was_let_go_of_is_not_told_again() -> None:
    watched = Watched()
    watched.when(f.prints("x" * 100, "a"))
    watched.when(f.prints("y" * 100, "a"))
    (execution,) = watched.recorded.folding.record.executions.values()
    (stream,) = execution.outputs.items
    assert isinstance(stream, Stream)
    del stream.chunks[0]
    stream.dropped_bytes = 100
    assert texts(watched.when(f.prints("z", "a"))) == ["z"]


def test_displays_and_errors_are_told_once_and_again_when_they_are_updated() -> None:
    watched = Watched()
    error = f.says("error", "a", ename="E", evalue="", traceback=[])
    assert texts(watched.when(shows("one", "d"), f.prints("p", "a"), error)) == ["one", "p", "E"]
    assert watched.when() == []
    update = {"data": {"text/plain": "two"}, "metadata": {}}
    changed = f.says("update_display_data", "a", transient={"display_id": "d"}, **update)
    assert texts(watched.when(changed, shows("last"))) == ["two", "last"]


def test_what_was_cleared_is_said_and_what_comes_then_is_told() -> None:
    watched = Watched()
    watched.when(f.prints("0\n", "a"))
    clears = f.says("clear_output", "a", wait=True)
    assert texts(watched.when(clears, f.prints("1\n", "a"))) == ["<cleared>", "1\n"]
    longer = f.prints("2, and more\n", "a")
    assert texts(watched.when(clears, longer, shows("x"))) == ["<cleared>", "2, and more\n", "x"]
    assert texts(watched.when(f.says("clear_output", "a"))) == ["<cleared>"]
    assert texts(watched.when(shows("y"))) == ["y"]
    assert texts(watched.when(clears, f.prints("y", "a"))) == ["<cleared>", "y"]


def test_the_streams_of_a_cell_are_told_apart() -> None:
    watched = Watched()
    assert texts(watched.when(f.prints("out", "a"), f.prints("err", "a", "stderr"))) == [
        "out",
        "err",
    ]
    assert texts(watched.when(f.prints("more err", "a", "stderr"))) == ["more err"]
