"""Reading the log while it is written, over files that are given numbers meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from proxy.daemon.reading_logs import LogReader
from proxy.log_file import LogFile, numbered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    """A log of four files with five lines each."""
    file = LogFile(path, max_bytes=40, files=4)
    yield file
    file.close()


def write(log: LogFile, numbers: range) -> None:
    for number in numbers:
        log.write(f"line {number:02}\n")


def lines(numbers: range) -> list[bytes]:
    return [b"line %02d" % number for number in numbers]


def anything(line: bytes) -> bool:
    return True


def in_turn(*steps: Callable[[], object]) -> Callable[[], None]:
    """What happens while a reader has nothing to read: one thing each time, and then nothing."""
    remaining = iter(steps)
    patience = iter(range(20))

    def wait() -> None:
        next(remaining, lambda: next(patience))()

    return wait


def test_the_last_lines_of_all_files(log: LogFile, path: Path) -> None:
    write(log, range(18))
    with LogReader(path) as reader:
        assert reader.last(2, anything) == lines(range(16, 18))
    with LogReader(path) as reader:
        assert reader.last(7, anything) == lines(range(11, 18))
    with LogReader(path) as reader:
        assert reader.last(1000, anything) == lines(range(18))
    with LogReader(path) as reader:
        assert reader.last(0, anything) == []


def test_the_last_that_are_wanted(log: LogFile, path: Path) -> None:
    write(log, range(18))
    with LogReader(path) as reader:
        found = reader.last(3, lambda line: int(line[5:]) % 5 == 0)
        assert found == [b"line 05", b"line 10", b"line 15"]


def test_there_is_no_log_yet(log: LogFile, path: Path) -> None:
    wait = in_turn(lambda: None, lambda: write(log, range(2)))
    with LogReader(path, wait) as reader:
        assert reader.last(10, anything) == []
        assert list(islice(reader.follow(), 2)) == lines(range(2))


def test_follows_what_is_written(log: LogFile, path: Path) -> None:
    write(log, range(2))
    wait = in_turn(lambda: write(log, range(2, 3)), lambda: write(log, range(3, 5)))
    with LogReader(path, wait) as reader:
        assert reader.last(1, anything) == lines(range(1, 2))
        assert list(islice(reader.follow(), 3)) == lines(range(2, 5))


def test_follows_over_several_rotations_between_two_looks(log: LogFile, path: Path) -> None:
    write(log, range(3))
    wait = in_turn(lambda: write(log, range(3, 18)), lambda: write(log, range(18, 21)))
    with LogReader(path, wait) as reader:
        reader.last(0, anything)
        assert list(islice(reader.follow(), 18)) == lines(range(3, 21))


def test_another_process_writes_into_a_file_that_has_just_got_its_number(
    log: LogFile, path: Path
) -> None:
    write(log, range(5))
    late = path.open("ab")

    def write_late() -> None:
        late.write(b"line 05\n")
        late.close()

    with LogReader(path, in_turn(lambda: write(log, range(6, 7)), write_late)) as reader:
        reader.last(0, anything)
        assert list(islice(reader.follow(), 2)) == lines(range(5, 7))


def test_a_line_that_is_half_written_is_shown_when_it_is_whole(log: LogFile, path: Path) -> None:
    write(log, range(1))
    log.write("line")
    with LogReader(path, in_turn(lambda: log.write(" 01\n"))) as reader:
        assert reader.last(10, anything) == lines(range(1))
        assert list(islice(reader.follow(), 1)) == lines(range(1, 2))


def test_a_line_that_will_never_be_whole_is_shown_as_it_is(log: LogFile, path: Path) -> None:
    log.write("lin")

    def write_anew() -> None:
        path.rename(numbered(path, 1))
        write(log, range(1))

    with LogReader(path, in_turn(write_anew)) as reader:
        reader.last(10, anything)
        assert list(islice(reader.follow(), 2)) == [b"lin", b"line 00"]
    with LogReader(path) as reader:
        assert reader.last(10, anything) == [b"lin", b"line 00"]


def test_the_file_is_removed_or_emptied(log: LogFile, path: Path) -> None:
    write(log, range(7))

    def remove() -> None:
        path.unlink()
        write(log, range(7, 9))

    def empty() -> None:
        path.write_bytes(b"")
        write(log, range(9, 10))

    with LogReader(path, in_turn(remove, lambda: None, empty)) as reader:
        reader.last(0, anything)
        assert list(islice(reader.follow(), 3)) == lines(range(7, 10)), "the older file is not new"


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_file_is_being_given_its_number(log: LogFile, path: Path, missing: int) -> None:
    """The oldest go first, so one number at a time is nobody's."""
    write(log, range(15))
    for number in range(2, missing - 1, -1):
        numbered(path, number).rename(numbered(path, number + 1))
    with LogReader(path) as reader:
        assert reader.last(15, anything) == lines(range(15))


def test_a_file_that_gets_its_number_meanwhile_is_read_once(log: LogFile, path: Path) -> None:
    write(log, range(9))

    def wanted(line: bytes) -> bool:
        if line == b"line 08":
            write(log, range(9, 11))  # the second of them begins a new file
        return True

    with LogReader(path) as reader:
        assert reader.last(100, wanted) == lines(range(9))
        assert list(islice(reader.follow(), 2)) == lines(range(9, 11))
