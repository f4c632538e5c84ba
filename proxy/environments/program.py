"""Run a program to its end: what it writes is followed as it comes, and it ends with who asked."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import trio

from proxy.errors import EnvironmentFailed

AT_REST = ("nice", "-n", "19")
"""Ahead of a command line: the program gives way to everything else on the machine."""
END_SECONDS = 2.0
"""How long it may take to end when it is asked to."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended."""

    status: int
    written: str
    """To stdout."""
    lines: tuple[str, ...]
    """To stderr."""


async def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    heard: Callable[[str], None] = lambda _: None,
    with_stdin: bool = False,
) -> Ended:
    """Run it. ``heard`` is told of each line that it writes to stderr.

    When cancelled, it is ended: whatever it was writing, it writes no more. ``with_stdin``: its
    stdin says nothing, and ends when this process does, so that it can know. Raises
    :class:`EnvironmentFailed` where it cannot be started.
    """
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            start_new_session=True,  # what it starts ends with it: a build, for one
        )
    except OSError as error:
        program = next(part for part in command if part not in AT_REST)
        raise EnvironmentFailed(f"cannot run {program}: {error.strerror}") from None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    written = bytearray()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_follow, process.stderr, lines, heard)
            async for chunk in process.stdout:
                written += chunk
        status = await process.wait()
    finally:
        await _end(process)
    return Ended(status=status, written=written.decode("utf-8", "replace"), lines=tuple(lines))


async def _end(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:  # while it is not reaped, its group is nobody else's
                os.killpg(process.pid, number)
                with trio.move_on_after(END_SECONDS):
                    await process.wait()
        await process.wait()
        if process.stdin is not None:
            await process.stdin.aclose()


async def _follow(
    stream: trio.abc.ReceiveStream, lines: list[str], heard: Callable[[str], None]
) -> None:
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            lines.append(raw.decode("utf-8", "replace").rstrip())
            heard(lines[-1])
    if rest:
        lines.append(rest.decode("utf-8", "replace").rstrip())
