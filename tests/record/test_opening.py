"""A record at the beginning of a session: new, kept aside, gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from proxy.errors import ConfigError
from proxy.record.opening import open_record, record_directory, restored
from proxy.record.recorder import Recorder
from proxy.session import facts
from tests.record import facts as f


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path / "data"))


def write(recorder: Recorder, *happened: facts.Fact) -> None:
    """Record these, and end."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            recorder.take([facts.KernelBegan(at=1.0, found=False), *happened])
            await recorder.flush()
            nursery.cancel_scope.cancel()

    trio.run(run)


def codes(recorder: Recorder) -> list[object]:
    return [execution.code for execution in recorder.record.executions.values()]


def test_a_session_that_is_launched_begins_anew() -> None:
    for code in ("first", "second", "third"):
        write(open_record("name", "python3", resumes=False), f.queued(code, "a"))
    kept = open_record("name~1", "python3", resumes=True)
    assert codes(kept) == ["second"]
    write(kept)


def test_one_whose_kernel_was_found_goes_on_under_its_url() -> None:
    first = open_record("name", "python3", resumes=True)
    write(first, f.info("its session"), f.queued("1", "a"), f.sent("a"), f.opens("c", {"v": 1}))
    again = open_record("name", "python3", resumes=True)
    assert again.url == first.url
    assert codes(again) == ["1"]
    assert again.record.left is not None
    known = restored(again, at=9.0)
    assert known is not None
    assert known.kernel_session == "its session"
    (comm,) = known.comms
    assert (comm.comm_id, comm.fields and set(comm.fields)) == ("c", {"v"})
    write(again)


def test_two_processes_do_not_write_one_record() -> None:
    first = open_record("name", "python3", resumes=False)
    with pytest.raises(ConfigError, match="writes the record of 'name'"):
        open_record("name", "python3", resumes=False)
    write(first)


def test_a_record_that_cannot_be_read_is_kept_aside() -> None:
    write(open_record("name", "python3", resumes=False), f.queued("1", "a"))
    directory = record_directory("name")
    for path in directory.glob("epoch-*"):
        path.write_bytes(b"nothing of the kind")
    again = open_record("name", "python3", resumes=True)
    assert codes(again) == []
    write(again)
    assert list(directory.glob("*.damaged-*"))


def test_there_is_nothing_to_restore_of_a_new_one() -> None:
    recorder = open_record("name", "python3", resumes=True)
    assert restored(recorder, at=1.0) is None
    write(recorder)
