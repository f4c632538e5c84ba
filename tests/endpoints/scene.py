"""An endpoint with real frontends on real sockets, all in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import trio
import zmq

from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ClientProtocolError, KernelProtocolError
from proxy.message import Channel, ClientId, Message, Part
from proxy.sockets import SocketSet, ZmqSocket
from proxy.wire import zmq_frames
from proxy.wire.connection import ConnectionInfo, CurveKeys
from tests.inbox import Inbox, eventually
from tests.messages import published
from tests.running import Context, open_context, run_sockets

SHELL, CONTROL, STDIN, IOPUB = Channel.SHELL, Channel.CONTROL, Channel.STDIN, Channel.IOPUB
DEALERS = (SHELL, CONTROL, STDIN)

TAG = b"tag"


class Report(msgspec.Struct, frozen=True):
    """Something that the endpoint reported."""

    what: str
    client: ClientId | None = None
    channel: Channel | None = None
    message: Message | None = None
    error: ClientProtocolError | None = None
    backlog: int = 0
    owner: bool = False
    missed_nothing: bool = False


class Recorder:
    """The sink of an endpoint: writes down what it is told, and welcomes new subscribers."""

    def __init__(self) -> None:
        self.reports: Inbox[Report] = Inbox()
        self.endpoint: ZmqEndpoint | None = None
        self.welcome: Callable[[int], Iterable[Message]] = lambda number: [
            published("iopub_welcome", number=number)
        ]
        self.welcomed = 0
        self.rejected_count = 0
        self.connections = 0

    def client_sent(self, client: ClientId, channel: Channel, message: Message) -> None:
        self.reports.put(Report("sent", client, channel, message))

    def connected(self) -> None:
        self.connections += 1

    def client_returned(self, client: ClientId, owner: bool, missed_nothing: bool = False) -> None:
        self.reports.put(Report("returned", client, owner=owner, missed_nothing=missed_nothing))

    def client_left(self, client: ClientId) -> None:
        self.reports.put(Report("left", client))

    def subscribed(self, endpoint: bytes) -> None:
        assert endpoint == TAG
        assert self.endpoint is not None
        self.welcomed += 1
        for message in self.welcome(self.welcomed):
            self.endpoint.send_to_newest(message)
        self.reports.put(Report("subscribed"))

    def rejected(self, channel: Channel, error: ClientProtocolError) -> None:
        self.rejected_count += 1
        self.reports.put(Report("rejected", channel=channel, error=error))

    def buffers_left_out(self, client: ClientId) -> None:
        self.reports.put(Report("buffers left out", client=client))

    def cut_off(self, peer: str, backlog: int) -> None:
        self.reports.put(Report("cut off", backlog=backlog))

    def of(self, what: str) -> list[Report]:
        """All reports of one kind so far."""
        return [report for report in self.reports.items if report.what == what]

    async def next(self, what: str) -> Report:
        """The next report of this kind; others before it are passed over."""
        return await self.reports.next_where(lambda report: report.what == what)

    async def until(self, what: str, count: int) -> list[Report]:
        """Wait until there were so many of one kind in all."""
        await self.reports.until(lambda _: len(self.of(what)) >= count)
        return self.of(what)


class Frontend:
    """Real sockets on an endpoint's ports, as jupyter_client connects them."""

    def __init__(
        self,
        context: Context,
        sockets: SocketSet,
        info: ConnectionInfo,
        identity: bytes | None,
        *,
        channels: Iterable[Channel] = (*DEALERS, IOPUB),
        topics: Iterable[bytes] = (b"",),
        reconnects: bool = True,
        server_key: CurveKeys | None = None,
    ) -> None:
        self.info = info
        self.identity = identity
        self.received: dict[Channel, Inbox[Message]] = {}
        self.routing: dict[Channel, list[tuple[bytes, ...]]] = {}
        self._sockets = sockets
        self._signer = info.signer()
        self.sockets: dict[Channel, ZmqSocket] = {}
        for channel in channels:
            raw = context.socket(zmq.SUB if channel is IOPUB else zmq.DEALER)
            raw.linger = 0
            raw.sndhwm = raw.rcvhwm = 0
            raw.ipv6 = ":" in info.ip
            if not reconnects:
                raw.reconnect_ivl = -1
            if server_key is not None:
                public, secret = zmq.curve_keypair()
                raw.curve_publickey, raw.curve_secretkey = public, secret
                raw.curve_serverkey = server_key.public.encode()
            if channel is IOPUB:
                for topic in topics:
                    raw.subscribe(topic)
            elif identity is not None:
                raw.routing_id = identity
            raw.connect(info.url(channel))
            self.received[channel] = Inbox()
            self.routing[channel] = []
            self.sockets[channel] = sockets.add(raw, self._receiver(channel))

    def _receiver(self, channel: Channel) -> Callable[[list[Part], zmq.Frame], None]:
        def receive(frames: list[Part], origin: zmq.Frame) -> None:
            routing, message = zmq_frames.decode(frames, self._signer, KernelProtocolError)
            self.routing[channel].append(routing)
            self.received[channel].put(message)

        return receive

    @property
    def id(self) -> ClientId:
        assert self.identity is not None
        return ClientId((TAG, self.identity))

    def send(
        self, message: Message, channel: Channel = SHELL, routing: tuple[bytes, ...] = ()
    ) -> None:
        self.sockets[channel].send(zmq_frames.encode(routing, message, self._signer))

    async def get(self, channel: Channel = SHELL) -> Message:
        return await self.received[channel].next()

    async def welcome(self) -> Message:
        """The first message on iopub."""
        message = await self.get(IOPUB)
        assert message.msg_type == "iopub_welcome"
        return message

    def topics(self) -> list[bytes]:
        return [routing[0] for routing in self.routing[IOPUB]]

    def close(self, *channels: Channel) -> None:
        """Disconnect some channels, or all."""
        for channel in channels or tuple(self.sockets):
            self._sockets.close(self.sockets.pop(channel))


class Guest(Protocol):
    """Whoever has to be shown out at the end."""

    def close(self) -> None: ...


class Scene:
    """One endpoint, and whoever connects to it."""

    def __init__(self, context: Context, sockets: SocketSet, info: ConnectionInfo) -> None:
        self.context = context
        self.sockets = sockets
        self.sink = Recorder()
        self.endpoint = ZmqEndpoint(context, sockets, info, self.sink, tag=TAG)
        self.sink.endpoint = self.endpoint
        self.info = self.endpoint.info
        self.guests: list[Guest] = []
        self.open = True
        self.messages_are_stuck = False

    def frontend(self, identity: bytes | None = b"alice", **options: object) -> Frontend:
        """Another frontend connects; it is disconnected when the scene ends."""
        frontend = Frontend(self.context, self.sockets, self.info, identity, **options)  # type: ignore[arg-type]
        self.guests.append(frontend)
        return frontend

    async def fence(self, *frontends: Frontend) -> None:
        """Publish a last word, and wait until all have heard it: what came before has come."""
        last = published("last_word")
        self.endpoint.publish(last)
        for frontend in frontends:
            await frontend.received[IOPUB].until(
                lambda items: any(item.msg_id == last.msg_id for item in items)
            )

    def close_endpoint(self, linger_ms: int = 0) -> None:
        if self.open:
            self.open = False
            self.endpoint.close(linger_ms)

    async def close(self) -> None:
        """Show the guests out; where one did not read, close the doors only when all have gone.

        libzmq 4.3.5 aborts the process where a connection breaks in the middle of a message at
        the moment at which its socket is closed (session_base.cpp, clean_pipes).
        """
        for guest in self.guests:
            guest.close()
        if self.messages_are_stuck:
            with trio.CancelScope(shield=True), trio.move_on_after(5):
                await eventually(lambda: not connections_of(self.info))
        self.close_endpoint()


def connections_of(info: ConnectionInfo) -> set[str]:
    """The open connections to these ports, as the system's tables show them."""
    if info.transport == "ipc":
        return set()
    ports = {f":{info.port(channel):04X}" for channel in Channel}
    rows = [line.split() for table in ("tcp", "tcp6") for line in open_table(table)]
    return {row[2] for row in rows if row[1][-5:] in ports and row[3] in ESTABLISHED_OR_CLOSING}


ESTABLISHED_OR_CLOSING = {"01", "08"}


def open_table(name: str) -> list[str]:
    path = Path(f"/proc/net/{name}")
    return path.read_text().splitlines()[1:] if path.exists() else []


@asynccontextmanager
async def open_scene(
    *, key: str = "the key", curve: CurveKeys | None = None, ipc: Path | None = None
) -> AsyncIterator[Scene]:
    """Open an endpoint on free ports, or on sockets in a directory."""
    info = ConnectionInfo(key=key, curve=curve)
    if ipc is not None:
        info = ConnectionInfo(key=key, curve=curve, transport="ipc", ip=str(ipc / "kernel"))
    with open_context() as context:
        async with run_sockets() as sockets:
            scene = Scene(context, sockets, info)
            try:
                yield scene
            finally:
                await scene.close()


def new_curve_keys() -> CurveKeys:
    public, secret = zmq.curve_keypair()
    return CurveKeys(public.decode(), secret.decode())
