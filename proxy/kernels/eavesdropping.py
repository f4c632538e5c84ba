"""Hear what a kernel publishes while another kmux still has it, so that nothing is missed between.

A subscription costs the kernel nothing, and nobody is told of it. What comes waits in libzmq; the
kmux that takes over begins behind the last message that the other one has handled
(``KernelChannels.catch_up``).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
import trio
import zmq

from proxy.kernels.channels import make_socket
from proxy.message import Channel
from proxy.wire.connection import ConnectionInfo

CONNECT_SECONDS = 2.0
SETTLE_SECONDS = 0.1
"""How long a subscription may take from an open connection into the kernel's publisher: it is
handled there by libzmq's I/O thread, a matter of microseconds. No message says that it was."""


class Early(msgspec.Struct, frozen=True):
    """What was heard of a kernel before it was taken over."""

    raw: zmq.Socket[bytes]
    handled: Sequence[str]
    """The msg_ids of the last messages that the other kmux has handled."""


async def eavesdrop(
    context: zmq.Context[zmq.Socket[bytes]], info: ConnectionInfo
) -> zmq.Socket[bytes] | None:
    """Subscribe to a kernel's iopub. Returns the socket, which nobody has read, when it hears.

    None where nobody listens there.
    """
    raw = make_socket(context, Channel.IOPUB, info)
    monitor: zmq.Socket[bytes] = context.socket(zmq.PAIR)
    # Not where pyzmq's monitors are: this one may still be closing when the next one is made.
    place = f"inproc://early-{secrets.token_hex(8)}"
    try:
        raw.monitor(place, zmq.EVENT_HANDSHAKE_SUCCEEDED)
        monitor.connect(place)
        raw.connect(info.url(Channel.IOPUB))
        if not await trio.to_thread.run_sync(monitor.poll, int(CONNECT_SECONDS * 1000)):
            raw.close()
            return None
        await trio.sleep(SETTLE_SECONDS)
        raw.monitor(None, 0)
    except BaseException:
        raw.close()
        raise
    finally:
        monitor.close(linger=0)
    return raw
