"""Know that libzmq has handed to the system what was sent: nothing of its own tells.

Each send wakes libzmq's I/O thread, which takes up what it is woken for in order. So when a message
has gone through that thread and come back, all that was sent before is on its way: of each
connection as much as one turn of the thread writes, 8 KB, or a whole message where that is larger.
Many round trips are as many turns.
"""

from __future__ import annotations

import secrets

import zmq

from proxy.bell import Bell
from proxy.sockets import SocketSet

ROUND_TRIPS = 100
"""For 800 KB on each connection. It takes 10 ms on a machine that has nothing else to do."""


async def handed_over(context: zmq.Context[zmq.Socket[bytes]], sockets: SocketSet) -> None:
    """Wait until what was sent before is with the system, or its peer reads no more.

    The context must have one I/O thread, as it has where nobody says otherwise.
    """
    back = Bell()
    address = f"ipc://@kmux-{secrets.token_hex(8)}"  # inproc would not go through the thread
    receiver, sender = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    receiver.bind(address)
    sender.connect(address)
    there = sockets.add(receiver, lambda frames, origin: back.ring())
    here = sockets.add(sender, lambda frames, origin: None)
    try:
        for _ in range(ROUND_TRIPS):
            here.send([b""])
            await back.wait()
    finally:
        sockets.close(here)
        sockets.close(there)
