"""One WebSocket of a client: what it is sent next, and whether anybody reads it."""

from __future__ import annotations

from collections.abc import Callable

import trio

from proxy.bell import Bell
from proxy.endpoints.arrivals import ASK_SECONDS
from proxy.endpoints.backlog import Encode
from proxy.endpoints.websocket import WebSocket, WebSocketGone, frame
from proxy.message import Channel, Message
from proxy.wire import websocket_frames
from proxy.wire.websocket_frames import V1

ANSWER_SECONDS = 2.0
"""How long a client may take to answer a goodbye."""

Frames = Callable[[], list[tuple[bytes, int]]]
"""Returns what is to be sent next, each frame with the place behind it."""


def binary(channel: Channel, message: Message) -> bytes:
    """Make a frame of the form that has buffers."""
    return frame(websocket_frames.encode_v1(channel, message))


def text(channel: Channel, message: Message) -> bytes:
    """Make a frame of the form that has none."""
    return frame(websocket_frames.encode_legacy(channel, message), text=True)


class WebConnection:
    """One WebSocket of a client."""

    def __init__(self, socket: WebSocket, is_young: Callable[[], bool]) -> None:
        self.socket = socket
        self._is_young = is_young
        self.start: int | None = None
        """Where it began; None where it never counted."""
        self.next = 0
        """What it is sent next."""
        self.encode: Encode = binary if socket.subprotocol == V1 else text
        self.is_read = False
        """Whether it is known that somebody reads it: something was said on it."""
        self.latest: Message | None = None
        """What it was sent last."""
        self.goodbye: tuple[int, str] | None = None
        """Why it is to be closed."""
        self.is_silent = True
        """Whether nothing is sent on it, though it is open: another one counts."""
        self._work = Bell()

    def count_from(self, place: int) -> None:
        """From now on this is the one that counts. Where it was before, it goes on."""
        if self.start is None:
            self.start = self.next = place
            self.socket.arrivals.begin_at(place)
        self.is_silent = False
        self.wake()

    @property
    def is_at_rest(self) -> bool:
        """Whether it was told last that nothing more comes of what it asked for."""
        latest = self.latest
        return latest is not None and (
            latest.msg_type.endswith("_reply")
            or (latest.msg_type == "status" and b"idle" in bytes(latest.raw_content))
        )

    def wake(self) -> None:
        """There is something to send."""
        self._work.ring()

    def say_goodbye(self, why: tuple[int, str]) -> None:
        """Have it closed, when what is being sent is on its way."""
        self.goodbye = self.goodbye or why
        self.wake()

    async def write(self, frames: Frames, scope: trio.CancelScope) -> None:
        """Send whatever there is; close in the end where that is wanted, and cancel ``scope``."""
        arrivals = self.socket.arrivals
        try:
            while self.goodbye is None:
                now = [] if self.is_silent else frames()
                if now:
                    await self.socket.send_frames(now, at_rest=self.is_at_rest)
                    self.next = now[-1][1]
                elif arrivals.is_to_be_asked:
                    with trio.move_on_after(ASK_SECONDS) as waiting:
                        await self._work.wait()
                    if waiting.cancelled_caught:
                        await self.socket.ask()
                else:
                    await self._work.wait()
            if arrivals.is_to_be_asked:
                await self.socket.ask()
            await self.socket.say_goodbye(*self.goodbye)
        except WebSocketGone:
            pass
        await trio.sleep(ANSWER_SECONDS)  # what it has said until now is still to be read
        scope.cancel()

    def place(self) -> int:
        """Return the place behind what has arrived."""
        is_read = self.is_read or not (self.is_silent or self._is_young())
        return self.socket.arrivals.reached if is_read or self.start is None else self.start
