"""The five sockets to a kernel, on a scripted one that speaks real frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
import zmq

from proxy.errors import KernelProtocolError
from proxy.kernels import channels as module
from proxy.kernels.channels import KernelChannels
from proxy.message import Channel, Message
from proxy.sockets import SocketSet
from proxy.wire.connection import ConnectionInfo, parse
from tests.fake_kernel import Behaviour, FakeKernel
from tests.inbox import Inbox, eventually
from tests.messages import as_json, cell, message, request
from tests.running import Context

SHELL, CONTROL, STDIN, IOPUB = Channel.SHELL, Channel.CONTROL, Channel.STDIN, Channel.IOPUB
ALICE = (b"zmq", b"alice")


class Said(msgspec.Struct, frozen=True):
    """A message of the kernel."""

    channel: Channel
    routing: tuple[bytes, ...]
    message: Message


class Sink:
    """Writes down what the kernel sends."""

    def __init__(self) -> None:
        self.said: Inbox[Said] = Inbox()
        self.rejected: Inbox[tuple[Channel, KernelProtocolError]] = Inbox()

    def kernel_sent(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        self.said.put(Said(channel, routing, message))

    def kernel_rejected(self, channel: Channel, error: KernelProtocolError) -> None:
        self.rejected.put((channel, error))

    def on(self, channel: Channel) -> list[Message]:
        return [said.message for said in self.said.items if said.channel is channel]

    async def next(self, msg_type: str) -> Said:
        return await self.said.next_where(lambda said: said.message.msg_type == msg_type)

    # The supervisor's part of the interface, of which channels use nothing.
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"channels have no business with {name}")


class Wire:
    """Channels to a fake kernel, proven: iopub is heard."""

    def __init__(self, context: Context, sockets: SocketSet, info: ConnectionInfo) -> None:
        self.sink = Sink()
        self.channels = KernelChannels(context, sockets, info, self.sink, b"kmux")

    async def prove(self) -> None:
        """Ask until the kernel was heard on iopub, as a session does."""
        with trio.fail_after(10):
            while not self.sink.on(IOPUB):
                self.channels.send(SHELL, ALICE, request("kernel_info"))
                with trio.move_on_after(0.1):
                    await self.sink.said.until(lambda _: bool(self.sink.on(IOPUB)), 10)
        await trio.testing.wait_all_tasks_blocked(0.02)

    def run(self, code: str, routing: tuple[bytes, ...] = ALICE) -> Message:
        asked = cell(code)
        self.channels.send(SHELL, routing, asked)
        return asked


def info_of(kernel: FakeKernel) -> ConnectionInfo:
    return parse(msgspec.json.encode(kernel.fields), "the fake kernel")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A Unix socket's path has about 100 bytes: pytest's own directories are too long."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        yield Path(directory)


@pytest.mark.parametrize("scheme", ["hmac-sha256", "hmac-md5", "unsigned"])
async def test_requests_and_replies_pass_signed_with_the_kernels_key(
    context: Context, sockets: SocketSet, scheme: str
) -> None:
    fields = {"key": ""} if scheme == "unsigned" else {"signature_scheme": scheme}
    with FakeKernel(fields) as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        for channel in (SHELL, CONTROL):
            asked = request("complete", code="π")
            wire.channels.send(channel, ALICE, asked)
            said = await wire.sink.next("complete_reply")
            assert (said.channel, said.routing) == (channel, ALICE)
            assert said.message.parent == asked.header
            assert said.message.raw_parent == asked.raw_header
            on, frames = kernel.got[-1]
            assert (on, frames[:2]) == (str(channel), list(ALICE))
            assert frames[4:] == [asked.raw_header, b"{}", b"{}", asked.raw_content]
        wire.channels.close()


async def test_what_it_publishes_comes_byte_for_byte(context: Context, sockets: SocketSet) -> None:
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        before = len(wire.sink.on(IOPUB))
        wire.run("print one\nprint two")
        await wire.sink.next("execute_reply")
        await wire.sink.said.until(lambda _: len(wire.sink.on(IOPUB)) == before + 4)
        sent = [frames for channel, frames in kernel.sent if channel == "iopub"][-4:]
        got = wire.sink.on(IOPUB)[-4:]
        assert [m.topic for m in got] == [frames[0] for frames in sent]
        for message, frames in zip(got, sent, strict=True):
            raw = [message.raw_header, message.raw_parent, message.raw_metadata]
            assert [message.signature, *raw, message.raw_content] == frames[2:]
        wire.channels.close()


async def test_a_prompt_finds_its_way_since_all_channels_have_one_identity(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        # The kernel's stdin socket learns an identity when it connects, a little later than shell.
        wire.run("sleep 0.05\nask name?")
        prompt = await wire.sink.next("input_request")
        assert (prompt.channel, prompt.routing) == (STDIN, ALICE)
        wire.channels.send(STDIN, ALICE, message("input_reply", {"value": "Ada"}))
        assert (await wire.sink.next("stream")).message.content()["text"] == "Ada"
        wire.channels.close()


async def test_a_kernel_that_drops_the_prefix_comes_without(
    context: Context, sockets: SocketSet
) -> None:
    """Deno."""
    with FakeKernel(behaviour=Behaviour(drops_prefix=True)) as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        asked = wire.run("print x")
        said = await wire.sink.next("execute_reply")
        assert said.routing == ()
        assert said.message.parent == asked.header
        wire.channels.close()


async def test_an_answer_of_a_wrong_type_is_passed_on(context: Context, sockets: SocketSet) -> None:
    """tslab. Whose it is, the session says."""
    odd = Behaviour(answers_wrongly={"comm_info_request": "complete_reply"})
    with FakeKernel(behaviour=odd) as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        asked = request("comm_info")
        wire.channels.send(SHELL, ALICE, asked)
        assert (await wire.sink.next("complete_reply")).message.parent == asked.header
        wire.channels.close()


async def test_a_request_waits_for_a_kernel_that_is_coming_up(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel() as earlier:
        fields = dict(earlier.fields)
    wire = Wire(context, sockets, parse(msgspec.json.encode(fields), "it"))
    asked = request("kernel_info")
    wire.channels.send(SHELL, ALICE, asked)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert wire.sink.said.items == []
    with FakeKernel(fields):
        said = await wire.sink.next("kernel_info_reply")
        assert said.message.parent == asked.header
        wire.channels.close()


async def test_nothing_is_lost_while_this_process_is_busy(
    context: Context, sockets: SocketSet
) -> None:
    """The kernel's publisher drops nothing, since there is no mark on our side to be hit."""
    count = 20_000
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        wire.run(f"flood {count}")
        # As if this process were stopped: no task runs, and nobody reads, while the kernel floods.
        assert kernel.flooded.wait(30)
        await wire.sink.next("execute_reply")
        shown = await wire.sink.said.until(
            lambda _: (
                wire.sink.on(IOPUB)[-1].msg_type == "status" and len(wire.sink.on(IOPUB)) > count
            ),
            30,
        )
        numbers = [
            as_json(said.message.raw_content)["data"]["text/plain"]
            for said in shown
            if said.message.msg_type == "display_data"
        ]
        assert numbers == [str(number) for number in range(count)]
        wire.channels.close()


async def test_garbage_from_a_kernel_is_rejected_and_the_rest_passes(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        wire.run("garbage\nprint after")
        assert (await wire.sink.next("stream")).message.content()["text"] == "after"
        await wire.sink.rejected.until(lambda items: len(items) == 6)
        assert sorted(channel for channel, _ in wire.sink.rejected.items) == [
            *[IOPUB] * 3,
            *[SHELL] * 3,
        ]
        assert {type(error) for _, error in wire.sink.rejected.items} == {KernelProtocolError}
        wire.channels.close()


async def test_a_kernel_with_another_key_is_not_believed(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel({"key": ""}) as kernel:
        info = msgspec.structs.replace(info_of(kernel), key="the right key")
        # It does not check ours; its own are unsigned.
        kernel._sign = lambda parts: (
            b"" if b"kernel_info_reply" in parts[0] else info.signer().sign(*parts)
        )  # type: ignore[method-assign]
        wire = Wire(context, sockets, info)
        wire.channels.send(SHELL, ALICE, request("kernel_info"))
        channel, error = await wire.sink.rejected.next()
        assert channel is SHELL
        assert "unsigned" in str(error)
        wire.channels.close()


# The end


async def test_the_last_words_of_a_kernel_that_ends_are_heard(
    context: Context, sockets: SocketSet
) -> None:
    """Its process is seen to end before all that it sent has been read."""
    count = 5000
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        wire.run(f"flood {count}\nprint last words\ndie")
        await trio.to_thread.run_sync(kernel._thread.join, 20)
        await wire.channels.finish()
        last = wire.sink.on(IOPUB)[-1]
        assert (last.msg_type, last.content()["text"]) == ("stream", "last words")
        assert sum(m.msg_type == "display_data" for m in wire.sink.on(IOPUB)) == count
        wire.channels.close()


async def test_the_end_is_not_waited_for_where_the_connection_stays(
    context: Context, sockets: SocketSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of the kernel holds its sockets."""
    monkeypatch.setattr(module, "FINISH_SECONDS", 0.05)
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        with trio.fail_after(5):
            await wire.channels.finish()
        wire.channels.close()


async def test_nor_where_there_never_was_one(context: Context, sockets: SocketSet) -> None:
    with FakeKernel() as kernel:
        info = info_of(kernel)
    wire = Wire(context, sockets, info)
    with trio.fail_after(0.5):
        await wire.channels.finish()
    wire.channels.close()


# The heartbeat


async def test_a_heartbeat_is_heard_while_the_kernel_lives(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel() as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        assert wire.channels.heartbeat_heard is None
        wire.channels.ping()
        await eventually(lambda: wire.channels.heartbeat_heard is not None)
        first = wire.channels.heartbeat_heard
        assert first is not None
        wire.channels.ping()
        await eventually(lambda: (wire.channels.heartbeat_heard or 0) > first)
    before = wire.channels.heartbeat_heard
    wire.channels.ping()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert wire.channels.heartbeat_heard == before
    wire.channels.close()


# Transports


async def test_encrypted(context: Context, sockets: SocketSet) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    with FakeKernel({"curve_publickey": public, "curve_secretkey": secret}) as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        wire.run("print secret")
        assert (await wire.sink.next("stream")).message.content()["text"] == "secret"
        wire.channels.ping()
        await eventually(lambda: wire.channels.heartbeat_heard is not None)
        plain = Wire(context, sockets, msgspec.structs.replace(info_of(kernel), curve=None))
        plain.channels.send(SHELL, ALICE, request("kernel_info"))
        wire.run("print and again")
        await wire.sink.next("stream")
        assert plain.sink.said.items == []
        for each in (wire, plain):
            each.channels.close()


async def test_ipc(context: Context, sockets: SocketSet, short_dir: Path) -> None:
    with FakeKernel({"transport": "ipc", "ip": str(short_dir / "kernel")}) as kernel:
        wire = Wire(context, sockets, info_of(kernel))
        await wire.prove()
        wire.run("print here")
        assert (await wire.sink.next("stream")).message.content()["text"] == "here"
        wire.channels.close()
