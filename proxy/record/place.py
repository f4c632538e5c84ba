"""Where a record is served: the same port and token after kmux was restarted, so that whoever
follows it comes back by itself.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import msgspec

from proxy.errors import StoreError
from proxy.record import disk

FILE = "place.json"


class Place(msgspec.Struct, frozen=True):
    """A port on this machine (0: any), and what lets somebody in."""

    port: int
    token: str


def remembered(directory: Path) -> Place:
    """Return where a record was served the last time, or a new place."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Place)
    return Place(0, secrets.token_urlsafe())


def remember(directory: Path, place: Place) -> None:
    """Keep a place for the next time, if that is possible. A power failure may lose it: nobody is
    to wait for the disk."""
    with contextlib.suppress(StoreError), disk.storing("keep the record's port"):
        disk.replace(directory / FILE, [msgspec.json.encode(place)], synced=False)
