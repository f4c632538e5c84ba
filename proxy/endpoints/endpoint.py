"""What a session needs of a place where frontends attach, be it five ports or WebSockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.message import Channel, ClientId, Message


class Endpoint(Protocol):
    """A place where frontends attach. It reports to an :class:`EndpointSink`."""

    @property
    def tag(self) -> bytes:
        """The first frame of its clients' ids, stable over restarts."""

    @property
    def read_only(self) -> bool:
        """Whether its clients may look and not touch."""

    @property
    def replays(self) -> bool:
        """Whether a new subscriber is to be sent what it missed."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Its ports, as connection files call them; none where there are none of its own."""

    @property
    def is_connected(self) -> bool:
        """Whether a frontend is, that could send something."""

    def send(self, client: ClientId, channel: Channel, message: Message) -> None:
        """Send to one frontend. Raises :class:`Unreachable` where it is not connected."""

    def publish(self, message: Message, but: frozenset[ClientId] = frozenset()) -> None:
        """Publish on iopub to all frontends of this endpoint but these."""

    def send_to_newest(self, message: Message) -> None:
        """Send on iopub to the subscriber that :meth:`EndpointSink.subscribed` is called for."""

    def hush(self) -> None:
        """Send nothing more to single frontends: kmux ends, and the next one has it to send."""

    def hang_up(self) -> None:
        """Say goodbye to all frontends; :meth:`hush` came before. What they send comes in until
        they notice."""

    def close(self, linger_ms: int = 0) -> None:
        """Be no more; what was sent goes out for up to ``linger_ms``."""
