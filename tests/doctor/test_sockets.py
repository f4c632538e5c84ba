"""Sockets that nobody listens on, and those on which nobody answers."""

from __future__ import annotations

import os
from functools import partial

import pytest
import trio

from proxy.doctor import surroundings
from proxy.doctor.sockets import check
from proxy.doctor.surroundings import Surroundings
from tests.daemon.answering import answering
from tests.doctor.machine import Machine, bad, fixed, only


async def test_one_that_answers_is_fine(machine: Machine) -> None:
    async with answering(machine.runtime / "mine.sock", "mine"):
        around = Surroundings()
        (found,) = await trio.to_thread.run_sync(partial(check, around))
    assert bad([found]) == []
    assert found.what == "1 socket of kmux run, none left behind"
    assert [session.name for session in around.sessions] == ["mine"]
    assert around.run_sockets[0].pid == os.getpid()


def test_what_was_left_is_removed_and_nothing_else(machine: Machine) -> None:
    left = [
        machine.socket(machine.runtime / name, is_served=False)
        for name in ("a.sock", "b.sock", "ipc-12ab-1")
    ]
    served = machine.socket(machine.runtime / "ipc-12ab-2")
    (machine.runtime / "file.sock").write_text("")
    found = only(check(Surroundings()))
    assert found.level == "warning"
    assert "nobody listens on a.sock, b.sock, ipc-12ab-1: " in found.what
    assert fixed(found) == "removed a.sock, b.sock, ipc-12ab-1"
    assert not any(path.exists() for path in left)
    assert served.exists()
    assert (machine.runtime / "file.sock").exists()
    assert bad(check(Surroundings())) == []


def test_one_that_somebody_takes_meanwhile_stays(machine: Machine) -> None:
    path = machine.socket(machine.runtime / "a.sock", is_served=False)
    found = only(check(Surroundings()))
    path.unlink()
    machine.socket(path)
    assert fixed(found) == "they are in use, or gone, by now"
    assert path.exists()


def test_somebody_who_does_not_answer_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.socket(machine.runtime / "busy.sock")
    monkeypatch.setattr(surroundings, "ANSWER_SECONDS", 0.1)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what.startswith(f"process {os.getpid()} (")
    assert found.what.endswith("listens on busy.sock and does not answer")
    assert found.fix is None
