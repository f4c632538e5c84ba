"""ZMQ sockets as trio citizens: nothing stalls, nothing is lost, nobody starves."""

from __future__ import annotations

import ctypes
import random
import select
import time
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing
import zmq

from proxy.errors import ConfigError, InternalError
from proxy.message import Part
from proxy.sockets import (
    COPY_LIMIT_BYTES,
    MESSAGES_AT_LEAST,
    MESSAGES_PER_TURN,
    SocketSet,
    Unreachable,
    ZmqSocket,
)
from tests.inbox import Inbox
from tests.running import Context, open_context, run_sockets

Received = Inbox[list[Part]]


def put(inbox: Received) -> Callable[[list[Part], zmq.Frame], None]:
    return lambda frames, origin: inbox.put(frames)


def make(context: Context, kind: int, **options: int) -> zmq.Socket[bytes]:
    raw = context.socket(kind)
    raw.linger = 0
    raw.sndhwm = raw.rcvhwm = 0
    for name, value in options.items():
        setattr(raw, name, value)
    return raw


@pytest.fixture
def wire(context: Context) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Two connected DEALERs. What is sent on one waits on the other at once: no I/O thread."""
    ours, peer = make(context, zmq.DEALER), make(context, zmq.DEALER)
    ours.bind("inproc://wire")
    peer.connect("inproc://wire")
    return ours, peer


Wire = tuple[zmq.Socket[bytes], zmq.Socket[bytes]]


async def test_messages_come_whole_and_in_order(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    sent = [[b"a", b""], [b"\x00" * 1000], [b"c", b"d", b"e"]] * 40
    for frames in sent:
        peer.send_multipart(frames)
    sockets.add(ours, put(inbox))
    assert await inbox.until(lambda items: len(items) == len(sent)) == sent
    peer.close()


async def test_what_is_sent_arrives(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    socket, other = sockets.add(ours, lambda *_: None), sockets.add(peer, put(inbox))
    assert socket is not other
    await trio.testing.wait_all_tasks_blocked()
    socket.send([b"one"])
    socket.send([b"", b"x" * 10, memoryview(b"y" * 10)])
    assert [await inbox.next(), await inbox.next()] == [[b"one"], [b"", b"x" * 10, b"y" * 10]]


async def test_a_message_that_came_during_a_send_from_elsewhere_is_not_stuck(
    sockets: SocketSet, wire: Wire
) -> None:
    """A timer answers a frontend at the moment at which another frontend asks.

    The send takes in libzmq's news, and with it the edge that the sleeping loop waits for.
    """
    ours, peer = wire
    inbox: Received = Inbox()
    socket = sockets.add(ours, put(inbox))
    for number in range(20):
        await trio.testing.wait_all_tasks_blocked()
        peer.send(b"%d" % number)
        assert select.select([ours.FD], [], [], 5)[0], "the edge has come"
        time.sleep(0.005)  # noqa: ASYNC251  (libzmq looks for news only each 3,000,000 cycles)
        socket.send([b"answer"])
        assert await inbox.next(2) == [b"%d" % number]
    peer.close()


async def test_a_socket_is_served_from_the_moment_at_which_it_is_added(
    sockets: SocketSet, wire: Wire
) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    await trio.testing.wait_all_tasks_blocked()
    first, second = sockets.add(ours, lambda *_: None), sockets.add(peer, put(inbox))
    first.send([b"x"])
    second.send([b"y"])
    assert await inbox.next(2) == [b"x"]


async def test_a_flood_on_one_socket_does_not_starve_another(context: Context) -> None:
    flooded, flood = make(context, zmq.DEALER), make(context, zmq.DEALER)
    quiet, calm = make(context, zmq.DEALER), make(context, zmq.DEALER)
    for name, (near, far) in {"flood": (flooded, flood), "calm": (quiet, calm)}.items():
        near.bind(f"inproc://{name}")
        far.connect(f"inproc://{name}")
    for _ in range(50 * MESSAGES_PER_TURN):
        flood.send(b"")
    for _ in range(3 * MESSAGES_PER_TURN):
        calm.send(b"")
    order: list[str] = []
    async with run_sockets() as sockets:
        sockets.add(flooded, lambda *_: order.append("flood"))
        sockets.add(quiet, lambda *_: order.append("calm"))
        with trio.fail_after(10):
            while order.count("calm") < 3 * MESSAGES_PER_TURN:
                await trio.lowlevel.checkpoint()
    for turn in range(1, 4):
        nth = [at for at, name in enumerate(order) if name == "calm"][turn * MESSAGES_PER_TURN - 1]
        assert order[:nth].count("flood") <= turn * MESSAGES_PER_TURN
    flood.close()
    calm.close()


async def test_a_turn_ends_early_for_who_gets_something_meanwhile(context: Context) -> None:
    flooded, flood = make(context, zmq.DEALER), make(context, zmq.DEALER)
    quiet, calm = make(context, zmq.DEALER), make(context, zmq.DEALER)
    for name, (near, far) in {"flood": (flooded, flood), "calm": (quiet, calm)}.items():
        near.bind(f"inproc://{name}")
        far.connect(f"inproc://{name}")
    order: list[str] = []

    def deliver(frames: list[Part], origin: zmq.Frame) -> None:
        order.append("flood")
        if order.count("flood") == 2 * MESSAGES_PER_TURN:
            calm.send(b"")
            assert select.select([quiet.FD], [], [], 5)[0], "it is there"

    async with run_sockets() as sockets:
        sockets.add(flooded, deliver)
        sockets.add(quiet, lambda *_: order.append("calm"))
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10 * MESSAGES_PER_TURN):
            flood.send(b"")
        with trio.fail_after(10):
            while order.count("flood") < 10 * MESSAGES_PER_TURN:
                await trio.lowlevel.checkpoint()
    waited = order.index("calm") - 2 * MESSAGES_PER_TURN
    assert 0 <= waited <= MESSAGES_AT_LEAST
    flood.close()
    calm.close()


async def test_what_comes_in_with_others_is_delivered_first_where_that_is_asked(
    context: Context,
) -> None:
    """A subscription and the question that its sender asks at once are on different sockets."""
    pairs = {}
    for name in ("question", "subscription"):
        pairs[name] = make(context, zmq.DEALER), make(context, zmq.DEALER)
        pairs[name][0].bind(f"inproc://{name}")
        pairs[name][1].connect(f"inproc://{name}")
        pairs[name][1].send(b"")
    order: list[str] = []
    async with run_sockets() as sockets:
        for name, (near, _) in pairs.items():
            sockets.add(near, lambda *_, n=name: order.append(n), first=name == "subscription")
        with trio.fail_after(10):
            while len(order) < 2:
                await trio.lowlevel.checkpoint()
    assert order == ["subscription", "question"]
    for _, far in pairs.values():
        far.close()


async def test_nor_does_it_starve_other_tasks(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    handled = 0

    def count(*_: object) -> None:
        nonlocal handled
        handled += 1

    for _ in range(100 * MESSAGES_PER_TURN):
        peer.send(b"")
    sockets.add(ours, count)
    seen = []
    with trio.fail_after(10):
        while handled < 100 * MESSAGES_PER_TURN:
            seen.append(handled)
            await trio.lowlevel.checkpoint()
    assert len(seen) >= 50, "this task had its turn all along"
    peer.close()


async def test_a_socket_that_answers_itself_does_not_starve_others(sockets: SocketSet) -> None:
    """A callback that sends makes its socket ready again: another round, not another turn."""
    with open_context() as context:
        ours, peer = make(context, zmq.DEALER), make(context, zmq.DEALER)
        ours.bind("inproc://echo")
        peer.connect("inproc://echo")
        rounds = 0
        async with run_sockets() as echoing:

            def bounce(socket: list[ZmqSocket], frames: list[Part], _: zmq.Frame) -> None:
                nonlocal rounds
                rounds += 1
                socket[0].send(frames)

            one: list[ZmqSocket] = []
            two: list[ZmqSocket] = []
            one.append(echoing.add(ours, partial(bounce, one)))
            two.append(echoing.add(peer, partial(bounce, two)))
            one[0].send([b"for ever"])
            with trio.fail_after(10):
                while rounds < 1000:
                    await trio.lowlevel.checkpoint()


async def test_an_unknown_peer_is_unreachable(sockets: SocketSet, context: Context) -> None:
    router = make(context, zmq.ROUTER, router_mandatory=1)
    router.bind("inproc://router")
    socket = sockets.add(router, lambda *_: None)
    with pytest.raises(Unreachable):
        socket.send([b"nobody", b"x"])


async def test_a_peer_that_does_not_read_is_unreachable_and_gets_no_half_messages(
    sockets: SocketSet, context: Context
) -> None:
    router = make(context, zmq.ROUTER, router_mandatory=1, sndhwm=5)
    router.bind("inproc://router")
    slow = make(context, zmq.DEALER, rcvhwm=5)
    slow.routing_id = b"slow"
    slow.connect("inproc://router")
    socket = sockets.add(router, lambda *_: None)
    sent = 0

    def send_for_ever() -> None:
        nonlocal sent
        while True:
            socket.send([b"slow", b"%d" % sent, b"last frame"])
            sent += 1

    with pytest.raises(Unreachable):
        send_for_ever()
    assert sent >= 10
    got = [slow.recv_multipart(zmq.NOBLOCK) for _ in range(sent)]
    assert got == [[b"%d" % number, b"last frame"] for number in range(sent)]
    with pytest.raises(zmq.Again):
        slow.recv_multipart(zmq.NOBLOCK)
    router.getsockopt(zmq.EVENTS)  # takes in the news that there is room
    socket.send([b"slow", b"again", b"last frame"])
    assert slow.recv_multipart() == [b"again", b"last frame"]
    slow.close()


async def test_so_is_a_dealers_peer_whose_queue_is_full(
    sockets: SocketSet, context: Context
) -> None:
    dealer = make(context, zmq.DEALER, sndhwm=2)
    dealer.connect("tcp://127.0.0.1:9")  # nobody listens on discard
    socket = sockets.add(dealer, lambda *_: None)
    socket.send([b"x"])
    socket.send([b"x"])
    with pytest.raises(Unreachable):
        socket.send([b"x"])


def address(view: Part) -> int:
    assert isinstance(view, memoryview)
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@pytest.mark.parametrize("size", [0, 1, COPY_LIMIT_BYTES - 1, COPY_LIMIT_BYTES, 5_000_000])
async def test_frames_of_all_sizes_are_byte_identical(
    sockets: SocketSet, wire: Wire, size: int
) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    sockets.add(ours, put(inbox))
    content = random.Random(size).randbytes(size)
    peer.send_multipart([b"head", content, b"tail"])
    head, got, tail = await inbox.next()
    assert (head, bytes(got), tail) == (b"head", content, b"tail")
    assert isinstance(got, memoryview if size >= COPY_LIMIT_BYTES else bytes)
    peer.close()


async def test_large_frames_pass_through_two_sockets_without_a_copy(
    sockets: SocketSet, context: Context, wire: Wire
) -> None:
    ours, peer = wire
    onward, far = make(context, zmq.DEALER), make(context, zmq.DEALER)
    onward.bind("inproc://onward")
    far.connect("inproc://onward")
    first: Received = Inbox()
    last: Received = Inbox()
    sender = sockets.add(onward, lambda *_: None)

    def forward(frames: list[Part], origin: zmq.Frame) -> None:
        first.put(frames)
        sender.send(frames)
        sender.send(frames)  # one message to two frontends

    sockets.add(ours, forward)
    sockets.add(far, put(last))
    peer.send(random.Random(0).randbytes(1_000_000))
    (came,) = await first.next()
    (left,), (again,) = await last.next(), await last.next()
    assert left == again == came
    assert address(left) == address(again) == address(came)
    peer.close()


async def test_a_slice_of_a_large_frame_is_sent_as_the_slice_that_it_is(
    sockets: SocketSet, wire: Wire
) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    socket = sockets.add(ours, put(inbox))
    other = sockets.add(peer, lambda frames, origin: other.send([memoryview(frames[0])[5:100_005]]))
    await trio.testing.wait_all_tasks_blocked()
    content = random.Random(0).randbytes(200_000)
    socket.send([content])
    (got,) = await inbox.next()
    assert got == content[5:100_005]


async def test_a_socket_may_be_closed_while_it_delivers(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    got: list[list[Part]] = []

    def first_and_last(frames: list[Part], origin: zmq.Frame) -> None:
        got.append(frames)
        sockets.close(socket)

    for _ in range(5):
        peer.send(b"x")
    socket = sockets.add(ours, first_and_last)
    await trio.testing.wait_all_tasks_blocked()
    assert got == [[b"x"]]
    assert ours.closed
    sockets.close(socket)  # a second time is no error
    peer.close()


async def test_one_that_is_ready_may_be_closed_by_another(sockets: SocketSet) -> None:
    with open_context() as context:
        pairs = []
        for number in range(2):
            near, far = make(context, zmq.DEALER), make(context, zmq.DEALER)
            near.bind(f"inproc://{number}")
            far.connect(f"inproc://{number}")
            far.send(b"x")
            far.send(b"x")
            pairs.append((near, far))
        delivered: list[int] = []
        added: list[ZmqSocket] = []

        def close_the_other(number: int, frames: list[Part], origin: zmq.Frame) -> None:
            delivered.append(number)
            sockets.close(added[1 - number])

        added += [
            sockets.add(near, partial(close_the_other, number))
            for number, (near, _) in enumerate(pairs)
        ]
        await trio.testing.wait_all_tasks_blocked()
        assert delivered in ([0, 0], [1, 1])
        survivor = delivered[0]
        inbox_far = pairs[survivor][1]
        inbox_far.send(b"x")
        with trio.fail_after(5):
            while len(delivered) < 3:
                await trio.lowlevel.checkpoint()
        for near, far in pairs:
            far.close()
            sockets.close(added[pairs.index((near, far))])


async def test_when_cancelled_nothing_is_lost(context: Context, wire: Wire) -> None:
    ours, peer = wire
    count = 10 * MESSAGES_PER_TURN
    for number in range(count):
        peer.send_multipart([b"%d" % number, b"rest"])
    got: list[list[Part]] = []
    sockets = SocketSet()
    sockets.add(ours, lambda frames, origin: got.append(frames))
    with trio.CancelScope() as scope:
        scope.cancel()
        await sockets.run()
    assert len(got) < count
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sockets.run)
        with trio.fail_after(5):
            while len(got) < count:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert got == [[b"%d" % number, b"rest"] for number in range(count)]
    sockets.close_all()
    peer.close()


async def test_it_sleeps_while_nothing_happens(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    inbox: Received = Inbox()
    sockets.add(ours, put(inbox))
    peer.send(b"x")
    await inbox.next()
    await trio.testing.wait_all_tasks_blocked()
    before = sockets.wakeups
    for _ in range(100):
        await trio.lowlevel.checkpoint()
    assert sockets.wakeups == before
    for _ in range(3):
        peer.send(b"x")
        await inbox.next()
    assert before < sockets.wakeups <= before + 6
    peer.close()


async def test_a_socket_is_added_once(sockets: SocketSet, wire: Wire) -> None:
    ours, peer = wire
    sockets.add(ours, lambda *_: None)
    with pytest.raises(InternalError):
        sockets.add(ours, lambda *_: None)
    peer.close()


async def test_unsent_messages_linger_as_long_as_they_are_told_to(
    sockets: SocketSet, context: Context
) -> None:
    """A reply that was sent just before the end still goes out."""
    dealer, peer = make(context, zmq.DEALER), make(context, zmq.DEALER)
    port = peer.bind_to_random_port("tcp://127.0.0.1")
    dealer.connect(f"tcp://127.0.0.1:{port}")
    inbox: Received = Inbox()
    sockets.add(peer, put(inbox))
    socket = sockets.add(dealer, lambda *_: None)
    for number in range(100):
        socket.send([b"%d" % number])
    sockets.close(socket, linger_ms=5000)
    assert len(await inbox.until(lambda items: len(items) == 100)) == 100


def test_without_epoll_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(ConfigError, match="Linux"):
        SocketSet()


# Both ways at once


STUCK_SECONDS = 10.0


class Side:
    """One end of a conversation in which both talk all the time.

    Each sends its n-th message only when it has all but ``window`` of the other's first n: one
    message that is lost or stuck at either end stops both. Half of what is sent is sent while a
    message is delivered, as a proxy does, half by another task, as timers do.
    """

    def __init__(self, count: int, window: int, seed: int, *, begins: bool) -> None:
        self.count = count
        self.connected = begins
        self.window = window
        self.sent = 0
        self.received = 0
        self.random = random.Random(seed)
        self.more = trio.Event()
        self.socket: ZmqSocket

    def on_message(self, frames: list[Part], origin: zmq.Frame) -> None:
        number, rest = frames
        assert number == b"%d" % self.received
        assert rest == b"x" * (self.received % 50)
        self.received += 1
        self.connected = True
        if self.may_send and self.random.random() < 0.5:
            self.send()
        self.more.set()

    @property
    def may_send(self) -> bool:
        room = self.sent - self.received < self.window
        return room and self.sent < self.count and self.connected

    def send(self) -> None:
        self.socket.send([b"%d" % self.sent, b"x" * (self.sent % 50)])
        self.sent += 1

    async def talk(self, raw: zmq.Socket[bytes]) -> None:
        """Talk until all is said, or nothing was heard for too long."""
        async with run_sockets() as sockets:
            self.socket = sockets.add(raw, self.on_message)
            while self.sent < self.count or self.received < self.count:
                if not self.may_send:
                    self.more = trio.Event()
                    with trio.move_on_after(STUCK_SECONDS) as scope:
                        await self.more.wait()
                    if scope.cancelled_caught:
                        return
                for _ in range(self.random.randrange(1, 8)):
                    if self.may_send:
                        self.send()
                await trio.lowlevel.checkpoint()


def in_a_thread(side: Side, address: str) -> None:
    """The other end: a trio, a context and a socket set of its own."""

    async def main() -> None:
        with open_context() as context:
            raw = make(context, zmq.DEALER, linger=5000)
            raw.connect(address)
            await side.talk(raw)
            raw.close()  # what it sent last still goes out
            context.term()

    trio.run(main)


async def converse(count: int, window: int) -> None:
    near = Side(count, window, seed=1, begins=False)  # it is bound: nobody is there yet
    far = Side(count, window, seed=2, begins=True)
    with open_context() as context:
        raw = make(context, zmq.DEALER, linger=5000)
        port = raw.bind_to_random_port("tcp://127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, in_a_thread, far, f"tcp://127.0.0.1:{port}")
            await near.talk(raw)
    for side in (near, far):
        assert (side.sent, side.received) == (count, count), "a message is stuck"


@pytest.mark.parametrize(("count", "window"), [(2_000, 1), (6_000, 5), (12_000, 300)])
async def test_both_talk_at_once_and_no_message_is_stuck(count: int, window: int) -> None:
    """20,000 messages each way in all."""
    await converse(count, window)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "window"), [(50_000, 1), (100_000, 5), (850_000, 300)])
async def test_a_million_messages_each_way(count: int, window: int) -> None:
    await converse(count, window)
