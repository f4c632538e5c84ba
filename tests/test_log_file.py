"""A log file: never larger than it may be, and never an error, whatever happens to it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.log_file import LogFile, numbered
from tests.record.full_disk import full_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    """A log of three files with five lines of twenty bytes each."""
    file = LogFile(path, max_bytes=100, files=3)
    yield file
    file.close()


def line(number: int) -> str:
    return f"line {number}".ljust(19, ".") + "\n"


def numbers(path: Path) -> list[int]:
    return [int(text[4:].strip(".")) for text in path.read_text().splitlines()]


def test_a_full_file_gets_a_number_and_the_oldest_is_gone(file: LogFile, path: Path) -> None:
    for number in range(18):
        file.write(line(number))
    assert numbers(path) == [15, 16, 17]
    assert numbers(numbered(path, 1)) == [10, 11, 12, 13, 14]
    assert numbers(numbered(path, 2)) == [5, 6, 7, 8, 9]
    assert len(list(path.parent.iterdir())) == 3


def test_a_line_that_is_larger_than_a_file_has_one_of_its_own(file: LogFile, path: Path) -> None:
    file.write("short\n")
    file.write("x" * 200 + "\n")
    file.write("short\n")
    assert path.read_text() == "short\n"
    assert numbered(path, 1).stat().st_size == 201


def test_one_file_only(path: Path) -> None:
    file = LogFile(path, max_bytes=100, files=1)
    for number in range(7):
        file.write(line(number))
    file.close()
    assert numbers(path) == [5, 6]
    assert list(path.parent.iterdir()) == [path]


def test_who_starts_again_goes_on_in_the_same_file(file: LogFile, path: Path) -> None:
    file.write(line(0))
    again = LogFile(path, max_bytes=100, files=3)
    for number in range(1, 6):
        again.write(line(number))
    again.close()
    assert numbers(numbered(path, 1)) == [0, 1, 2, 3, 4]


def test_nobody_else_can_read_it(file: LogFile, path: Path) -> None:
    for number in range(6):
        file.write(line(number))
    for each in (path, numbered(path, 1)):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_a_file_that_was_removed_is_made_again(file: LogFile, path: Path) -> None:
    file.write(line(0))
    path.unlink()
    file.write(line(1))
    assert numbers(path) == [1]


def test_so_is_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "log" / "daemon.log"
    file = LogFile(path, max_bytes=100, files=3)
    file.write(line(0))
    path.unlink()
    path.parent.rmdir()
    file.write(line(1))
    file.close()
    assert numbers(path) == [1]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_full_disk_costs_lines_and_nothing_else(file: LogFile, path: Path) -> None:
    file.write(line(0))
    with full_disk(after=30):
        file.write(line(1))
        file.write(line(2))
        assert file.lost == 2
    file.write(line(3))
    assert file.lost == 0
    assert path.read_text() == line(0) + line(1)[:10] + "\n" + line(3), "the line is its own"


def test_a_place_that_cannot_be_written_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    file = LogFile(tmp_path, max_bytes=100, files=3)
    file.write(line(0))
    assert file.lost == 1
    descriptors = len(os.listdir("/proc/self/fd"))
    file.write(line(1))
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_text_that_is_no_text(file: LogFile, path: Path) -> None:
    file.write("\udcff ü\n")
    assert path.read_text() == "\\udcff ü\n"


SCRIPT = """
import sys
from pathlib import Path
from proxy.log_file import LogFile

file = LogFile(Path(sys.argv[1]), max_bytes=1000, files=100)
for number in range(1000):
    file.write(f"{sys.argv[2]} {number:015d}\\n")
sys.exit(file.lost)
"""


def test_several_processes_write_and_nothing_is_lost(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), name]) for name in ("ab", "cd")
    ]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    files = sorted(path.parent.iterdir())
    assert len(files) > 5
    written = [text for each in files for text in each.read_text().splitlines()]
    expected = [f"{name} {number:015d}" for name in ("ab", "cd") for number in range(1000)]
    assert sorted(written) == expected
