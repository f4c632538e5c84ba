"""uv, as a program: found, run, followed, and its errors in one line.

uv takes its indexes, its cache and its credentials from its own settings and environment variables,
as everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from proxy.environments.progress import Progress, Stage, Tell
from proxy.errors import ConfigError, EnvironmentFailed, KmuxError

MAX_WHY = 700
"""How much of an error is told, in characters: the resolver may explain itself for pages."""
END_SECONDS = 2.0
"""How long it may take to end when it is asked to."""
_AT_REST = ("nice", "-n", "19")

# What uv writes while it works, to a stderr that is no terminal.
_STEPS: tuple[tuple[re.Pattern[str], Stage], ...] = (
    (re.compile(r"^Downloading (?P<what>.+ \(.+\))$"), "downloading"),
    (re.compile(r"^ *Building (?P<what>.+)$"), "building"),
    (re.compile(r"^Prepared (?P<what>\d+ packages?) in"), "installing"),
)
_TOLD = re.compile(r"[\s│├╰─▶×]*((?P<label>error|cause|Caused by|hint):\s*)?(?P<text>.*)")
_JOINTS = {"cause": ": ", "Caused by": ": ", "hint": "; "}
_FAILED = (1, 2)
"""What it ends with where it has seen itself that something is wrong."""
_UNREACHABLE = re.compile(
    r"(?i)dns error|failed to lookup|error sending request|connection refused"
    r"|network is unreachable|network (connectivity is|was) disabled|operation timed out"
    r"|connect error|tcp connect"
)
_NO_ROOM = re.compile(r"(?i)no space left on device|disk quota exceeded")


class Uv:
    """One uv. ``at_rest`` has it give way to everything else on the machine."""

    def __init__(self, program: Path, *, at_rest: bool = False) -> None:
        self._program = program
        self._at_rest = at_rest

    async def run(
        self,
        *arguments: str,
        tell: Tell,
        cwd: Path | None = None,
        env: Mapping[str, str] = {},
    ) -> str:
        """Run it to its end, and return what it has written to stdout.

        When cancelled, it is ended. Raises :class:`ConfigError` where what was asked for is to
        blame, :class:`EnvironmentFailed` where that is the network or uv itself.
        """
        lines: list[str] = []
        command = [*(_AT_REST if self._at_rest else ()), str(self._program), *arguments]
        environment = {**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", **env}
        environment.pop("VIRTUAL_ENV", None)  # each command names its own
        try:
            process = await trio.lowlevel.open_process(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
            )
        except OSError as error:
            raise EnvironmentFailed(
                f"cannot run {self._program}: {error.strerror}; 'pip install --force-reinstall uv' "
                "mends it"
            ) from None
        assert process.stdout is not None
        assert process.stderr is not None
        written = bytearray()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_follow, process.stderr, lines, tell)
                async for chunk in process.stdout:
                    written += chunk
            status = await process.wait()
        finally:
            await _end(process)
        if status != 0:
            raise explained(lines, status)
        return written.decode("utf-8", "replace")


async def _end(process: trio.Process) -> None:
    """End a process that still runs: whatever it was writing, it writes no more."""
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.terminate()
            with trio.move_on_after(END_SECONDS):
                await process.wait()
            process.kill()
            await process.wait()


def find(*, at_rest: bool = False) -> Uv:
    """Return uv: the one that is installed beside kmux, else the one on PATH.

    Raises :class:`ConfigError` where there is none.
    """
    program = None
    try:
        import uv

        program = uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        program = shutil.which("uv")
    if program is None:
        raise ConfigError("there is no uv; 'pip install uv' brings it")
    return Uv(Path(program), at_rest=at_rest)


async def _follow(stream: trio.abc.ReceiveStream, lines: list[str], tell: Tell) -> None:
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            lines.append(raw.decode("utf-8", "replace").rstrip())
            step = step_of(lines[-1])
            if step is not None:
                tell(step)
    if rest:
        lines.append(rest.decode("utf-8", "replace").rstrip())


def step_of(line: str) -> Progress | None:
    """Read a line of what uv writes while it works; None where it is about something else."""
    for pattern, stage in _STEPS:
        found = pattern.match(line)
        if found:
            return Progress(stage=stage, text=found["what"])
    return None


def explained(lines: Sequence[str], status: int) -> KmuxError:
    """Make an error of what uv wrote before it gave up: the line that matters, and what to do."""
    said = _why(lines)
    if status not in _FAILED or not said:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return EnvironmentFailed(
            f"uv {how} and said {said or 'nothing'}; where it is broken, "
            "'pip install --force-reinstall uv' mends it"
        )
    if _NO_ROOM.search(said):
        return EnvironmentFailed(f"uv: {said}; make room, or set UV_CACHE_DIR and KMUX_CACHE_DIR")
    if _UNREACHABLE.search(said):
        return EnvironmentFailed(f"the package index cannot be reached ({said}); try again online")
    return ConfigError(f"uv: {said}")


def _why(lines: Sequence[str]) -> str:
    """Take the error out of it, with its causes, in one line.

    Both of uv's forms: ``error:`` with lines of ``cause:``, and a tree drawn with lines.
    """
    begin = next(
        (at for at, line in enumerate(lines) if re.match(r"\s*(error:|×)", line)), len(lines)
    )
    told = lines[begin:] or [line for line in lines if not line.startswith("warning:")][-1:]
    text = ""
    for line in told:
        found = _TOLD.fullmatch(line)
        if found and found["text"]:
            joint = _JOINTS.get(found["label"] or "", " ") if text else ""
            text = text.rstrip(".:") if joint.strip() else text
            text += joint + " ".join(found["text"].split())
    return text if len(text) <= MAX_WHY else f"{text[:MAX_WHY]}…"
