"""Whose an environment of the pool is: one's at a time, whoever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.environments.pool_records import Record, Records
from proxy.errors import StoreError

IT = Record(kind="uv", made_for="it")


def offered(root: Path, *keys: str) -> Records:
    records = Records(root)
    for key in keys:
        records.begin(key, IT)
        records.offer(key)
    return records


def test_from_hand_to_hand(tmp_path: Path) -> None:
    records, other = Records(tmp_path), Records(tmp_path)
    assert records.waiting() == records.kept() == {}
    records.begin("a-1", IT)
    assert other.taken() == {"a-1": True}
    assert other.waiting() == {}
    done = Record(kind="uv", made_for="it", contents="x")
    records.change("a-1", done)
    records.offer("a-1")
    assert other.waiting() == {"a-1": done}
    assert other.take("a-1")
    assert not records.take("a-1")
    assert records.record("a-1") == done
    other.keep("a-1")
    assert records.kept() == {"a-1": done}
    assert records.record("a-1") is None
    assert records.take_kept("a-1")
    assert not other.take_kept("a-1")
    records.forget("a-1")
    assert records.taken() == records.waiting() == records.kept() == {}


_TAKE_ALL = """
import sys
from pathlib import Path
from proxy.environments.pool_records import Records
records = Records(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while waiting := records.waiting():
    for key in waiting:
        if records.take(key):
            print(key, flush=True)
sys.stdin.readline()
"""


def test_what_a_killed_one_had_is_known_and_inherited(tmp_path: Path) -> None:
    offered(tmp_path, "one", "two").close()
    command = [sys.executable, "-c", _TAKE_ALL, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert {process.stdout.readline() for _ in range(3)} == {"ready\n", "one\n", "two\n"}
        records = Records(tmp_path)
        records.sweep()
        assert records.taken() == {"one": True, "two": True}
        process.send_signal(signal.SIGKILL)
    assert records.taken() == {"one": False, "two": False}
    records.sweep()
    assert list((tmp_path / "owners").iterdir()) == []
    assert records.inherit("one")
    assert records.taken() == {"one": True, "two": False}
    assert not records.inherit("three")


def test_one_that_cannot_be_read_is_of_nothing_that_is_wanted(tmp_path: Path) -> None:
    offered(tmp_path, "one").close()
    (tmp_path / "waiting" / "one.json").write_text("{")
    assert Records(tmp_path).waiting() == {"one": Record(kind="uv", made_for="")}


def test_to_look_needs_no_place_to_write_and_to_take_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    records = Records(tmp_path / "file" / "pool")
    assert records.waiting() == records.kept() == records.taken() == {}
    with pytest.raises(StoreError, match=r"^cannot write to"):
        records.begin("one", IT)


def test_who_remembers_other_sessions_does_not_know_whether_one_is_left_behind(
    tmp_path: Path,
) -> None:
    mine = Records(tmp_path, "here")
    mine.begin("one", Record(kind="uv", made_for="it"))
    assert Records(tmp_path, "here").left_behind() == []
    mine.close()
    assert Records(tmp_path, "there").left_behind() == []
    assert Records(tmp_path).left_behind() == []
    assert Records(tmp_path, "here").left_behind() == ["one"]
