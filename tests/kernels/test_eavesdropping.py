"""A second subscription to a kernel's iopub, and where the one who takes over begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from proxy.kernels.channels import KernelChannels
from proxy.kernels.eavesdropping import eavesdrop
from proxy.message import Channel, Message
from proxy.sockets import SocketSet
from proxy.wire import zmq_frames
from proxy.wire.connection import ConnectionInfo
from tests.inbox import eventually
from tests.kernels.sink import Sink
from tests.messages import stream
from tests.running import Context


@pytest.fixture
def publisher(context: Context) -> Iterator[zmq.Socket[bytes]]:
    """A kernel's iopub socket; the other channels are not there."""
    raw = context.socket(zmq.PUB)
    yield raw
    raw.close(linger=0)


def listening(publisher: zmq.Socket[bytes]) -> ConnectionInfo:
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    ports = dict.fromkeys(Channel, 1)  # nobody listens there
    return ConnectionInfo(key="a key").with_ports({**ports, Channel.IOPUB: port})


def publish(publisher: zmq.Socket[bytes], info: ConnectionInfo, message: Message) -> None:
    publisher.send_multipart(zmq_frames.encode((b"topic",), message, info.signer()))


@pytest.mark.parametrize("handled", [0, 3, 9])
async def test_who_takes_over_begins_behind_what_was_handled(
    context: Context, sockets: SocketSet, publisher: zmq.Socket[bytes], handled: int
) -> None:
    info = listening(publisher)
    early = await eavesdrop(context, info)
    assert early is not None
    messages = [stream(str(number)) for number in range(10)]
    for message in messages:
        publish(publisher, info, message)
    sink = Sink()  # some of them are there by now, and some are on their way
    channels = KernelChannels(context, sockets, info, sink, b"me", early)
    channels.catch_up([message.msg_id for message in messages[: handled + 1]])
    last = stream("last")
    publish(publisher, info, last)
    await eventually(lambda: [m.msg_id for m in sink.published][-1:] == [last.msg_id])
    expected = [*messages[handled + 1 :], last]
    assert [m.msg_id for m in sink.published] == [m.msg_id for m in expected]
    channels.close()


async def test_where_what_was_handled_was_not_heard_all_is_news(
    context: Context, sockets: SocketSet, publisher: zmq.Socket[bytes]
) -> None:
    info = listening(publisher)
    early = await eavesdrop(context, info)
    assert early is not None
    message = stream("1")
    publish(publisher, info, message)
    sink = Sink()
    channels = KernelChannels(context, sockets, info, sink, b"me", early)
    channels.catch_up(["of long ago"])
    await eventually(lambda: [m.msg_id for m in sink.published] == [message.msg_id])
    channels.close()


async def test_where_nobody_listens_there_is_nothing_to_hear(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.kernels.eavesdropping.CONNECT_SECONDS", 0.1)
    assert await eavesdrop(context, ConnectionInfo(iopub_port=1)) is None
