"""Documents for those who read along: our side of automerge-repo's protocol, without I/O.

Theory. One :class:`SyncServer` has the documents, one :class:`SyncPeer` is one connection. What a
peer sends goes into :meth:`SyncPeer.receive`; what it is to be sent comes out of
:meth:`SyncPeer.next_frame`, one at a time and put together only when there is room for it: a
document's changes are sent in one message for all that the peer lacks, and not again before it has
acknowledged them. So a slow peer gets fewer, larger steps, and however slow it is, one message for
each document is all that waits for it.

Of a peer and a document we know one number: how far the peer is (``feed.py``). Any message of its
says it anew. An acknowledgement is one that says it is as far as what we sent. It may say so before
we sent anything (another tab of the same browser told it), or never (automerge-repo 2.5 puts aside
what comes while a document is loaded, until the next message), so after
:data:`UNACKNOWLEDGED_SECONDS` it is sent what it seems to lack all the same.

To a peer's first message about a document there is always an answer, news or not: it waits for one.
To others there is one only where there is news, and so two sides never talk in circles.

Peers read. Nothing that they say about a document changes it; ``sync_messages.py`` has how.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from proxy.errors import ClientProtocolError
from proxy.record import repo_messages, sync_messages
from proxy.record.addresses import DocumentId
from proxy.record.document import Document
from proxy.record.feed import Feed
from proxy.record.repo_messages import Ephemeral, Join, Leave, Sync

RETIRED_SECONDS = 30.0
"""How long a document is there after it was replaced: who comes late to the news still finds it."""
UNACKNOWLEDGED_SECONDS = 10.0
REPEAT_SECONDS = 1.0
"""How soon one who asks anew for what it was just sent gets it again."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""What a peer may send at once. It announces its own documents too (automerge-repo's default), with
a Bloom filter of 10 bits for each of their changes."""
MAX_ANSWERS = 100
"""Answers that wait for a peer. While there are more, nothing is to be read from it."""

EPHEMERAL_BYTES = 64 * 1024
"""What is longer is not passed on."""
EPHEMERAL_PER_SECOND = 50
"""What one peer sends beyond is not passed on. A pointer that is moved sends about 30."""
MAX_EPHEMERAL_WAITING = 100
"""For a peer that reads slowly: the oldest are dropped, each is replaced by a later one anyway."""


class SyncServer:
    """The documents that we have, and the peers that are connected.

    ``name`` is what we are called as a peer. It should be the same after a restart: peers keep what
    they know of us under it.

    A change must be on the disk (or at least written) before it is announced here. A peer keeps
    what it was sent; where we lose that in a crash and go on, it has both for ever.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.clock = clock
        self._feeds: dict[DocumentId, Feed] = {}
        self._retired: dict[DocumentId, float] = {}
        self._peers: set[SyncPeer] = set()

    def add(self, document_id: DocumentId, document: Document) -> None:
        """Let peers find a document. It should not be empty: they would wait for its first change.

        Raises :class:`StoreError` where it was not written by kmux alone.
        """
        self._feeds[document_id] = Feed(document)
        self._retired.pop(document_id, None)

    def changed(self, document_id: DocumentId) -> None:
        """Announce that a document was written. May be called as often as it is.

        Raises :class:`DocumentBroken`: then its owner makes another one.
        """
        self.expire()
        feed = self._feeds.get(document_id)
        if feed is not None and feed.catch_up():
            for peer in self._peers:
                peer.announce(document_id)

    def retire(self, document_id: DocumentId) -> None:
        """A document was replaced by another one: it goes in a while."""
        if document_id in self._feeds:
            self._retired[document_id] = self.clock() + RETIRED_SECONDS

    def remove(self, document_id: DocumentId) -> None:
        """Take a document away now."""
        self._feeds.pop(document_id, None)
        self._retired.pop(document_id, None)
        for peer in self._peers:
            peer.forget(document_id)

    def expire(self) -> None:
        """Take away what was replaced a while ago."""
        now = self.clock()
        for document_id, end in tuple(self._retired.items()):
            if now >= end:
                self.remove(document_id)

    @property
    def documents(self) -> frozenset[DocumentId]:
        """What peers can find."""
        return frozenset(self._feeds)

    @property
    def peers(self) -> int:
        """How many have said who they are."""
        return sum(peer.name is not None for peer in self._peers)

    def feed(self, document_id: DocumentId) -> Feed | None:
        """Look up a document."""
        return self._feeds.get(document_id)

    def connect(self, wake: Callable[[], None]) -> SyncPeer:
        """Begin with a connection. ``wake`` is called when there may be something to send."""
        peer = SyncPeer(self, wake)
        self._peers.add(peer)
        return peer

    def disconnect(self, peer: SyncPeer) -> None:
        """A connection is closed."""
        self._peers.discard(peer)

    def relay(self, speaker: SyncPeer, message: Ephemeral) -> None:
        """Pass a word on to whoever else has the document open.

        One that comes on two ways is passed on twice; peers know its count.
        """
        for peer in self._peers:
            if peer is not speaker:
                peer.hear(message)


class _Reading:
    """How far a peer is with a document."""

    __slots__ = ("answered", "in_pieces", "known", "not_before", "sent", "sent_at")

    def __init__(self) -> None:
        self.known = 0
        """What it last said it has."""
        self.sent = 0
        """What it has been sent."""
        self.sent_at = 0.0
        self.not_before = 0.0
        """When it can be sent more, although it has not acknowledged that."""
        self.answered = False
        """Whether it was sent anything since it first asked."""
        self.in_pieces = False
        """Whether it understands several changes as one piece."""


class SyncPeer:
    """One connection. Made by :meth:`SyncServer.connect`."""

    def __init__(self, server: SyncServer, wake: Callable[[], None]) -> None:
        self.name: str | None = None
        """What it called itself, once it has."""
        self.goodbye: str | None = None
        """Why the connection is to be closed, when all frames are sent."""
        self._server = server
        self._wake = wake
        self._answers: deque[bytes] = deque()
        self._words: deque[bytes] = deque(maxlen=MAX_EPHEMERAL_WAITING)
        self._readings: dict[DocumentId, _Reading] = {}
        self._allowance = float(EPHEMERAL_PER_SECOND)
        self._allowed_at = server.clock()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for it that nothing more is to be read from it."""
        return len(self._answers) >= MAX_ANSWERS

    # What comes in

    def receive(self, frame: bytes) -> None:
        """Take what the peer sent.

        Raises :class:`ClientProtocolError` where it is against the protocol. Then the connection is
        to be closed.
        """
        message = repo_messages.decode(frame)
        if isinstance(message, Join):
            self._join(message)
        elif self.name is None:
            raise ClientProtocolError("a peer did not say who it is")
        elif isinstance(message, Sync):
            self._heard_of(message)
        elif isinstance(message, Ephemeral):
            self._said(message)
        elif isinstance(message, Leave):
            self.goodbye = "it left"
        self._wake()

    def _join(self, message: Join) -> None:
        self.name = message.sender
        self._readings.clear()
        if repo_messages.PROTOCOL_VERSION in message.versions:
            self._answers.append(repo_messages.peer(self._server.name, message.sender))
        else:
            self.goodbye = "unsupported protocol version"
            refusal = repo_messages.error(self._server.name, message.sender, self.goodbye)
            self._answers.append(refusal)

    def _heard_of(self, message: Sync) -> None:
        assert self.name is not None
        heard = sync_messages.decode(message.data)
        self._server.expire()
        feed = self._server.feed(message.document_id)
        if feed is None:
            unavailable = repo_messages.unavailable(
                self._server.name, self.name, message.document_id
            )
            self._answers.append(unavailable)
            return
        reading = self._readings.setdefault(message.document_id, _Reading())
        reading.in_pieces |= heard.reads_pieces
        # Who has no heads has lost what it had.
        number = feed.number_of((*heard.heads, *heard.last_sync)) if heard.heads else 0
        reading.known = min(number, feed.before(heard.need))
        if reading.known >= reading.sent:
            reading.not_before = 0.0
        elif heard.need or message.is_request:
            reading.not_before = min(reading.not_before, reading.sent_at + REPEAT_SECONDS)
        if message.is_request:
            reading.answered = False

    def _said(self, message: Ephemeral) -> None:
        now = self._server.clock()
        earned = (now - self._allowed_at) * EPHEMERAL_PER_SECOND
        self._allowance = min(EPHEMERAL_PER_SECOND, self._allowance + earned)
        self._allowed_at = now
        if self._allowance >= 1 and len(message.data) <= EPHEMERAL_BYTES:
            self._allowance -= 1
            self._server.relay(self, message)

    # What goes out

    def next_frame(self) -> bytes | None:
        """Return what is to be sent next, or None where there is nothing now.

        Raises :class:`StoreError` where a document cannot be read.
        """
        if self._answers:
            return self._answers.popleft()
        if self.goodbye is not None:
            return None
        if self._words:
            return self._words.popleft()
        self._server.expire()
        now = self._server.clock()
        for document_id, reading in self._readings.items():
            feed = self._server.feed(document_id)
            if feed is not None and now >= reading.not_before and _lacks(reading, feed):
                return self._step(document_id, reading, feed, now)
        return None

    @property
    def due_at(self) -> float | None:
        """When there will be something to send, if nothing comes in before. None: never."""
        waiting = [
            reading.not_before
            for document_id, reading in self._readings.items()
            if (feed := self._server.feed(document_id)) is not None and _lacks(reading, feed)
        ]
        return min(waiting, default=None)

    def _step(self, document_id: DocumentId, reading: _Reading, feed: Feed, now: float) -> bytes:
        """Put together all that a peer lacks of a document."""
        assert self.name is not None
        if reading.known == feed.end:
            changes = []
        elif reading.known or not reading.in_pieces:
            changes = feed.changes_after(reading.known)
        else:
            changes = feed.whole()
        data = sync_messages.encode(feed.heads, changes, in_pieces=reading.in_pieces)
        reading.answered = True
        reading.sent, reading.sent_at = feed.end, now
        reading.not_before = now + UNACKNOWLEDGED_SECONDS if changes else 0.0
        return repo_messages.sync(self._server.name, self.name, document_id, data)

    # What the server tells

    def announce(self, document_id: DocumentId) -> None:
        """A document has changed."""
        if document_id in self._readings:
            self._wake()

    def forget(self, document_id: DocumentId) -> None:
        """A document is gone."""
        self._readings.pop(document_id, None)

    def hear(self, message: Ephemeral) -> None:
        """Another peer said something to those who have a document open."""
        name = self.name
        if message.document_id in self._readings and name is not None and name != message.sender:
            self._words.append(repo_messages.ephemeral(message, name))
            self._wake()


def _lacks(reading: _Reading, feed: Feed) -> bool:
    """Whether a peer is to be sent something, now or later."""
    return not reading.answered or reading.known < feed.end
