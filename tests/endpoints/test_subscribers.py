"""The iopub side: everybody hears everything, one alone can be addressed, nobody falls behind."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest
import trio
import trio.testing
import zmq

from proxy.endpoints import subscribers as module
from proxy.endpoints.subscribers import FALLBACK_TOPIC, PRIVATE
from proxy.message import Channel, Message
from tests.endpoints.scene import IOPUB, Frontend, Scene, connections_of, new_curve_keys, open_scene
from tests.inbox import eventually
from tests.messages import message, published, status

ONLY = {"channels": [IOPUB]}


def number_of(message: Message) -> int:
    number = message.content()["number"]
    assert isinstance(number, int)
    return number


# Welcome


async def test_a_new_subscriber_is_welcomed_alone_and_before_all_else(scene: Scene) -> None:
    scene.sink.welcome = lambda number: [
        published("iopub_welcome", number=number),
        status("idle"),
    ]
    early = scene.frontend(b"early", **ONLY)
    await early.welcome()
    for number in range(50):
        scene.endpoint.publish(published("x", number=number))
    late = scene.frontend(b"late", **ONLY)
    welcome = await late.welcome()
    assert number_of(welcome) == 2
    assert (await late.get(IOPUB)).msg_type == "status"
    await scene.fence(early, late)
    assert len(late.received[IOPUB]) == 3, "the welcome, the status and the fence"
    kinds = [m.msg_type for m in early.received[IOPUB].items]
    assert kinds == ["iopub_welcome", "status", *["x"] * 50, "last_word"]


async def test_many_at_once_get_one_welcome_each_and_each_its_own(scene: Scene) -> None:
    scene.sink.welcome = lambda number: [
        published("iopub_welcome", number=number),
        published("replay", number=number),
    ]
    frontends = [scene.frontend(b"%d" % number, **ONLY) for number in range(30)]
    numbers = [number_of(await frontend.welcome()) for frontend in frontends]
    assert sorted(numbers) == list(range(1, 31))
    for frontend, number in zip(frontends, numbers, strict=True):
        assert number_of(await frontend.get(IOPUB)) == number
    await scene.fence(*frontends)
    assert [len(frontend.received[IOPUB]) for frontend in frontends] == [3] * 30


async def test_those_who_come_after_others_have_gone_are_welcomed_too(scene: Scene) -> None:
    rng = random.Random(0)
    here = []
    for _ in range(40):
        if here and rng.random() < 0.5:
            here.pop(rng.randrange(len(here))).close()
        else:
            here.append(scene.frontend(None, **ONLY))
            await here[-1].welcome()
    assert here
    await scene.fence(*here)
    for frontend in here:
        kinds = [m.msg_type for m in frontend.received[IOPUB].items]
        assert kinds == ["iopub_welcome", "last_word"]


async def test_one_that_leaves_while_another_is_welcomed_takes_nothing_from_it(
    scene: Scene,
) -> None:
    """A page is reloaded: its old connection closes at the moment at which the new one comes."""
    old = scene.frontend(b"old", **ONLY)
    await old.welcome()

    def welcome_and_meanwhile(number: int) -> Iterator[Message]:
        old.close()
        deadline = time.monotonic() + 10
        while len(connections_of(scene.info)) > 1:
            assert time.monotonic() < deadline
        for kind in ("iopub_welcome", "status", "replay"):
            time.sleep(0.01)  # libzmq looks for news only each 3,000,000 cycles
            yield published(kind, number=number)

    scene.sink.welcome = welcome_and_meanwhile
    new = scene.frontend(b"new", **ONLY)
    await new.welcome()
    await scene.fence(new)


async def test_from_the_welcome_on_nothing_is_missed(scene: Scene) -> None:
    """Frontends that join at any time hear a seamless rest of what is published."""
    rng = random.Random(1)
    frontends = []
    for number in range(3000):
        scene.endpoint.publish(published("x", number=number))
        if rng.random() < 0.01:
            frontends.append(scene.frontend(None, **ONLY))
        if rng.random() < 0.2:
            await trio.lowlevel.checkpoint()
    for frontend in frontends:
        await frontend.welcome()
    await scene.fence(*frontends)
    joined = []
    for frontend in frontends:
        heard = [m for m in frontend.received[IOPUB].items if m.msg_type == "x"]
        numbers = [number_of(m) for m in heard]
        assert numbers == list(range(3000 - len(numbers), 3000))
        joined.append(len(numbers))
    assert len(set(joined)) > 3, "they did join at different times"


async def test_who_unsubscribes_hears_nothing_and_is_welcomed_when_it_is_back(
    scene: Scene,
) -> None:
    alice, bob = scene.frontend(b"alice", **ONLY), scene.frontend(b"bob", **ONLY)
    await alice.welcome()
    await bob.welcome()
    raw = alice.sockets[IOPUB].raw
    raw.unsubscribe(b"")
    with trio.fail_after(5):
        for number in range(10**6):  # libzmq filters here as well: watch the other end
            scene.endpoint.publish(published("x", number=number))
            await scene.fence(bob)
            if scene.endpoint.subscribers._socket.raw.getsockopt(zmq.EVENTS) & zmq.POLLIN == 0:
                break
    heard = len(alice.received[IOPUB])
    raw.subscribe(b"")
    await alice.received[IOPUB].until(
        lambda items: any(m.msg_type == "iopub_welcome" for m in items[heard:])
    )
    await scene.fence(alice, bob)


async def test_an_endpoint_that_says_nothing_to_newcomers_is_fine(scene: Scene) -> None:
    scene.sink.welcome = lambda number: []
    alice = scene.frontend(**ONLY)
    await scene.sink.next("subscribed")
    await trio.testing.wait_all_tasks_blocked()
    await scene.fence(alice)


# Topics


@pytest.mark.parametrize("private", [PRIVATE, PRIVATE * 8 + b"\x01", b"\x00\x00", b"\x00" * 9])
async def test_what_is_for_one_reaches_nobody_else(scene: Scene, private: bytes) -> None:
    """Whatever the others have subscribed to: private topics, everything, all first bytes."""
    secret = b"for one alone"
    scene.sink.welcome = lambda number: [message("secret", {"who": number}, topic=secret)]
    everything = scene.frontend(b"everything", **ONLY)
    await everything.get(IOPUB)
    snoop = scene.frontend(b"snoop", channels=[IOPUB], topics=[private, b"kernel."])
    bytewise = scene.frontend(
        b"bytewise", channels=[IOPUB], topics=[bytes([byte]) for byte in range(256)]
    )
    with trio.fail_after(10):
        while not (len(snoop.received[IOPUB]) and len(bytewise.received[IOPUB])):
            scene.endpoint.publish(published("probe"))
            await trio.sleep(0.01)
    newcomers = [scene.frontend(None, **ONLY) for _ in range(5)]
    for newcomer in newcomers:
        assert (await newcomer.get(IOPUB)).msg_type == "secret"
    await scene.fence(everything, snoop, bytewise, *newcomers)
    for frontend in (snoop, bytewise):
        assert "secret" not in {m.msg_type for m in frontend.received[IOPUB].items}
    for frontend in (everything, *newcomers):
        secrets = [m for m in frontend.received[IOPUB].items if m.msg_type == "secret"]
        assert len(secrets) == 1


async def test_who_wants_some_topics_hears_those(scene: Scene) -> None:
    picky = scene.frontend(b"picky", channels=[IOPUB], topics=[b"stream", b"kernel.1.status"])
    other = scene.frontend(b"other", **ONLY)
    await other.welcome()
    with trio.fail_after(10):
        while not len(picky.received[IOPUB]):
            scene.endpoint.publish(message("probe", topic=b"stream.probe"))
            await trio.sleep(0.01)
    topics = [b"stream.stdout", b"display_data", b"kernel.1.status", b"kernel.2.status", b"strea"]
    before = len(picky.topics())
    for topic in topics:
        scene.endpoint.publish(message("x", topic=topic))
    scene.endpoint.publish(message("x", topic=b"stream.last"))
    await picky.received[IOPUB].until(lambda _: picky.topics()[-1] == b"stream.last")
    wanted = [b"stream.stdout", b"kernel.1.status", b"stream.last"]
    assert [t for t in picky.topics()[before:] if t != b"stream.probe"] == wanted
    await scene.fence(other)
    assert [t for t in other.topics() if t in topics] == topics


@pytest.mark.parametrize("topic", [b"", PRIVATE, PRIVATE + b"ident", b"\x00" * 9, b"\x01", b"\xff"])
async def test_whatever_the_kernels_topic_everybody_hears_it(scene: Scene, topic: bytes) -> None:
    """Some kernels publish under none, IRkernel under identities, which may begin with zero."""
    frontends = [scene.frontend(name, **ONLY) for name in (b"alice", b"bob")]
    for frontend in frontends:
        await frontend.welcome()
    said = message("stream", {"text": "x"}, topic=topic)
    scene.endpoint.publish(said)
    for frontend in frontends:
        heard = await frontend.get(IOPUB)
        assert (heard.raw_header, heard.raw_content) == (said.raw_header, said.raw_content)
        shown = frontend.topics()[-1]
        assert shown == (FALLBACK_TOPIC if topic[:1] in (b"", PRIVATE) else topic)


async def test_what_is_sent_to_a_publisher_changes_nothing(scene: Scene) -> None:
    """Messages on an XPUB that are no subscriptions, and such as look like some."""
    alice = scene.frontend(b"alice", **ONLY)
    await alice.welcome()
    odd = scene.context.socket(zmq.XSUB)
    odd.linger = 0
    odd.connect(scene.info.url(Channel.IOPUB))
    for frames in ([b"\x02hello"], [b""], [b"hello", b"world"], [b"\x00unknown"], [b"\x01", b"x"]):
        odd.send_multipart(frames)
    odd.send(b"\x01")
    await scene.sink.until("subscribed", 2)
    await scene.fence(alice)
    assert [m.msg_type for m in alice.received[IOPUB].items] == ["iopub_welcome", "last_word"]
    odd.close()


# Who is there


async def test_subscribers_are_counted_while_they_are_connected(scene: Scene) -> None:
    frontends = [scene.frontend(None, **ONLY) for _ in range(5)]
    for frontend in frontends:
        await frontend.welcome()
    assert len(scene.endpoint.subscribers) == 5
    for frontend in frontends[:3]:
        frontend.close()
    await eventually(lambda: len(scene.endpoint.subscribers) == 2)
    await scene.fence(*frontends[3:])


async def test_one_that_left_at_once_is_not_kept(scene: Scene) -> None:
    """It came and went while this process was busy: what it left behind comes all at once.

    Its descriptor will be another connection's, which would then be measured, and cut off, for
    what was published since.
    """
    await trio.testing.wait_all_tasks_blocked()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        context = zmq.Context[zmq.Socket[bytes]]()
        raw = context.socket(zmq.XSUB)
        raw.connect(scene.info.url(Channel.IOPUB))
        raw.send(b"\x01")
        raw.close(linger=5000)
        context.term()  # when the subscription is on its way
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline
    alice = scene.frontend(b"alice", **ONLY)
    await alice.welcome()
    await scene.fence(alice)
    assert len(scene.endpoint.subscribers) == 1


# Who does not read

LIMIT_BYTES = 256 * 1024


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_SUBSCRIBER_LIMIT_BYTES", LIMIT_BYTES)
    monkeypatch.setattr(module, "CHECK_EVERY_BYTES", LIMIT_BYTES // 16)


class Sleeper:
    """A subscriber that does not read, and whose machine keeps next to nothing for it."""

    def __init__(self, scene: Scene, *topics: bytes, **options: bytes) -> None:
        self.raw = scene.context.socket(zmq.SUB)
        self.raw.linger = 0
        self.raw.rcvhwm = 1
        self.raw.rcvbuf = 4096
        self.raw.reconnect_ivl = 10
        for name, value in options.items():
            setattr(self.raw, name, value)
        for topic in topics or (b"",):
            self.raw.subscribe(topic)
        self.raw.connect(scene.info.url(Channel.IOPUB))
        scene.guests.append(self)
        scene.messages_are_stuck = True

    async def read(self) -> list[bytes]:
        """Read one message."""
        with trio.fail_after(10):
            while True:
                try:
                    return self.raw.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    await trio.sleep(0.001)

    def close(self) -> None:
        self.raw.close()


def chunk(number: int) -> Message:
    return message("stream", {"number": number, "text": "x" * 4000}, topic=b"stream.stdout")


ENOUGH = 2000
"""Chunks: thirty times the limit, which no socket buffer takes."""


async def flood(scene: Scene, *readers: Frontend, until: str = "") -> int:
    """Publish, until this is reported or all is published. Returns how many.

    Readers are given the time to read: their machine is this one.
    """
    for number in range(ENOUGH):
        scene.endpoint.publish(chunk(number))
        await scene.fence(*readers)
        await trio.lowlevel.checkpoint()
        if scene.sink.of(until):
            return number + 1
    return ENOUGH


@pytest.mark.usefixtures("small_limit")
async def test_who_does_not_read_is_cut_off_and_the_others_lose_nothing(scene: Scene) -> None:
    others = [scene.frontend(name, **ONLY) for name in (b"alice", b"bob")]
    for frontend in others:
        await frontend.welcome()
    Sleeper(scene)
    await scene.sink.until("subscribed", 3)
    count = await flood(scene, *others, until="cut off")
    (report,) = scene.sink.of("cut off")
    assert report.backlog > LIMIT_BYTES
    await scene.fence(*others)
    for frontend in others:
        numbers = [number_of(m) for m in frontend.received[IOPUB].items if m.msg_type == "stream"]
        assert numbers == list(range(count))


@pytest.mark.usefixtures("small_limit")
async def test_who_was_cut_off_comes_back_and_is_welcomed_anew(scene: Scene) -> None:
    """libzmq connects again by itself; the welcome tells that something was missed."""
    scene.sink.welcome = lambda number: [message("iopub_welcome", topic=b"welcome %d" % number)]
    sleeper = Sleeper(scene)
    await scene.sink.until("subscribed", 1)
    await flood(scene, until="cut off")
    welcomes = 0
    while welcomes < 2:  # what its machine had taken in, and then a new beginning
        welcomes += b"iopub_welcome" in (await sleeper.read())[3]
    last = published("after_all")
    scene.endpoint.publish(last)
    while last.raw_header not in await sleeper.read():
        pass  # what was on its way when it came back


@pytest.mark.usefixtures("small_limit")
async def test_who_reads_is_not_cut_off_however_much_there_is(scene: Scene) -> None:
    """Time and again more than the limit, but read in between."""
    alice = scene.frontend(b"alice", **ONLY)
    await alice.welcome()
    for _ in range(40):
        for number in range(20):
            scene.endpoint.publish(chunk(number))
        await scene.fence(alice)
    assert scene.sink.of("cut off") == []
    assert len(alice.received[IOPUB]) == 1 + 40 * 21


@pytest.mark.usefixtures("small_limit")
async def test_one_bound_for_all_is_no_bound_for_each(scene: Scene) -> None:
    """Two who do not read are both cut off, each for its own backlog."""
    for _ in range(2):
        Sleeper(scene)
    await scene.sink.until("subscribed", 2)
    await flood(scene)
    assert len(scene.sink.of("cut off")) == 2


@pytest.mark.usefixtures("small_limit")
async def test_who_wants_some_topics_and_does_not_read_is_cut_off_too(scene: Scene) -> None:
    probe = scene.frontend(b"probe", **ONLY)
    await probe.welcome()
    sleeper = Sleeper(scene, b"stream")
    with trio.fail_after(10):
        while sleeper.raw.poll(0) == 0:
            scene.endpoint.publish(chunk(0))
            await trio.sleep(0.01)
    await flood(scene, probe, until="cut off")
    assert scene.sink.of("cut off")


@pytest.mark.usefixtures("small_limit")
async def test_who_reads_half_of_what_is_published_is_cut_off_in_the_end(scene: Scene) -> None:
    """Small messages: half of their bytes are signature, topic and framing."""
    small = message("status", {}, session="s", msg_id="m", topic=b"kernel." + b"t" * 40)
    sleeper = Sleeper(scene)
    await scene.sink.until("subscribed", 1)
    await sleeper.read()
    with trio.move_on_after(40):
        for _ in range(30_000):
            for _ in range(10):
                scene.endpoint.publish(small)
            for _ in range(5):
                await sleeper.read()
            if scene.sink.of("cut off"):
                break
    assert scene.sink.of("cut off")


@pytest.mark.usefixtures("small_limit")
async def test_with_encryption_who_stops_reading_is_cut_off_as_well() -> None:
    """Encryption adds to each frame: what was acknowledged is more than what was published."""
    keys = new_curve_keys()
    async with open_scene(curve=keys) as scene:
        public, secret = zmq.curve_keypair()
        sleeper = Sleeper(
            scene,
            curve_publickey=public,
            curve_secretkey=secret,
            curve_serverkey=keys.public.encode(),
        )
        await scene.sink.until("subscribed", 1)
        for number in range(2000):  # it keeps up for a while
            scene.endpoint.publish(published("x", number=number))
            await sleeper.read()
        assert scene.sink.of("cut off") == []
        await flood(scene, until="cut off")
        assert scene.sink.of("cut off")
