"""The repo that automerge's Python package brings, told what to do line by line: run as a script.

It does the same with the same words as ``npm/peer.mjs``, as far as the tests need it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from automerge.repo import InMemoryStorage, Repo
from automerge.transports.websocket import WebSocketClientTransport


def tell(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def show(handle: Any) -> dict[str, Any]:
    document = handle.doc()
    return {key: str(document[key]) for key in document}


async def watch(name: str, handle: Any) -> None:
    """Tell of changes. Its own event is only for those that were made with the handle."""
    before = show(handle)
    while True:
        await asyncio.sleep(0.01)
        now = show(handle)
        if now != before:
            before = now
            tell("changed", name=name, doc=now)


async def converse(repo: Repo) -> None:
    handles: dict[str, Any] = {}
    watchers: list[asyncio.Task[Any]] = []
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        name = told.get("name")
        match told["do"]:
            case "connect":
                transport = await WebSocketClientTransport.connect(told["url"])
                watchers.append(asyncio.create_task(repo.connect(transport)))
                tell("connected")
            case "find":
                handle = await repo.find(told["url"])
                while handle is None and told.get("patiently"):
                    await asyncio.sleep(0.05)  # it does not say when it knows the other side
                    handle = await repo.find(told["url"])
                if handle is None:
                    tell("unavailable", name=name)
                    continue
                handles[name] = handle
                tell("found", name=name, doc=show(handle))
                watchers.append(asyncio.create_task(watch(name, handle)))
            case "look":
                tell("looked", name=name, doc=show(handles[name]))
            case "write":
                with handles[name].change() as document:
                    document[told["key"]] = told["value"]
    for watcher in watchers:
        watcher.cancel()


async def main() -> None:
    repo = await Repo.load(InMemoryStorage())
    async with repo:
        await converse(repo)


asyncio.run(main())
