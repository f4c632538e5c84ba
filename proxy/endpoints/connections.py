"""Which frontends are connected, as the descriptors of their connections tell.

libzmq names no peers: a ROUTER does not say who connects or leaves. But each message carries the
descriptor of the connection that it came on (``ZMQ_SRCFD``), and a socket's monitor reports the
descriptor that closed (``ZMQ_EVENT_DISCONNECTED``). Together they tell when a client is gone.

A descriptor is used again after it closed. libzmq reports the closing before anything that comes
on the new connection, but on another socket: so whoever calls :meth:`Connections.heard` for a
pair that is not known reads the monitor first.
"""

from __future__ import annotations

from proxy.message import Channel, ClientId


class Connections:
    """The clients of one endpoint and the connections that they were last heard on.

    One connection may carry several clients: a second kmux that is a frontend of this one.
    """

    def __init__(self) -> None:
        self._current: dict[ClientId, dict[Channel, int]] = {}
        self._users: dict[tuple[Channel, int], set[ClientId]] = {}

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who is connected, in the order in which they were first heard."""
        return tuple(self._current)

    def knows(self, client: ClientId, channel: Channel, descriptor: int) -> bool:
        """Whether this client was last heard on this connection."""
        known = self._current.get(client)
        return known is not None and known.get(channel) == descriptor

    def heard(self, client: ClientId, channel: Channel, descriptor: int) -> bool:
        """A client sent on this connection: it is connected, by this one.

        Returns whether it is new, or came back: its first word on another channel is neither.
        """
        known = self._current.get(client)
        if known is None:
            known = self._current[client] = {}
            returned = True
        else:
            returned = channel in known and known[channel] != descriptor
        known[channel] = descriptor
        self._users.setdefault((channel, descriptor), set()).add(client)
        return returned

    def closed(self, channel: Channel, descriptor: int) -> list[ClientId]:
        """A connection closed. Returns the clients that have none left."""
        left = []
        for client in self._users.pop((channel, descriptor), ()):
            known = self._current.get(client)
            if known is None or known.get(channel) != descriptor:
                continue  # it has moved on to another connection
            del known[channel]
            if not known:
                del self._current[client]
                left.append(client)
        return left
