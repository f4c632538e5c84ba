"""What an endpoint reports. The runner implements it."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ClientProtocolError
from proxy.message import Channel, ClientId, Message


class EndpointSink(Protocol):
    """Called from the loop of the socket set; must neither block nor raise."""

    def client_sent(self, client: ClientId, channel: Channel, message: Message) -> None:
        """A frontend sent a valid message."""

    def connected(self) -> None:
        """A frontend has connected, on another channel than iopub. It is not known which one."""

    def client_returned(self, client: ClientId, owner: bool, missed_nothing: bool = False) -> None:
        """A frontend was heard on a connection that is new for it.

        ``owner`` is whether that is one of the process that started us as its kernel;
        ``missed_nothing`` whether it gets all that it was sent while it was away.
        """

    def client_left(self, client: ClientId) -> None:
        """The last connection of a frontend closed."""

    def subscribed(self, endpoint: bytes) -> None:
        """A frontend subscribed to iopub. Until this returns it can be addressed alone."""

    def rejected(self, channel: Channel, error: ClientProtocolError) -> None:
        """Frames were dropped."""

    def buffers_left_out(self, client: ClientId) -> None:
        """A frontend was sent a message without its buffers: its form has no room for any. Called
        once for each frontend that there is."""

    def cut_off(self, peer: str, backlog: int) -> None:
        """An iopub subscriber that did not read was disconnected, ``backlog`` bytes behind."""
