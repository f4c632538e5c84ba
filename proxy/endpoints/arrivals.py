"""What of all that a WebSocket's client was sent has arrived: two witnesses, and whom to believe.

*Pings.* A client answers one when it has taken in what came before it (RFC 6455, 5.5.3), and no
more once it closes. That holds through any proxy or tunnel. But a client that reads only when it
wants something (websocket-client in a script) answers when it reads on.

*TCP* tells how much the other side's system has acknowledged (``counted_stream.py``). Behind that
may be the buffers of a tunnel that breaks, or a page that listens no more.

Pings are believed, so that what is in doubt comes again rather than never. But where a client says
goodbye of itself and has either left a ping unanswered for a while, or has just been told that
nothing more comes (idle), it is one that answers late, and has read what its system has.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, MutableMapping, Sequence
from itertools import count
from typing import Any

import trio

from proxy.endpoints.counted_stream import CountedStream

ASK_BYTES = 64 * 1024
ASK_SECONDS = 0.005
ASKS_IN_A_ROW = 20
"""How often it is asked: always, but no more than every 5 ms where it goes on without a pause,
since each answer takes 40 µs. What is under way then may come twice."""
LATE_SECONDS = 0.25
"""A client that has not answered for so long, and is alive, answers late."""
BROKE_OFF = (None, 1005, 1006)
"""Codes of connections that ended without a word (RFC 6455, 7.4.1)."""
MAX_MARKS = 4096
_PING = 0x89


class _Question:
    """A ping, where trio-websocket has an event that it sets when that is answered."""

    __slots__ = ("asked_at", "mark", "whose")

    def __init__(self, whose: Arrivals, mark: int) -> None:
        self.whose = whose
        self.mark = mark
        self.asked_at = trio.current_time()

    def set(self) -> None:
        """It was."""
        self.whose.reached = max(self.whose.reached, self.mark)


class Arrivals:
    """Of one connection. Each frame has a mark, a number that grows."""

    def __init__(self, stream: CountedStream, pings: MutableMapping[bytes, Any]) -> None:
        """``pings`` are those that trio-websocket waits for."""
        self.reached = 0
        """The mark of the last frame that the client has surely taken in."""
        self._stream = stream
        self._pings = pings
        self._numbers = count()
        self._asks_left, self._counted_at = float(ASKS_IN_A_ROW), trio.current_time()
        self._unasked = 0
        """Bytes that were sent since it was asked."""
        self._last = 0
        """The mark of the last frame that was sent."""
        self._marks: deque[tuple[int, int]] = deque()
        """What was sent when each frame was, and its mark."""

    def begin_at(self, mark: int) -> None:
        """All before this was another connection's."""
        self.reached = self._last = mark

    # While it is open

    def with_questions(
        self, frames: Sequence[tuple[bytes, int]], *, at_rest: bool = False
    ) -> list[tuple[bytes, int | None]]:
        """Add the pings that are to be sent along; they have no mark.

        One is ahead of the last frame: who reads that, and no further, has answered for the others.
        It is always asked ``at_rest``, when nothing more comes: then a client may leave.
        """
        sent: list[tuple[bytes, int | None]] = []
        asks = self._may_ask() or at_rest
        for number, (each, mark) in enumerate(frames, start=1):
            if self._unasked > ASK_BYTES or (asks and number == len(frames) and self._unasked):
                sent.append((self.question(), None))
            self._last = mark
            sent.append((each, mark))
            self._unasked += len(each)
        if asks or self._unasked > ASK_BYTES:
            sent.append((self.question(), None))
        return sent

    @property
    def is_to_be_asked(self) -> bool:
        """Whether something was sent last that it was not asked for."""
        return self._unasked > 0

    @property
    def is_under_way(self) -> bool:
        """Whether something was sent of which it is not known that it has arrived."""
        return self._last > self.reached

    def question(self) -> bytes:
        """Make a ping, by whose answer it is known that all until now has arrived."""
        self._unasked = 0
        self._asks_left -= 1
        payload = struct.pack("!Q", next(self._numbers))  # trio-websocket's own have 4 bytes
        self._pings[payload] = _Question(self, self._last)
        return struct.pack("!BB", _PING, len(payload)) + payload

    def note(self, sent: int, frames: Iterable[tuple[bytes, int | None]]) -> None:
        """These frames are handed to the system, which had taken ``sent`` bytes before."""
        for each, mark in frames:
            sent += len(each)
            if mark is not None:
                self._marks.append((sent, mark))
        while self._marks and self._marks[0][1] <= self.reached:
            self._marks.popleft()
        if len(self._marks) > MAX_MARKS:
            self._by_tcp()

    def _may_ask(self) -> bool:
        """Whether it was not asked too often lately."""
        now = trio.current_time()
        refilled = self._asks_left + (now - self._counted_at) / ASK_SECONDS
        self._asks_left, self._counted_at = min(refilled, ASKS_IN_A_ROW), now
        return self._asks_left >= 1

    # Its end

    def at_the_end(self, close_code: int | None, *, at_rest: bool) -> int:
        """Return the mark of the last frame that counts as arrived, when the client is gone.

        ``at_rest`` is whether the last that it was told is that nothing more comes.
        """
        if close_code in BROKE_OFF or not (at_rest or self._answers_late()):
            return self.end_here()
        return self._by_tcp()

    def end_here(self) -> int:
        """The same when we end it: what has not arrived by now is not to arrive any more."""
        if self._stream.unacknowledged:
            self._stream.give_up()
        return self.reached

    def _by_tcp(self) -> int:
        arrived = self._stream.sent - self._stream.unacknowledged
        last = self.reached
        while self._marks and self._marks[0][0] <= arrived:
            last = max(last, self._marks.popleft()[1])
        if self._marks and last > self.reached:  # so that the next look begins there
            self._marks.appendleft((arrived, last))
        return last

    def _answers_late(self) -> bool:
        questions = [each for each in self._pings.values() if isinstance(each, _Question)]
        return bool(questions) and trio.current_time() - questions[0].asked_at > LATE_SECONDS
