"""Which frontends are connected, as descriptors tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.endpoints.connections import Connections
from proxy.message import Channel, ClientId

ALICE, BOB, CAROL = (ClientId((b"tag", name)) for name in (b"alice", b"bob", b"carol"))
SHELL, CONTROL = Channel.SHELL, Channel.CONTROL


def test_a_client_is_known_by_channel_and_descriptor() -> None:
    connections = Connections()
    assert not connections.knows(ALICE, SHELL, 7)
    connections.heard(ALICE, SHELL, 7)
    assert connections.knows(ALICE, SHELL, 7)
    assert not connections.knows(ALICE, CONTROL, 7)
    assert not connections.knows(ALICE, SHELL, 8)
    assert not connections.knows(BOB, SHELL, 7)


def test_it_has_left_with_its_last_connection() -> None:
    connections = Connections()
    connections.heard(ALICE, SHELL, 7)
    connections.heard(ALICE, CONTROL, 8)
    connections.heard(BOB, SHELL, 9)
    assert connections.closed(SHELL, 7) == []
    assert connections.closed(CONTROL, 8) == [ALICE]
    assert connections.clients == (BOB,)
    assert connections.closed(CONTROL, 8) == []


def test_a_descriptor_is_of_one_channel() -> None:
    """The sockets of two channels are measured by monitors of their own."""
    connections = Connections()
    connections.heard(ALICE, SHELL, 7)
    assert connections.closed(CONTROL, 7) == []
    assert connections.clients == (ALICE,)


def test_who_moved_on_does_not_leave_with_its_old_connection() -> None:
    connections = Connections()
    connections.heard(ALICE, SHELL, 7)
    connections.heard(ALICE, SHELL, 8)
    assert connections.closed(SHELL, 7) == []
    assert connections.clients == (ALICE,)
    assert connections.closed(SHELL, 8) == [ALICE]


def test_several_clients_of_one_connection_leave_together() -> None:
    """A second kmux that is a frontend of this one."""
    connections = Connections()
    for client in (ALICE, BOB, CAROL):
        connections.heard(client, SHELL, 7)
    connections.heard(CAROL, SHELL, 8)
    assert set(connections.closed(SHELL, 7)) == {ALICE, BOB}
    assert connections.clients == (CAROL,)


events = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from([SHELL, CONTROL]),
        st.integers(5, 8),
    ),
    max_size=60,
)


@given(events=events)
def test_it_agrees_with_a_plain_record(
    events: list[tuple[bool, ClientId, Channel, int]],
) -> None:
    """A model: where each client was last heard on each channel."""
    connections = Connections()
    last: dict[tuple[ClientId, Channel], int] = {}
    for heard, client, channel, descriptor in events:
        if heard:
            connections.heard(client, channel, descriptor)
            last[client, channel] = descriptor
        else:
            gone = [who for who, at in last.items() if at == descriptor and who[1] is channel]
            for who in gone:
                del last[who]
            still = {who for who, _ in last}
            expected = {who for who, _ in gone} - still
            left = connections.closed(channel, descriptor)
            assert set(left) == expected
            assert len(left) == len(expected)
        assert set(connections.clients) == {who for who, _ in last}
        for (who, on), at in last.items():
            assert connections.knows(who, on, at)
