"""What kmux itself asks of the kernel, in its own name."""

from __future__ import annotations

from typing import Any

from proxy.message import Channel, ClientId
from proxy.session.commands import ToKernel
from proxy.session.composer import Composer
from proxy.session.requests import Requests

KMUX = ClientId((b"kmux",))
"""Who asks what kmux itself asks of the kernel."""


class Asker:
    """Makes requests of kmux's own, and remembers them as a client's."""

    def __init__(self, ident: str, requests: Requests) -> None:
        self.session = f"{ident}-kmux"
        """The ``header.session`` of what it asks, and so of the parent of what comes of it."""
        self._voice = Composer(self.session, "kmux")
        self._requests = requests

    def ask(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        at: float,
        *,
        metadata: dict[str, Any] | None = None,
        subshell_id: str | None = None,
    ) -> ToKernel:
        """Make a request, and the command that sends it."""
        message = self._voice.message(
            msg_type, content, at, metadata=metadata or b"{}", subshell_id=subshell_id
        )
        self._requests.add(KMUX, channel, message)
        return ToKernel(channel, KMUX, message)
