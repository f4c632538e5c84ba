"""Jupyter's server as a client of the daemon's: ``--gateway-url``. And a window on it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websocket

from tests.frontends.kmux_process import DEADLINE, Daemon
from tests.frontends.lab_server import TOKEN, LabServer, Window, lab_server


class LegacyWindow(Window):
    """A window in the form that is spoken where the server chooses no subprotocol: text."""

    def _connect(self) -> None:
        """Connect as Chrome does: the subprotocol that it offers is not chosen, so it drops the
        connection and comes again. The server may keep what it has opened for the first one, and
        never read it."""
        header = [f"Authorization: token {TOKEN}"]
        websocket.create_connection(self._url, timeout=DEADLINE, header=header).shutdown()
        self._socket = websocket.create_connection(self._url, timeout=DEADLINE, header=header)
        self.arrive()

    def _say(self, channel: str, parts: list[dict[str, Any]]) -> None:
        names = ("header", "parent_header", "metadata", "content")
        message = dict(zip(names, parts, strict=True))
        self._socket.send(json.dumps({**message, "channel": channel, "buffers": []}))

    def _receive(self, deadline: float) -> dict[str, Any]:
        opcode = websocket.ABNF.OPCODE_PING
        while opcode != websocket.ABNF.OPCODE_TEXT:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            opcode, frame = self._socket.recv_data(control_frame=True)
        message: dict[str, Any] = json.loads(frame)
        return message | {"msg_type": message["header"]["msg_type"]}


class GatewayServer:
    """A running ``jupyter server --gateway-url``."""

    def __init__(self, server: LabServer) -> None:
        self.server = server
        self.request = server.request
        self.start_kernel = server.start_kernel
        self.windows: list[LegacyWindow] = []

    def window(self, kernel_id: str) -> LegacyWindow:
        window = LegacyWindow(self.server.url.replace("http", "ws", 1), kernel_id)
        self.windows.append(window)
        return window

    def picture(self, address: str) -> bytes:
        """What a browser loads of a kernelspec."""
        request = urllib.request.Request(
            self.server.url.rstrip("/") + address, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            body: bytes = response.read()
        return body

    def close(self) -> None:
        for window in self.windows:
            window.close()
        self.windows.clear()


@contextmanager
def gateway_server(daemon: Daemon) -> Iterator[GatewayServer]:
    """Start one whose kernels are the daemon's; it exits when the block is left."""
    place = daemon.json("web")
    with lab_server(
        daemon.workplace,
        f"--gateway-url={place['url']}",
        f"--GatewayClient.auth_token={place['token']}",
        application="jupyter_server",
    ) as server:
        gateway = GatewayServer(server)
        try:
            yield gateway
        finally:
            gateway.close()
