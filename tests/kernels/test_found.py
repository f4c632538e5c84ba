"""A kernel that somebody else started: connected to, watched, let go of."""

from __future__ import annotations

import msgspec
import pytest
import trio

from proxy.errors import KernelGone
from proxy.kernels import found as module
from proxy.kernels.found import FoundKernel
from proxy.message import Channel
from proxy.sockets import SocketSet
from proxy.wire.connection import ConnectionInfo, parse
from tests.fake_kernel import FakeKernel
from tests.kernels.sink import Sink
from tests.messages import cell, request
from tests.running import Context

ALICE = (b"zmq", b"alice")


def info_of(kernel: FakeKernel) -> ConnectionInfo:
    return parse(msgspec.json.encode(kernel.fields), "the fake kernel")


async def test_it_is_connected_to_told_of_and_outlives_us(
    context: Context, sockets: SocketSet
) -> None:
    with FakeKernel() as kernel:
        for _ in range(2):
            sink = Sink()
            found = FoundKernel(context, sockets, info_of(kernel), sink)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(found.run)
                assert await sink.launched.next() == "message"
                found.send(Channel.SHELL, ALICE, request("kernel_info"))
                await sink.sent.next_where(lambda m: m.msg_type == "kernel_info_reply")
                found.signal(2)
                found.restart()
                found.end()
            assert sink.died.items == []


async def test_it_is_gone_when_its_connections_close(context: Context, sockets: SocketSet) -> None:
    with FakeKernel() as kernel:
        sink = Sink()
        found = FoundKernel(context, sockets, info_of(kernel), sink)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(found.run)
            await sink.launched.next()
            found.send(Channel.SHELL, ALICE, cell("die 0"))
            assert await sink.died.next() == "the kernel has closed its connections"


async def test_where_nobody_listens_there_is_none(
    context: Context, sockets: SocketSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    with FakeKernel() as kernel:
        info = info_of(kernel)
    with pytest.raises(KernelGone, match=r"no kernel listens at tcp://127\.0\.0\.1:"):
        await FoundKernel(context, sockets, info, Sink()).run()
