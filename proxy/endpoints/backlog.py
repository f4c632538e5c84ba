"""What WebSocket clients are sent, in one row for all of them, each with a place in it.

A message is kept once, and made into a frame once for each form in which somebody wants it, however
many clients there are. It is kept until the last client has it that may still come for it, or until
there is more than may be kept.

Lines that a cell prints are one stream. Who lags behind gets those that wait as one message, so a
client that is slow to draw falls behind by bytes, not by messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from proxy.message import Channel, ClientId, Message

LAG_MESSAGES = 64
"""Who is this many messages behind gets streams in one piece."""
MAX_JOINED_CHARACTERS = 128 * 1024
"""In JSON these are less than 1 MB, which is what some clients take at most."""
_OVERHEAD_BYTES = 1000
"""What a message takes besides its content and buffers."""

Encode = Callable[[Channel, Message], bytes]
"""Makes a frame. Also the key under which it is kept, so each form has one of its own."""


class _Stream(msgspec.Struct, frozen=True):
    name: str
    text: str


_stream_decoder = msgspec.json.Decoder(_Stream)


class Entry:
    """One message for everybody, or for one client."""

    __slots__ = ("_frames", "behind", "channel", "client", "message")

    def __init__(
        self, channel: Channel, message: Message, client: ClientId | None, behind: int
    ) -> None:
        self.channel = channel
        self.message = message
        self.client = client
        """None: everybody."""
        self.behind = behind
        """The bytes of all messages before it."""
        self._frames: dict[Encode, bytes] | None = None

    def frame(self, encode: Encode) -> bytes:
        """Return the message in this form."""
        if self._frames is None:
            self._frames = {}
        frame = self._frames.get(encode)
        if frame is None:
            frame = self._frames[encode] = encode(self.channel, self.message)
        return frame


class Backlog:
    """The row. Places in it are numbers that never mean anything else."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._first = 0
        """The place of the first entry that is there, which is at ``_skipped``."""
        self._skipped = 0
        """Entries at the beginning of the list that nobody needs any more."""
        self.total_bytes = 0
        """Of all that there ever was."""

    @property
    def first(self) -> int:
        """The place of the oldest message that is kept."""
        return self._first

    @property
    def end(self) -> int:
        """The place of the next message."""
        return self._first + len(self._entries) - self._skipped

    def append(self, channel: Channel, message: Message, client: ClientId | None = None) -> None:
        """Add a message."""
        self._entries.append(Entry(channel, message, client, self.total_bytes))
        self.total_bytes += size_of(message)

    def bytes_from(self, place: int) -> int:
        """Return how much there is from a place on."""
        return self.total_bytes - self.at(place).behind if place < self.end else 0

    def drop_before(self, place: int) -> None:
        """Forget what is before a place."""
        self._skipped += place - self._first
        self._first = place
        if self._skipped * 2 > len(self._entries):
            del self._entries[: self._skipped]
            self._skipped = 0

    def entries_for(self, client: ClientId, place: int) -> Iterator[tuple[Entry, int]]:
        """Yield what this client has to be sent from a place on, each with the place behind it."""
        lags = self.end - place > LAG_MESSAGES
        while place < self.end:
            entry = self.at(place)
            place += 1
            if entry.client is not None and entry.client != client:
                continue
            if lags and entry.message.msg_type == "stream":
                entry, place = self._joined(entry, client, place)
            yield entry, place

    def _joined(self, entry: Entry, client: ClientId, place: int) -> tuple[Entry, int]:
        """Take what follows along, as far as it goes on with this stream."""
        message = entry.message
        first = message.content_as(_stream_decoder)
        texts, length = [], 0
        reached = place
        while first is not None and place < self.end and length < MAX_JOINED_CHARACTERS:
            after = self.at(place)
            place += 1
            if after.client is not None and after.client != client:
                continue
            if after.message.msg_type != "stream" or after.message.raw_parent != message.raw_parent:
                break
            more = after.message.content_as(_stream_decoder)
            if more is None or more.name != first.name or after.message.buffers:
                break
            texts.append(more.text)
            length += len(more.text)
            reached = place
        if first is None or not texts:
            return entry, reached
        whole = {"name": first.name, "text": "".join((first.text, *texts))}
        joined = msgspec.structs.replace(
            message, raw_content=msgspec.json.encode(whole), signed_by=None
        )
        return Entry(entry.channel, joined, None, entry.behind), reached

    def at(self, place: int) -> Entry:
        return self._entries[place - self._first + self._skipped]


def size_of(message: Message) -> int:
    """Return about how much memory a message takes."""
    return _OVERHEAD_BYTES + len(message.raw_content) + sum(map(len, message.buffers))
