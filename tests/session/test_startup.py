"""A kernel that comes up. The conversations are in test_session.py."""

from __future__ import annotations

import itertools

import pytest

from proxy.message import Channel, ClientId
from proxy.session import startup as module
from proxy.session.events import ClientSent
from proxy.session.startup import PROVE_ATTEMPTS, Startup
from tests.messages import cell

ALICE = ClientId((b"zmq", b"alice"))


def sent() -> ClientSent:
    return ClientSent(at=0, client=ALICE, channel=Channel.SHELL, message=cell())


@pytest.mark.parametrize(("answered", "heard"), [*itertools.product([True, False], repeat=2)])
def test_it_is_proven_when_it_has_answered_and_was_heard(answered: bool, heard: bool) -> None:
    startup = Startup()
    startup.answered, startup.heard = answered, heard
    assert startup.proven == (answered and heard)


def test_one_that_answers_and_is_never_heard_is_trusted_in_the_end() -> None:
    startup = Startup()
    for _ in range(3 * PROVE_ATTEMPTS):
        startup.ask_again()
    assert not startup.proven, "one that does not even answer is not"
    startup.answered = True
    for _ in range(PROVE_ATTEMPTS):
        assert not startup.proven
        assert startup.ask_again()
    assert startup.proven


def test_another_kernel_has_to_prove_itself_anew() -> None:
    startup = Startup()
    startup.answered = True
    for _ in range(PROVE_ATTEMPTS):
        startup.ask_again()
    startup.begin()
    assert not startup.proven
    startup.answered = True
    assert not startup.proven


def test_what_is_held_comes_out_in_order_and_once() -> None:
    startup = Startup()
    events = [sent() for _ in range(5)]
    assert all(map(startup.hold, events))
    startup.begin()
    assert startup.release() == events
    assert startup.release() == []


def test_only_so_much_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 2)
    startup = Startup()
    assert startup.hold(sent())
    assert startup.hold(sent())
    assert not startup.hold(sent())
    assert len(startup.release()) == 2
    assert startup.hold(sent())
