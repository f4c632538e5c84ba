"""uv, as a program: found, run, followed, and its errors in one line.

uv takes its indexes, its cache and its credentials from its own settings and environment variables,
as everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxy.environments import program
from proxy.environments.progress import Progress, Stage, Tell
from proxy.errors import ConfigError, EnvironmentFailed, KmuxError, Unreachable

MAX_WHY = 700
"""How much of an error is told, in characters: the resolver may explain itself for pages."""

_NOT_FOR_UV = ("VIRTUAL_ENV", "JPY_SESSION_NAME")
"""Each command names its own environment. With a notebook's name uv tells less (0.13): it takes
itself for a cell's ``!uv``."""

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
UNREACHABLE = re.compile(
    r"(?i)dns error|failed to lookup|error sending request|connection refused"
    r"|network is unreachable|network connectivity is disabled|network (is|was) disabled"
    r"|operation timed out|connect error|tcp connect"
)
"""What uv and rattler say without a network: both have it of the same HTTP client."""
NO_ROOM = re.compile(r"(?i)no space left on device|disk quota exceeded")


class Uv:
    """One uv. ``variables`` are its environment; kmux's own where there are none."""

    def __init__(
        self,
        program: Path,
        *,
        at_rest: bool = False,
        is_offline: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._at_rest = at_rest
        self._is_offline = is_offline
        self._variables = variables

    def offline(self) -> Uv:
        """Return the same one, for what can be had without a network: what its cache has."""
        return Uv(self._program, at_rest=self._at_rest, is_offline=True, variables=self._variables)

    async def run(
        self,
        *arguments: str,
        tell: Tell,
        cwd: Path | None = None,
        env: Mapping[str, str] = {},
    ) -> str:
        """Run it to its end, and return what it has written to stdout.

        When cancelled, it is ended. Raises :class:`ConfigError` where what was asked for is to
        blame, :class:`Unreachable` where that is the network, :class:`EnvironmentFailed` where it
        is the disk or uv itself.
        """

        def heard(line: str) -> None:
            step = step_of(line)
            if step is not None:
                tell(step)

        environment = {
            **(self._variables or os.environ),
            "NO_COLOR": "1",
            "UV_NO_PROGRESS": "1",
            **env,
        }
        for name in _NOT_FOR_UV:
            environment.pop(name, None)
        if self._is_offline:
            environment["UV_OFFLINE"] = "1"
        at_rest = program.AT_REST if self._at_rest else ()
        command = [*at_rest, str(self._program), *arguments]
        ended = await program.run(command, env=environment, cwd=cwd, heard=heard)
        if ended.status != 0:
            raise explained(ended.lines, ended.status)
        return ended.written


def find(*, at_rest: bool = False, variables: Mapping[str, str] | None = None) -> Uv:
    """Return uv: the one that is installed beside kmux, else the one on PATH.

    ``at_rest`` has it give way to everything else on the machine; ``variables`` are its
    environment. Raises :class:`ConfigError` where there is none.
    """
    try:
        import uv

        path: str | None = uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        path = shutil.which("uv")
    if path is None:
        raise ConfigError("there is no uv; 'pip install uv' brings it")
    return Uv(Path(path), at_rest=at_rest, variables=variables)


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
    if NO_ROOM.search(said):
        return EnvironmentFailed(f"uv: {said}; make room, or set UV_CACHE_DIR and KMUX_CACHE_DIR")
    if UNREACHABLE.search(said):
        return Unreachable(f"the package index cannot be reached ({said}); try again online")
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
