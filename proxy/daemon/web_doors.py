"""The WebSocket side of one session: where its clients are, and how they outlive the daemon."""

from __future__ import annotations

from proxy.endpoints.web_clients import WebClients
from proxy.hosting import HostedSession
from proxy.message import ClientId
from proxy.session.carrying import Carried, Row, entry

TAG = b"web"
READ_ONLY_TAG = b"web-read-only"
KINDS = {TAG: "web", READ_ONLY_TAG: "web, read-only"}
_NOBODY = ClientId(())
"""For whom an entry is that is for everybody."""


class WebDoors:
    """Made when somebody comes by WebSocket, or came to an earlier daemon."""

    def __init__(self, hosted: HostedSession, away_seconds: float) -> None:
        self._hosted = hosted
        self._away_seconds = away_seconds
        self._by_tag: dict[bytes, WebClients] = {}

    def all(self) -> list[WebClients]:
        """Return what there is by now."""
        return list(self._by_tag.values())

    def clients(self, *, read_only: bool) -> WebClients:
        """Return where clients connect, or those that may only look."""
        return self._open(READ_ONLY_TAG if read_only else TAG)

    def _open(self, tag: bytes) -> WebClients:
        door = self._by_tag.get(tag)
        if door is None:
            door = self._by_tag[tag] = self._hosted.attach_web(
                tag, read_only=tag == READ_ONLY_TAG, away_seconds=self._away_seconds
            )
        return door

    def by(self, kernel_id: str) -> frozenset[ClientId]:
        """Return the clients that came by this id of the kernel."""
        return frozenset(client for door in self.all() for client in door.by(kernel_id))

    def rows(self, leaves: bool) -> list[Row]:
        """Return what clients have missed, for the next daemon; False: only who they are."""
        rows = []
        for tag, door in self._by_tag.items():
            entries, places = door.missed() if leaves else ([], dict.fromkeys(door.names(), 0))
            rows.append(
                Row(
                    tag,
                    [entry(e.client or _NOBODY, e.channel, e.message) for e in entries],
                    list(places.items()),
                )
            )
        return rows

    def resume(self, carried: Carried) -> None:
        """Go on where another daemon has ended, before anything is published."""
        for row in carried.rows:
            if row.tag in KINDS and row.places:
                self._open(row.tag).resume(
                    (
                        (each.channel, each.message, ClientId(each.client) or None)
                        for each in row.entries
                    ),
                    {ClientId(client): place for client, place in row.places},
                )
