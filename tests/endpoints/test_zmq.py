"""The five ports of a connection file, with real frontends on them."""

from __future__ import annotations

import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import zmq

from proxy.endpoints.zmq import MAX_HEARTBEAT_BYTES, ZmqEndpoint
from proxy.errors import ConfigError, Conflict
from proxy.message import Channel, ClientId, Message
from proxy.session.commands import ToClient
from proxy.session.events import ClientReturned, ClientSent
from proxy.session.session import Session
from proxy.sockets import SocketSet, Unreachable
from proxy.wire import zmq_frames
from proxy.wire.connection import ConnectionInfo
from tests.endpoints.scene import (
    CONTROL,
    DEALERS,
    IOPUB,
    SHELL,
    STDIN,
    TAG,
    Recorder,
    Report,
    Scene,
    new_curve_keys,
    open_scene,
)
from tests.inbox import Inbox, eventually
from tests.messages import cell, message, published, reply, request
from tests.running import Context
from tests.session.playbook import answer_to, prompt_for, with_a_kernel


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A Unix socket's path has about 100 bytes: pytest's own directories are too long."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        yield Path(directory)


def raw_of(message: Message) -> tuple[object, ...]:
    return (
        message.raw_header,
        message.raw_parent,
        message.raw_metadata,
        message.raw_content,
        tuple(map(bytes, message.buffers)),
    )


# Requests and replies


@pytest.mark.parametrize("channel", DEALERS)
async def test_a_request_comes_with_its_sender_and_the_reply_goes_back(
    scene: Scene, channel: Channel
) -> None:
    alice, bob = scene.frontend(b"alice"), scene.frontend(b"bob")
    for frontend in (alice, bob):
        session = str(frontend.identity)
        asked = message(
            "x_request", {"a": "π"}, msg_id="1", session=session, buffers=[b"\xff", b""]
        )
        frontend.send(asked, channel)
        report = await scene.sink.next("sent")
        assert (report.client, report.channel) == (frontend.id, channel)
        assert report.message is not None
        assert raw_of(report.message) == raw_of(asked)
        answer = reply(asked, whose=session)
        scene.endpoint.send(frontend.id, channel, answer)
        assert raw_of(await frontend.get(channel)) == raw_of(answer)
    assert [len(frontend.received[channel]) for frontend in (alice, bob)] == [1, 1]


async def test_frames_ahead_of_the_delimiter_are_part_of_who_sent_it(scene: Scene) -> None:
    """Another kmux is a frontend of this one: several clients come on one connection."""
    chained = scene.frontend(b"kmux")
    inner = (b"zmq", b"alice")
    chained.send(cell(), routing=inner)
    report = await scene.sink.next("sent")
    assert report.client == ClientId((TAG, b"kmux", *inner))
    answer = reply(cell())
    scene.endpoint.send(report.client, SHELL, answer)
    assert raw_of(await chained.get()) == raw_of(answer)
    assert chained.routing[SHELL] == [inner]


async def test_large_buffers_pass_both_ways(scene: Scene) -> None:
    alice = scene.frontend()
    large = bytes(range(256)) * 8_000
    alice.send(message("comm_msg", buffers=[large, b"small"]))
    report = await scene.sink.next("sent")
    assert report.message is not None
    assert list(map(bytes, report.message.buffers)) == [large, b"small"]
    scene.endpoint.send(alice.id, SHELL, report.message)
    assert list(map(bytes, (await alice.get()).buffers)) == [large, b"small"]


async def test_a_client_that_was_never_there_is_unreachable(scene: Scene) -> None:
    with pytest.raises(Unreachable):
        scene.endpoint.send(ClientId((TAG, b"nobody")), SHELL, reply(cell()))


@pytest.mark.parametrize("key", ["the key", ""])
async def test_a_replayed_message_is_refused_where_messages_are_signed(key: str) -> None:
    async with open_scene(key=key) as scene:
        alice, mallory = scene.frontend(b"alice"), scene.frontend(b"mallory")
        asked, last = cell("transfer()"), cell("last")
        for frontend in (alice, mallory, alice):
            frontend.send(asked)
        alice.send(last)
        mallory.send(last)
        await scene.sink.reports.until(
            lambda _: len(scene.sink.of("sent")) + scene.sink.rejected_count == 5
        )
        assert len(scene.sink.of("rejected")) == (3 if key else 0)
        assert len(scene.sink.of("sent")) == (2 if key else 5)


# Who is there


async def test_a_client_is_announced_once_for_each_connection(scene: Scene) -> None:
    alice = scene.frontend(channels=DEALERS)
    for _ in range(3):
        alice.send(cell())
        await scene.sink.next("sent")
    assert [report.what for report in scene.sink.reports.items] == ["returned", *["sent"] * 3]
    assert scene.endpoint.connections.clients == (alice.id,)


async def come_and_go(scene: Scene) -> Report:
    """A frontend comes and goes: what happened on this channel before has then been seen."""
    visitor = scene.frontend(b"visitor", channels=[SHELL])
    visitor.send(cell())
    await scene.sink.reports.next_where(lambda r: (r.what, r.client) == ("sent", visitor.id))
    visitor.close()
    return await scene.sink.next("left")


async def test_it_has_left_when_its_last_connection_closed(scene: Scene) -> None:
    alice, bob = scene.frontend(b"alice"), scene.frontend(b"bob")
    for channel in (SHELL, CONTROL):
        alice.send(request("x"), channel)
        await scene.sink.next("sent")
    bob.send(cell())
    await scene.sink.next("sent")
    alice.close(SHELL)
    assert (await come_and_go(scene)).client != alice.id, "control is still there"
    alice.close()
    assert (await scene.sink.next("left")).client == alice.id
    assert scene.endpoint.connections.clients == (bob.id,)
    with pytest.raises(Unreachable):
        scene.endpoint.send(alice.id, SHELL, reply(cell()))
    scene.endpoint.send(bob.id, SHELL, reply(cell()))
    await bob.get()


async def test_who_comes_back_with_its_identity_is_the_same_client(scene: Scene) -> None:
    first = scene.frontend()
    first.send(cell())
    await scene.sink.next("sent")
    first.close()
    await scene.sink.next("left")
    second = scene.frontend()
    second.send(cell())
    assert (await scene.sink.next("returned")).client == first.id
    answer = reply(cell())
    scene.endpoint.send(first.id, SHELL, answer)
    assert (await second.get()).msg_id == answer.msg_id


async def test_who_comes_back_before_it_was_seen_to_leave_takes_over(scene: Scene) -> None:
    """A laptop that slept: its old connection hangs, the new one has the same identity."""
    old = scene.frontend(reconnects=False)
    old.send(cell())
    await scene.sink.next("sent")
    new = scene.frontend()
    new.send(cell())
    assert (await scene.sink.next("returned")).client == new.id
    answer = reply(cell())
    scene.endpoint.send(new.id, SHELL, answer)
    assert (await new.get()).msg_id == answer.msg_id
    old.close()
    assert (await come_and_go(scene)).client != new.id
    assert len(old.received[SHELL]) == 0
    assert new.id in scene.endpoint.connections.clients


async def test_an_identity_that_libzmq_made_up_is_a_client_too(scene: Scene) -> None:
    """JupyterLab's server opens sockets without one, for nudging."""
    anonymous = scene.frontend(None)
    anonymous.send(request("kernel_info"))
    client = (await scene.sink.next("sent")).client
    assert client is not None
    scene.endpoint.send(client, SHELL, reply(request("kernel_info")))
    await anonymous.get()
    anonymous.close()
    assert (await scene.sink.next("left")).client == client


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def connect_and_vanish(port: int, times: int) -> None:
    """Connect and disconnect, and wait until libzmq has closed its ends."""
    before = open_descriptors()
    for _ in range(times):
        socket.create_connection(("127.0.0.1", port)).close()
    deadline = time.monotonic() + 10
    while open_descriptors() > before:
        assert time.monotonic() < deadline


async def test_who_is_there_does_not_depend_on_who_came_and_went(scene: Scene) -> None:
    """Descriptors are used again: each has to be seen to close before it is another client's."""
    raw = scene.context.socket(zmq.DEALER)
    raw.linger = 0
    raw.routing_id = b"alice"
    await trio.testing.wait_all_tasks_blocked()
    # While this process is busy with something else, a port scanner visits, and then alice.
    connect_and_vanish(scene.info.port(SHELL), 300)
    raw.connect(scene.info.url(SHELL))
    raw.send_multipart(zmq_frames.encode((), cell(), scene.info.signer()))
    assert select.select([scene.endpoint._raws[SHELL].FD], [], [], 10)[0]
    await scene.sink.next("sent")
    await come_and_go(scene)
    raw.send_multipart(zmq_frames.encode((), cell(), scene.info.signer()))
    alice = ClientId((TAG, b"alice"))
    await scene.sink.until("sent", 3)
    raw.close()
    assert [r.what for r in scene.sink.reports.items if r.client == alice] == [
        "returned",
        "sent",
        "sent",
    ]


async def test_the_first_answer_on_stdin_does_not_bring_the_prompt_again(scene: Scene) -> None:
    """The first word on a channel comes on a connection that was not heard on before."""
    playbook = with_a_kernel()
    session: Session = playbook.session
    alice = scene.frontend(channels=DEALERS)

    async def deliver() -> None:
        """Hand what the endpoint reports to the session, and what it says to the endpoint."""
        report = await scene.sink.reports.next()
        assert report.client is not None
        if report.what == "returned":
            commands = session.handle(ClientReturned(at=0, client=report.client))
        else:
            assert report.channel is not None
            assert report.message is not None
            fields = {"client": report.client, "channel": report.channel}
            commands = session.handle(ClientSent(at=0, message=report.message, **fields))
        for command in commands:
            if isinstance(command, ToClient):
                scene.endpoint.send(command.client, command.channel, command.message)

    asked = cell("input()")
    alice.send(asked)
    await deliver()
    await deliver()
    prompt = prompt_for(asked)
    scene.endpoint.send(alice.id, STDIN, prompt)
    session.machines.prompts.ask(alice.id, prompt)
    await alice.get(STDIN)
    alice.send(answer_to(prompt), STDIN)
    with trio.fail_after(5):
        while len(session.machines.prompts):
            await deliver()
    marker = published("marker")
    scene.endpoint.send(alice.id, STDIN, marker)
    assert (await alice.get(STDIN)).msg_id == marker.msg_id, "prompted twice"


async def test_what_one_is_not_to_hear_nobody_hears_on_its_ports(scene: Scene) -> None:
    """iopub names nobody."""
    alice = scene.frontend()
    await alice.welcome()
    scene.endpoint.publish(published("for others"), frozenset([ClientId((b"elsewhere", b"x"))]))
    assert (await alice.get(IOPUB)).msg_type == "for others"
    scene.endpoint.publish(published("not for alice"), frozenset([alice.id]))
    scene.endpoint.publish(published("for all"))
    assert (await alice.get(IOPUB)).msg_type == "for all"


async def test_whoever_connects_is_reported_before_it_says_anything(scene: Scene) -> None:
    alice = scene.frontend(channels=[STDIN])
    await eventually(lambda: scene.sink.connections == 1)
    waiting = published("waiting")
    scene.endpoint.send(alice.id, STDIN, waiting)
    assert (await alice.get(STDIN)).msg_id == waiting.msg_id


CONNECTS_AGAIN_SECONDS = 0.25
"""By then libzmq has tried to connect again: it does after 0.1 s and a random part of as much."""


async def bind_again(scene: Scene) -> ZmqEndpoint:
    """Bind the ports of an endpoint that was closed, which libzmq does in a thread of its own."""
    with trio.fail_after(5):
        while True:
            try:
                return ZmqEndpoint(scene.context, scene.sockets, scene.info, scene.sink, tag=TAG)
            except Conflict:
                await trio.sleep(0.002)


@pytest.mark.parametrize("takes_its_time", [False, True])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_what_a_frontend_sends_while_kmux_changes_comes_in_once(
    transport: str, takes_its_time: bool, short_dir: Path
) -> None:
    """Before it notices that kmux has hung up that is this endpoint, and then the next one.

    It does not send without a pause: libzmq, on its side, drops a message of which it had sent one
    frame and not the next when its connection ended.
    """
    async with (
        open_scene(ipc=short_dir if transport == "ipc" else None) as scene,
        trio.open_nursery() as nursery,
    ):
        alice = scene.frontend(channels=DEALERS)
        sent = [cell(str(number)) for number in range(300)]

        async def send_all() -> None:
            for message in sent:
                alice.send(message)
                await trio.sleep(0.001)

        nursery.start_soon(send_all)
        first = scene.sink
        await first.until("sent", 50)
        scene.endpoint.hush()
        with pytest.raises(Unreachable):
            scene.endpoint.send(alice.id, SHELL, reply(sent[0]))
        scene.endpoint.hang_up()
        await eventually(lambda: not scene.endpoint.is_connected)
        scene.sockets.settle()
        taken = list(first.of("sent"))  # what comes later is not heeded any more
        if takes_its_time:
            scene.endpoint.stop_listening()
            await trio.sleep(CONNECTS_AGAIN_SECONDS)
        scene.endpoint.close()
        second = scene.sink = Recorder()
        scene.endpoint = await bind_again(scene)
        await second.until("sent", len(sent) - len(taken))
        came = [r.message.msg_id for r in [*taken, *second.of("sent")] if r.message]
        assert came == [message.msg_id for message in sent]
        assert not first.of("left")


# The heartbeat


async def test_the_heartbeat_echoes(scene: Scene) -> None:
    echoes: Inbox[list[object]] = Inbox()
    raw = scene.context.socket(zmq.REQ)
    raw.linger = 0
    raw.connect(scene.info.url(Channel.HEARTBEAT))
    beat = scene.sockets.add(raw, lambda frames, origin: echoes.put(frames))
    for ping in (b"ping", b"", b"\x00" * MAX_HEARTBEAT_BYTES):
        beat.send([ping])
        assert await echoes.next() == [ping]
    scene.sockets.close(beat)


async def test_a_heartbeat_is_no_way_to_fill_memory(scene: Scene) -> None:
    echoes: Inbox[list[object]] = Inbox()
    raw = scene.context.socket(zmq.DEALER)
    raw.linger = 0
    raw.reconnect_ivl = -1
    raw.connect(scene.info.url(Channel.HEARTBEAT))
    monitor = raw.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    cut_off: Inbox[list[object]] = Inbox()
    watched = scene.sockets.add(monitor, lambda frames, origin: cut_off.put(frames))
    beat = scene.sockets.add(raw, lambda frames, origin: echoes.put(frames))
    beat.send([b"x" * (MAX_HEARTBEAT_BYTES + 1)])
    await cut_off.next()
    assert len(echoes) == 0
    raw.disable_monitor()
    scene.sockets.close(watched)
    scene.sockets.close(beat)


# Ports and transports


async def test_ports_are_bound_before_they_are_told(scene: Scene) -> None:
    ports = {scene.info.port(channel) for channel in Channel}
    assert len(ports) == 5
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


async def test_a_port_that_is_taken_is_a_config_error_and_nothing_is_left_open(
    context: Context, sockets: SocketSet
) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]
        with pytest.raises(ConfigError, match=f"control port tcp://127.0.0.1:{port}"):
            ZmqEndpoint(context, sockets, ConnectionInfo(control_port=port), Recorder())
    endpoint = ZmqEndpoint(context, sockets, ConnectionInfo(control_port=port), Recorder())
    assert endpoint.info.control_port == port
    endpoint.close()


async def test_an_address_that_is_not_of_this_machine_is_a_config_error(
    context: Context, sockets: SocketSet
) -> None:
    for ip in ("192.0.2.1", "no such host", "/tmp"):
        with pytest.raises(ConfigError, match="cannot bind the shell port"):
            ZmqEndpoint(context, sockets, ConnectionInfo(ip=ip), Recorder())


async def test_after_closing_the_same_ports_can_be_served_again(
    context: Context, sockets: SocketSet
) -> None:
    """A restart of kmux: frontends keep their connection file."""
    endpoint = ZmqEndpoint(context, sockets, ConnectionInfo(), Recorder())
    info = endpoint.info
    endpoint.close()
    with trio.fail_after(5):
        while True:
            try:
                again = ZmqEndpoint(context, sockets, info, Recorder())
                break
            except ConfigError:
                await trio.sleep(0.005)  # libzmq closes in a thread of its own
    assert again.info == info
    again.close()


async def test_what_was_sent_before_closing_goes_out(scene: Scene) -> None:
    alice = scene.frontend()
    await alice.welcome()
    alice.send(cell())
    await scene.sink.next("sent")
    for _ in range(100):
        scene.endpoint.send(alice.id, SHELL, reply(cell()))
        scene.endpoint.publish(published("stream"))
    scene.close_endpoint(linger_ms=5000)
    await alice.received[SHELL].until(lambda items: len(items) == 100)
    await alice.received[IOPUB].until(lambda items: len(items) == 101)


async def serve_and_ask(scene: Scene, **options: object) -> None:
    """A request, a reply and a broadcast: all that an endpoint is for."""
    alice = scene.frontend(**options)
    await alice.welcome()
    asked = cell()
    alice.send(asked)
    assert (await scene.sink.next("sent")).client == alice.id
    scene.endpoint.send(alice.id, SHELL, reply(asked))
    assert (await alice.get()).parent == asked.header
    await scene.fence(alice)


async def test_ipc(short_dir: Path) -> None:
    async with open_scene(ipc=short_dir) as scene:
        await serve_and_ask(scene)
        assert all(scene.info.url(channel).startswith("ipc://") for channel in Channel)


async def test_ipv6(context: Context, sockets: SocketSet) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    scene = Scene(context, sockets, ConnectionInfo(ip="::1", key="k"))
    await serve_and_ask(scene)
    await scene.close()


async def test_an_ipc_path_that_is_in_use_is_a_config_error(
    short_dir: Path, context: Context, sockets: SocketSet
) -> None:
    async with open_scene(ipc=short_dir) as scene:
        another = None
        try:
            with pytest.raises(ConfigError):
                another = ZmqEndpoint(context, sockets, scene.info, Recorder())
        finally:
            if another is not None:
                another.close()


async def test_an_ipc_path_that_cannot_be_is_a_config_error(
    short_dir: Path, context: Context, sockets: SocketSet
) -> None:
    for path in (short_dir / "missing" / "kernel", short_dir / ("x" * 200)):
        info = ConnectionInfo(transport="ipc", ip=str(path))
        with pytest.raises(ConfigError):
            ZmqEndpoint(context, sockets, info, Recorder())


async def test_an_ipc_path_that_a_killed_kmux_left_is_used_again(
    short_dir: Path, context: Context, sockets: SocketSet
) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(short_dir / "kernel-1"))
    stale.close()
    info = ConnectionInfo(transport="ipc", ip=str(short_dir / "kernel"), shell_port=1)
    ZmqEndpoint(context, sockets, info, Recorder()).close()


async def test_encrypted() -> None:
    keys = new_curve_keys()
    async with open_scene(curve=keys) as scene:
        await serve_and_ask(scene, server_key=keys)


async def test_without_the_right_key_nobody_gets_in() -> None:
    keys = new_curve_keys()
    async with open_scene(curve=keys) as scene:
        strangers = [
            scene.frontend(b"in the clear"),
            scene.frontend(b"wrong key", server_key=new_curve_keys()),
        ]
        for stranger in strangers:
            for channel in DEALERS:
                stranger.send(cell(), channel)
        alice = scene.frontend(server_key=keys)
        await alice.welcome()
        alice.send(cell())
        await scene.sink.next("sent")
        await scene.fence(alice)
        assert [report.client for report in scene.sink.of("sent")] == [alice.id]
        assert [len(stranger.received[IOPUB]) for stranger in strangers] == [0, 0]
        assert scene.sink.welcomed == 1


async def test_a_curve_key_that_is_none_is_a_config_error(
    context: Context, sockets: SocketSet
) -> None:
    info = ConnectionInfo(curve=new_curve_keys().__class__("short", "short"))
    with pytest.raises(ConfigError):
        ZmqEndpoint(context, sockets, info, Recorder())


async def test_frames_of_another_kernel_are_not_answered(scene: Scene) -> None:
    """A frontend with a connection file of yesterday: the ports are the same, the key is not."""
    yesterday = scene.frontend(b"yesterday")
    alice = scene.frontend()
    stale = zmq_frames.encode((), cell(), ConnectionInfo(key="another key").signer())
    yesterday.sockets[SHELL].send(stale)
    rejected = await scene.sink.next("rejected")
    assert (rejected.channel, str(rejected.error)) == (SHELL, "wrong signature")
    alice.send(cell())
    await scene.sink.next("sent")
    assert [report.client for report in scene.sink.of("sent")] == [alice.id]
    assert [report.client for report in scene.sink.of("returned")] == [alice.id]
