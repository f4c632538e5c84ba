"""A peer as automerge-repo's clients are, without a network: Automerge's own sync in frames."""

from __future__ import annotations

from collections import deque
from typing import Any

import cbor2
from automerge import core

from proxy.record.sync import SyncPeer, SyncServer


class Reader:
    """One peer, and what is on its way between it and the server."""

    def __init__(self, server: SyncServer, name: str = "alice", *, old: bool = False) -> None:
        self.server = server
        self.name = name
        self.old = old
        """Whether it is of the time before Automerge 0.5.8, when changes came one by one."""
        self.documents: dict[str, core.Document] = {}
        self.states: dict[str, core.SyncState] = {}
        self.unavailable: list[str] = []
        self.heard: list[dict[str, Any]] = []
        self.steps: list[int] = []
        """The sizes of the sync messages that it got."""
        self.outbox: deque[bytes] = deque()
        self.woken = 0
        self.peer: SyncPeer
        self.connect()

    def connect(self) -> None:
        """Connect, or connect anew with what it has. What was on its way is lost."""
        if hasattr(self, "peer"):
            self.server.disconnect(self.peer)
        self.outbox.clear()
        self.peer = self.server.connect(self._wake)
        self.send(type="join", supportedProtocolVersions=["1"])
        for document_id in self.documents:
            self.states[document_id] = core.SyncState()
            self._say(document_id)

    def send(self, **fields: Any) -> None:
        self.outbox.append(cbor2.dumps({"senderId": self.name, "targetId": "kmux", **fields}))

    def find(self, document_id: str) -> None:
        """Ask for a document."""
        self.documents[document_id] = core.Document()
        self.states[document_id] = core.SyncState()
        self._say(document_id, kind="request")

    def write(self, document_id: str, key: str, value: int) -> None:
        """Write into its copy, and say so."""
        with self.documents[document_id].transaction() as transaction:
            transaction.put(core.ROOT, key, core.ScalarType.Int, value)
        self._say(document_id)

    def say_one(self) -> bool:
        """One frame of its arrives."""
        if not self.outbox:
            return False
        self.peer.receive(self.outbox.popleft())
        return True

    def hear_one(self) -> bool:
        """One frame of the server's arrives, and is answered."""
        frame = self.peer.next_frame()
        if frame is None:
            return False
        self.take(frame)
        return True

    def take(self, frame: bytes) -> None:
        """Do as automerge-repo does with a frame."""
        message = cbor2.loads(frame)
        assert message["targetId"] == self.name
        kind = message["type"]
        if kind == "doc-unavailable":
            self.unavailable.append(message["documentId"])
        elif kind == "ephemeral":
            self.heard.append(message)
        elif kind == "sync":
            document_id, data = message["documentId"], message["data"]
            self.steps.append(len(data))
            if document_id in self.documents:
                state = self.states[document_id]
                decoded = core.Message.decode(data)
                self.documents[document_id].receive_sync_message(state, decoded)
                self._say(document_id)

    def settle(self) -> int:
        """Let all arrive that there is, both ways; return how many frames it were."""
        count = 0
        while self.say_one() or self.hear_one():
            count += 1
            assert count < 1000, "they talk in circles"
        return count

    def value(self, document_id: str, key: str) -> Any:
        found = self.documents[document_id].get(core.ROOT, key)
        return None if found is None else found[0][1]

    def _say(self, document_id: str, kind: str = "sync") -> None:
        message = self.documents[document_id].generate_sync_message(self.states[document_id])
        if message is None:
            return
        data = message.encode()
        if self.old:
            data = data.removesuffix(b"\x02\x01\x02")
        self.send(type=kind, documentId=document_id, data=data)

    def _wake(self) -> None:
        self.woken += 1
