"""A conda environment made by a process of its own, at rest: for who does not wait for it.

rattler has threads of its own, once for each process: they keep the priority of whoever made them,
so a daemon that makes one environment at rest would make all later ones so. What a solver takes of
memory, and a crash in it, are that process's alone too.

It is told what to make as JSON in its arguments; it writes its steps to stderr as lines of JSON,
and to stdout what it has made.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

import msgspec
import trio

from proxy.environments import conda, program, uv
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.progress import Progress, Tell
from proxy.environments.store import Make, Manifest
from proxy.errors import EnvironmentFailed, KmuxError, kind_of, of_kind


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    need: CondaNeed
    directory: Path
    prefix: Path
    cache: Path | None
    is_offline: bool


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    made: Manifest | None = None
    failed: tuple[str, str] | None = None
    """Which kind of error, and its line."""


def make(need: CondaNeed, tell: Tell, cache: Path | None = None, *, is_offline: bool) -> Make:
    """Return what makes it, resolved when it is made; as :func:`conda.plan` for the rest."""

    async def make(directory: Path, prefix: Path) -> Manifest:
        order = _Order(
            need=need, directory=directory, prefix=prefix, cache=cache, is_offline=is_offline
        )
        return await _run(order, tell)

    return make


async def _run(order: _Order, tell: Tell) -> Manifest:
    def heard(line: str) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # else it is a warning of some library
            tell(msgspec.json.decode(line, type=Progress))

    command = (*program.AT_REST, sys.executable, "-P", "-m", __name__)
    ended = await program.run(
        (*command, msgspec.json.encode(order, enc_hook=str).decode()),
        env=os.environ,
        heard=heard,
        with_stdin=True,
    )
    try:
        outcome = msgspec.json.decode(ended.written, type=_Outcome)
    except msgspec.MsgspecError:
        said = ended.lines[-1] if ended.lines else "said nothing"
        raise EnvironmentFailed(
            f"conda: the process that makes it ended with status {ended.status} ({said})"
        ) from None
    if outcome.made is not None:
        return outcome.made
    kind, message = outcome.failed or ("", "")
    raise of_kind(kind, message) or EnvironmentFailed(message)


# What that process does


def _main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    order = msgspec.json.decode(sys.argv[1], type=_Order, dec_hook=lambda kind, text: kind(text))
    try:
        outcome = _Outcome(made=trio.run(_made, order))
    except KmuxError as error:
        outcome = _Outcome(failed=(kind_of(error), str(error)))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    sys.stdout.flush()
    os._exit(0)  # rattler's threads may crash when the interpreter goes away under them


def _end_with_parent() -> None:
    """Whoever asked is gone when our stdin ends: what is made is nobody's, and may be swept."""
    sys.stdin.buffer.read()
    os._exit(1)


async def _made(order: _Order) -> Manifest:
    plan = await conda.plan(order.need, uv.find(), _tell, order.cache, is_offline=order.is_offline)
    return await plan.make(order.directory, order.prefix)


def _tell(step: Progress) -> None:
    sys.stderr.buffer.write(msgspec.json.encode(step) + b"\n")
    sys.stderr.flush()


if __name__ == "__main__":
    _main()
