"""Where frontends find this kernel: what a connect_reply has to say.

Theory: ``connect_request`` asks a kernel for its ports (Jupyter messaging, "Connect"; deprecated,
but answered). A kernel behind kmux knows only ports at which nobody but kmux may come.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.message import Message

_content_decoder = msgspec.json.Decoder(dict[str, Any])


class Ports:
    """The ports of the first endpoint, by the names in connection files ("shell_port", …)."""

    def __init__(self) -> None:
        self._ports: dict[str, int] = {}

    def bound(self, ports: Mapping[str, int]) -> None:
        """Frontends can attach at these."""
        self._ports = self._ports or dict(ports)

    def put_into(self, connect_reply: Message) -> Message:
        """Return the kernel's answer with these ports. ipykernel leaves "_port" out of names."""
        content = connect_reply.content_as(_content_decoder) or {}
        changed = {
            name: self._ports.get(f"{name.removesuffix('_port')}_port", value)
            for name, value in content.items()
        }
        if changed == content:
            return connect_reply
        raw = msgspec.json.encode(changed)
        return msgspec.structs.replace(connect_reply, raw_content=raw, signed_by=None)
