"""Chromium, without a screen, and what its pages have said, asked for and transmitted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from tests.frontends.lab_server import decode

ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
LOCAL_SCHEMES = ("data", "blob", "about")
PATIENCE_MILLISECONDS = 20_000
"""A machine with two cores runs two servers, a daemon, some kernels and the browser."""

expect.set_options(timeout=PATIENCE_MILLISECONDS)


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    """Run the browser until the block is left: one process for many windows."""
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.getuid() == 0 else list(ARGUMENTS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Traffic:
    """What a page asks for and transmits, from its first request on."""

    def __init__(self, page: Page) -> None:
        self.console: list[str] = []
        """Its log, with errors that nobody caught."""
        self.elsewhere: list[str] = []
        """What it asked of another machine, which it may not."""
        self._frames: list[tuple[str, dict[str, Any]]] = []
        page.on("console", lambda line: self.console.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", self._opened)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in LOCAL_SCHEMES and parts.hostname not in LOOPBACK:
            self.elsewhere.append(url)

    def _opened(self, socket: WebSocket) -> None:
        self._asked(socket.url)
        if "/channels" in socket.url:
            socket.on("framesent", lambda frame: self._frames.append(("sent", _message(frame))))
            socket.on(
                "framereceived", lambda frame: self._frames.append(("heard", _message(frame)))
            )

    def sent(self, msg_type: str) -> list[dict[str, Any]]:
        """The messages to the kernel of one type."""
        return self._of("sent", msg_type)

    def heard(self, msg_type: str) -> list[dict[str, Any]]:
        """The messages from the kernel of one type."""
        return self._of("heard", msg_type)

    def _of(self, way: str, msg_type: str) -> list[dict[str, Any]]:
        messages = [message for there, message in self._frames if there == way]
        return [message for message in messages if message["msg_type"] == msg_type]

    def is_settled(self) -> bool:
        """Whether the kernel is done with all comm messages that were sent."""
        done = {
            status["parent_header"].get("msg_id")
            for status in self.heard("status")
            if status["content"]["execution_state"] == "idle"
        }
        return all(message["header"]["msg_id"] in done for message in self.sent("comm_msg"))

    def write(self, file: Path) -> None:
        """Write down what was said, for who looks into a failure."""
        lines = [f"{way} {m['channel']} {m['msg_type']}" for way, m in self._frames]
        file.write_text("\n".join([*self.console, "", *lines, ""]))


def _message(frame: str | bytes) -> dict[str, Any]:
    """Take apart a frame, in either of the two protocols."""
    if isinstance(frame, bytes):
        return decode(frame)
    message: dict[str, Any] = json.loads(frame)
    return {**message, "msg_type": message["header"]["msg_type"]}
