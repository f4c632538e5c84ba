"""A record as commands read it: once, and again and again while somebody writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from proxy.daemon import recorded, registry
from proxy.daemon.vocabulary import SessionInfo
from proxy.errors import ConfigError
from proxy.record import archive
from proxy.record.export import missing_lines
from proxy.record.loading import WholeRecord
from proxy.session import facts
from tests.record import facts as f
from tests.record.test_recorder import a_cell, recording


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record of a session "name" is to be."""
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "data" / "records" / "name"


@pytest.mark.parametrize("name", ["", "../name", "a/b", "~1", "name~2", "-x", "\n"])
def test_what_can_be_no_name_names_no_file(directory: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="there is no session"):
        recorded.present(name)


def test_a_session_that_is_not_there(directory: Path) -> None:
    for name in ("name", "name~1"):
        with pytest.raises(ConfigError, match=f"no record of '{name}'"):
            recorded.present(name)


class Holder:
    """Who has a session, and says of it what the test wants."""

    def __init__(self, *, document: str | None, durable: bool = True) -> None:
        self.document = document
        self.durable = durable

    def session(self, name: str) -> SessionInfo:
        return SessionInfo(
            name=name,
            kernel="python3",
            language="python",
            status="idle",
            clients=0,
            pid=1,
            connection_file="file",
            document=self.document,
        )

    def flush(self, name: str) -> bool:
        return self.durable


def test_a_session_that_is_not_recorded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "holder", lambda name: Holder(document=None))
    with pytest.raises(ConfigError, match="name is not recorded"):
        recorded.present("name")


async def test_a_session_that_cannot_write_down_what_it_knows(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(directory) as recorder:
        await recorder.flush()
        for durable in (True, False):
            holder = Holder(document="automerge:1", durable=durable)
            monkeypatch.setattr(registry, "holder", lambda name, holder=holder: holder)
            whole = recorded.present("name")
            assert whole.is_behind != durable
            assert any("cannot write" in line for line in missing_lines(whole)) != durable


async def test_all_that_is_recorded_is_offered_for_completion(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorded.names() == []
    async with recording(directory):
        assert recorded.names() == ["name"]


class Reading:
    """Who reads the record whenever it changes, in a thread as a command does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = True
        monkeypatch.setattr(recorded, "_runs", lambda name: self.runs)
        monkeypatch.setattr(recorded, "ALIVE_SECONDS", 0.0)
        self._read: Iterator[WholeRecord] = recorded.changes("name", recorded.present("name"))

    async def next(self) -> list[str] | None:
        """Return the cells of the next reading; None when it is over."""
        whole = await trio.to_thread.run_sync(lambda: next(self._read, None))
        if whole is None:
            return None
        return [execution.msg_id for execution in whole.record.executions.values()]


async def test_each_change_is_read_until_the_session_is_over(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(directory) as recorder:
        recorder.take([facts.KernelBegan(at=1.0, found=False), *a_cell("a")])
        await recorder.flush()
        reading = Reading(monkeypatch)
        assert await reading.next() == ["a"]
        for name in ("b", "c"):
            recorder.take(a_cell(name))
            await recorder.flush()
            assert (await reading.next() or [])[-1] == name
        recorder.take(a_cell("d"))
        await recorder.flush()
        reading.runs = False
        assert await reading.next() == ["a", "b", "c", "d"], "what came last is read"
        assert await reading.next() is None


async def test_another_epoch_is_read_on_and_its_archive_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIVE_EXECUTIONS", 2)
    monkeypatch.setattr(archive, "MIN_PAGE", 1)
    async with recording(directory) as recorder:
        recorder.take([facts.KernelBegan(at=1.0, found=False)])
        await recorder.flush()
        reading = Reading(monkeypatch)
        assert await reading.next() == []
        recorder.take([c for n in "abcde" for c in a_cell(n)])
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        assert await reading.next() == ["a", "b", "c", "d", "e"], "three of them are archived"
        recorder.take([*a_cell("f"), facts.KernelBegan(at=3.0, found=False)])
        await recorder.flush()
        assert await reading.next() == ["d", "e", "f"]


async def test_widgets_are_not_read_again_and_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(directory) as recorder:
        recorder.take([facts.KernelBegan(at=1.0, found=False), f.opens("c", {"v": "x" * 20_000})])
        await recorder.flush()
        whole = recorded.present("name")
        assert whole.record.comms["c"].fields is not None
        monkeypatch.setattr(recorded, "_runs", lambda name: False)
        (again,) = recorded.changes("name", whole)
        assert again.record.comms["c"].fields is None
