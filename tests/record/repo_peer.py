"""Repos of others: ``@automerge/automerge-repo`` from npm, and automerge's Python package's own.

Each is a process that is told what to do, and tells what it sees, in lines of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests import npm
from tests.inbox import Inbox

SOURCES = Path(__file__).parent / "npm"
DEADLINE_SECONDS = 20.0

Event = dict[str, Any]


def install() -> Path:
    """Install the packages once; return the directory to run in."""
    return npm.install(SOURCES, "npm")


class RepoPeer:
    """One process with one repo."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.events: Inbox[Event] = Inbox()

    async def do(self, command: str, **more: Any) -> None:
        """Tell it to do something."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"do": command, **more}).encode() + b"\n")

    async def ask(self, command: str, answer: str, **more: Any) -> Event:
        """Tell it to do something, and wait for what it tells of it."""
        await self.do(command, **more)
        return await self.next(answer)

    async def next(self, *kinds: str) -> Event:
        """The next event of these kinds; others before it are passed over."""
        return await self.events.next_where(
            lambda event: event["event"] in (*kinds, "failed"), DEADLINE_SECONDS
        )

    async def connect(self, url: str, peer: str = "reader") -> None:
        """Connect, and wait until both know each other."""
        await self.ask("connect", "connected", url=url, peer=peer)

    async def find(self, url: str, name: str = "it") -> Event:
        """Find a document, and return the event."""
        event = await self.ask("find", "found", url=url, name=name, patiently=True)
        assert event["event"] == "found", event
        return event

    async def sees(self, name: str, key: str, value: Any) -> Event:
        """Wait until a document has this."""
        return await self.events.next_where(
            lambda event: (
                event["event"] == "changed"
                and event["name"] == name
                and event["doc"].get(key) == value
            ),
            DEADLINE_SECONDS,
        )

    async def look(self, name: str = "it") -> Any:
        """What a document is now."""
        return (await self.ask("look", "looked", name=name))["doc"]

    async def read(self) -> None:
        """Take in what it tells, until it ends."""
        assert self.process.stdout is not None
        rest = b""
        async for data in self.process.stdout:
            *lines, rest = (rest + bytes(data)).split(b"\n")
            for line in lines:
                self.events.put(json.loads(line))


@asynccontextmanager
async def open_npm_peer() -> AsyncIterator[RepoPeer]:
    """Start a Node process; it is ended in the end."""
    directory = await trio.to_thread.run_sync(install)
    async with _open(["node", "peer.mjs"], directory) as peer:
        yield peer


@asynccontextmanager
async def open_python_peer() -> AsyncIterator[RepoPeer]:
    """Start a Python process; it is ended in the end."""
    script = Path(__file__).with_name("python_peer.py")
    # It uses parts of websockets that are deprecated.
    async with _open([sys.executable, "-W", "ignore", str(script)], script.parent) as peer:
        yield peer


@asynccontextmanager
async def _open(command: list[str], directory: Path) -> AsyncIterator[RepoPeer]:
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        peer = RepoPeer(process)
        try:
            nursery.start_soon(peer.read)
            yield peer
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.aclose()
            await process.stdout.aclose()
            nursery.cancel_scope.cancel()
