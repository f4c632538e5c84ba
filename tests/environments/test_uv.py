"""uv: what it writes while it works, and what it says when it gives up."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio

from proxy.environments import uv
from proxy.environments.progress import Progress, tell_nobody
from proxy.environments.uv import Uv, explained, step_of
from proxy.errors import ConfigError, EnvironmentFailed, Unreachable


def program(directory: Path, script: str) -> Uv:
    """Make a uv that behaves as it is told: the real one cannot be made to on demand."""
    path = directory / "uv"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Uv(path)


@pytest.mark.trio
async def test_it_is_found_and_run() -> None:
    assert (await uv.find().run("--version", tell=tell_nobody)).startswith("uv ")
    assert (await uv.find(at_rest=True).run("--version", tell=tell_nobody)).startswith("uv ")


@pytest.mark.trio
async def test_an_option_that_it_does_not_know_is_told() -> None:
    with pytest.raises(ConfigError, match=r"^uv: unexpected argument '--nonsense'"):
        await uv.find().run("--nonsense", tell=tell_nobody)


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("Downloading numpy (16.0MiB)", Progress(stage="downloading", text="numpy (16.0MiB)")),
        ("   Building pkg==1.0", Progress(stage="building", text="pkg==1.0")),
        ("Prepared 3 packages in 1.98s", Progress(stage="installing", text="3 packages")),
        (" Downloaded numpy", None),
        ("Resolved 3 packages in 1ms", None),
        (" + numpy==2.4.6", None),
        ("", None),
    ],
)
def test_a_step(line: str, progress: Progress | None) -> None:
    assert step_of(line) == progress


CAUSE = [
    "Using CPython 3.11.2",
    "error: No solution found when resolving dependencies",
    "  cause: Because only numpy<=2.5 is available and you require numpy>99,",
    "  we can conclude that your requirements are unsatisfiable.",
]
TREE = [
    "  × No solution found when resolving dependencies:",
    "  ╰─▶ Because nosuch was not found in the package registry and you require nosuch, we can",
    "      conclude that your requirements are unsatisfiable.",
]


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        (
            CAUSE,
            ConfigError,
            "uv: No solution found when resolving dependencies: Because only numpy",
        ),
        (
            TREE,
            ConfigError,
            "uv: No solution found when resolving dependencies: Because nosuch was",
        ),
        (
            ["error: Failed to fetch: `https://x/simple/a/`", "  Caused by: dns error"],
            Unreachable,
            "the package index cannot be reached (Failed to fetch: `https://x/simple/a/`: dns",
        ),
        (["error: No space left on device (os error 28)"], EnvironmentFailed, "uv: No space left"),
        (["warning: old", "it broke"], ConfigError, "uv: it broke"),
        ([], EnvironmentFailed, "uv ended with status 2 and said nothing; where it is broken"),
        (
            ["error: a was not found", "", "hint: the network was disabled. So:"],
            Unreachable,
            "the package index cannot be reached (a was not found; the network was disabled. So:)",
        ),
        (["error: " + "x" * 5000], ConfigError, "uv: " + "x" * 700 + "…"),
    ],
)
def test_an_error_is_one_line(lines: list[str], kind: type[Exception], message: str) -> None:
    error = explained(lines, 2)
    assert type(error) is kind
    assert str(error).startswith(message)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (-9, "uv was ended by signal 9 and said oh; where it is broken, 'pip install"),
        (101, "uv ended with status 101 and said oh; where it is broken, 'pip install"),
    ],
)
def test_one_that_crashes_is_not_the_fault_of_who_asked(status: int, said: str) -> None:
    error = explained(["error: oh"], status)
    assert type(error) is EnvironmentFailed
    assert str(error).startswith(said)


@pytest.mark.trio
async def test_steps_are_told_as_they_come(tmp_path: Path) -> None:
    seen: list[str] = []
    script = "echo 'Downloading a (1.0MiB)' >&2; printf 'Prepared 1 package in 1s' >&2; echo out"
    written = await program(tmp_path, script).run(tell=lambda step: seen.append(step.line))
    assert written == "out\n"
    assert seen == ["downloading a (1.0MiB)"], "a line is one when it has ended"


@pytest.mark.trio
async def test_it_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; echo 'Downloading a (1MiB)' >&2; exec sleep 600"
    begun = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await program(tmp_path, script).run(tell=lambda _: begun.set())

            nursery.start_soon(run)
            await begun.wait()
            nursery.cancel_scope.cancel()
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.trio
@pytest.mark.parametrize("broken", ["nothing", "a directory", "no program"])
async def test_a_broken_one_is_one_line(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "uv"
    if broken == "a directory":
        path.mkdir()
    elif broken == "no program":
        path.write_bytes(b"\x7fELF")
        path.chmod(0o755)
    with pytest.raises(EnvironmentFailed, match=r"^cannot run .*/uv: "):
        await Uv(path).run(tell=tell_nobody)


def test_without_one_it_is_said_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("uv.find_uv_bin", lambda: (_ for _ in ()).throw(FileNotFoundError()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no uv; 'pip install uv' brings it"):
        uv.find()


def test_a_step_obeys_no_package_that_is_called_like_a_command_to_the_terminal() -> None:
    step = Progress(stage="building", text="evil\x1b[2J @ file:///a")
    assert step.line == '"building evil\\u001b[2J @ file:///a"'
    assert Progress(stage="solving").line == "solving"
