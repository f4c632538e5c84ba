"""libzmq's own proxy in kmux's place: ``python -m bench.zmq_proxy KERNEL_FILE FRONTEND_FILE``.

One ``zmq_proxy`` for each channel, in C, in a thread of its own: it moves frames and looks at
nothing. What it adds is what a process in between costs at least.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import zmq

_ROUTED = ("shell", "control", "stdin", "hb")


def main() -> None:
    kernel_file, frontend_file = map(Path, sys.argv[1:3])
    info = json.loads(kernel_file.read_bytes())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ports = {}
    for channel in (*_ROUTED, "iopub"):
        front = context.socket(zmq.ROUTER if channel in _ROUTED else zmq.XPUB)
        back = context.socket(zmq.DEALER if channel in _ROUTED else zmq.XSUB)
        for socket in (front, back):
            socket.sndhwm = socket.rcvhwm = 0
            socket.linger = 0
        ports[f"{channel}_port"] = front.bind_to_random_port("tcp://127.0.0.1")
        back.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
        threading.Thread(target=zmq.proxy, args=(front, back), daemon=True).start()
    temporary = frontend_file.with_suffix(".part")
    temporary.write_text(json.dumps({**info, **ports}))
    os.replace(temporary, frontend_file)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
