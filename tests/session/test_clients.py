"""Who is attached, away, gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import ClientId
from proxy.session import clients as module
from proxy.session.clients import Clients

LAB, QT = ClientId((b"zmq", b"lab")), ClientId((b"zmq", b"qtconsole"))
PASSING = ClientId((b"zmq", b"\x00\x01\x02\x03\x04"))
"""libzmq made its identity up: nobody comes back under it."""


def test_one_with_an_identity_of_its_own_is_away_and_comes_back() -> None:
    clients = Clients(10)
    clients.returned(LAB, 0)
    assert clients.left(LAB, 1) == []
    assert clients.is_away(LAB)
    clients.returned(LAB, 5)
    assert not clients.is_away(LAB)
    assert clients.overdue(100) == []


def test_one_that_is_away_for_too_long_is_gone_and_nobody_else() -> None:
    clients = Clients(10)
    for at, client in enumerate((LAB, QT)):
        clients.returned(client, 0)
        clients.left(client, at)
    assert clients.next_overdue(4) == 6
    assert clients.overdue(10) == [LAB]
    assert clients.next_overdue(10) == 1
    assert clients.overdue(11) == [QT]
    assert clients.next_overdue(11) is None


@pytest.mark.parametrize(("client", "seconds"), [(PASSING, 10), (LAB, 0)])
def test_who_cannot_come_back_or_may_not_is_gone_at_once(client: ClientId, seconds: float) -> None:
    clients = Clients(seconds)
    clients.returned(client, 0)
    assert clients.left(client, 1) == [client]
    assert not clients.is_away(client)


def test_so_is_who_says_that_it_leaves_unless_it_changes_its_mind() -> None:
    clients = Clients(10)
    for client in (LAB, QT):
        clients.returned(client, 0)
        clients.leaving(client)
    assert clients.left(LAB, 1) == [LAB]
    clients.returned(QT, 2)
    assert clients.left(QT, 3) == []


def test_others_are_those_that_are_attached() -> None:
    clients = Clients(10)
    clients.returned(LAB, 0)
    assert not clients.others_than(LAB)
    assert clients.others_than(QT)
    clients.left(LAB, 1)
    assert not clients.others_than(QT)


def test_of_too_many_that_are_away_the_first_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AWAY", 1)
    clients = Clients(10)
    for client in (LAB, QT):
        clients.returned(client, 0)
    assert clients.left(LAB, 1) == []
    assert clients.left(QT, 2) == [LAB]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([LAB, QT, PASSING])), max_size=30))
def test_everybody_who_came_is_attached_away_or_gone(steps: list[tuple[bool, ClientId]]) -> None:
    clients, known, gone = Clients(7), set[ClientId](), set[ClientId]()
    for at, (comes, client) in enumerate(steps):
        gone |= set(clients.overdue(at))
        if comes:
            clients.returned(client, at)
            known.add(client)
            gone.discard(client)
        elif client in clients.attached:
            gone |= set(clients.left(client, at))
        for one in known:
            assert (one in clients.attached) + clients.is_away(one) + (one in gone) == 1
