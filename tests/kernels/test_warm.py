"""Kernels that wait: handed over, they are what is started for a notebook; or they are no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import zmq
from jupyter_core.utils import ensure_event_loop
from uv import find_uv_bin

from proxy.errors import KernelGone
from proxy.kernel_command import KernelCommand
from proxy.kernels import warm as module
from proxy.kernels.adopted import adopt
from proxy.kernels.keeping import KernelDirectory, Launch
from proxy.kernels.ports import ReservedPorts
from proxy.kernels.warm import WarmKernel, can_wait, sweep, warm_up
from proxy.message import Channel
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo
from tests.frontends.kmux_process import Frontends, has_ended, until
from tests.inbox import eventually
from tests.kernels.kernel_facts import FACTS
from tests.running import Context

ROOT = Path(__file__).parents[2]
LAUNCH = Launch(kernel_name="python3", interrupt_mode="signal", identity="me")


def command_of(python: str) -> KernelCommand:
    return KernelCommand(argv=(python, "-m", "ipykernel_launcher", "-f", "{connection_file}"))


COMMAND = command_of(sys.executable)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is read or written but in this test's directory."""
    outside = (
        "TERM",
        "TMP",
        "JUPYTER",
        "IPYTHON",
        "KMUX",
        "JPY",
        "PYTEST",
        "PYTHON",
        "MPL",
        "XDG",
        "COVERAGE",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    return {**kept, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[KernelDirectory]:
    directory = KernelDirectory(tmp_path / "session", open_files=500)
    yield directory
    keeper = directory.keeper_pid()
    if keeper is not None:
        os.killpg(keeper, signal.SIGKILL)


@pytest.fixture
def frontends() -> Iterator[Frontends]:
    ensure_event_loop()  # or jupyter_client makes one for the test's task, which nobody closes
    frontends = Frontends()
    yield frontends
    frontends.stop_clients()


async def hand_over(kernel: WarmKernel, **wanted: Any) -> None:
    await kernel.begin(**wanted)
    await kernel.handed_over()


async def warm(
    nursery: trio.Nursery,
    directory: KernelDirectory,
    env: Mapping[str, str],
    command: KernelCommand = COMMAND,
) -> WarmKernel:
    return await warm_up(nursery, command, directory, env=env, key="a key", identity="me")


@contextmanager
def fresh(
    directory: KernelDirectory, env: Mapping[str, str], cwd: Path, command: KernelCommand
) -> Iterator[None]:
    """A kernel that is started for a notebook, as ``kernels/process.py`` does."""
    with open(directory.begin(LAUNCH), "wb") as output:
        ports = ReservedPorts("127.0.0.1")
        connection.write(
            directory.connection_file,
            ConnectionInfo(key="a key", **ports.by_name),  # type: ignore[arg-type]
        )
        argv = [part.format(connection_file=directory.connection_file) for part in command.argv]
        process = subprocess.Popen(
            [*directory.command(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ports.close()


def facts_of(frontends: Frontends, directory: KernelDirectory) -> dict[str, Any]:
    client = frontends.attach(directory.connection_file, ready=False)
    client.attach_without_welcome()  # there is none in ipykernel 6
    reply = client.run(FACTS)
    assert reply["status"] == "ok", "\n".join(reply["traceback"])
    facts: dict[str, Any] = json.loads(client.text().replace(str(directory.path), "DIRECTORY"))
    return facts


def configure(env: Mapping[str, str], *lines: str) -> Path:
    """Write a configuration file. Returns the profile's directory."""
    profile = Path(env["IPYTHONDIR"]) / "profile_default"
    (profile / "startup").mkdir(parents=True)
    code = "\n".join(("c = get_config()", *lines))
    (profile / "ipython_kernel_config.py").write_text(code)
    return profile


def set_up_profile(env: Mapping[str, str]) -> None:
    """What a user has run at the start of each kernel."""
    profile = configure(
        env,
        "import multiprocessing.process, tempfile; tempfile.gettempdir()",
        "c.InteractiveShellApp.exec_lines = ['import os; from_exec_lines = os.getcwd()']",
        "c.InteractiveShellApp.extensions = ['autoreload']",
        "c.InteractiveShell.logfile = 'log.py'",
        "c.InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'",
    )
    (profile / "startup" / "00-first.py").write_text(
        "import asyncio, os, sys\n"
        "async def one(): return 1\n"
        "startup = [os.getcwd(), os.environ['WANTED'], sys.argv, asyncio.new_event_loop()"
        ".run_until_complete(one()), os.environ['MPLBACKEND'], sorted(sys.modules)]\n"
        "class Kept: pass\n"
    )


@pytest.fixture(
    scope="module",
    params=["as it is", pytest.param("ipykernel==6.29.5", marks=pytest.mark.thorough)],
)
def command(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> KernelCommand:
    """Kernels of the ipykernel that is installed, and of the last but one major version."""
    if request.param == "as it is":
        return COMMAND
    prefix = tmp_path_factory.mktemp("environment")
    python = str(prefix / "bin" / "python")
    uv = find_uv_bin()
    for step in (
        ("venv", "--clear", "--python", sys.executable, str(prefix)),
        ("pip", "install", "--python", python, request.param),
    ):
        subprocess.run([uv, *step], check=True, capture_output=True)
    return command_of(python)


async def test_it_is_what_would_have_been_started(
    nursery: trio.Nursery,
    frontends: Frontends,
    directory: KernelDirectory,
    env: dict[str, str],
    tmp_path: Path,
    command: KernelCommand,
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    wanted = {
        **env,
        "WANTED": "yes",
        "BYTES": os.fsdecode(b"\xff\xfe"),
        "TZ": "Asia/Kathmandu",
        "PATH": f"{notebooks}:{env['PATH']}",
        "JPY_SESSION_NAME": "a notebook.ipynb",
        "PWD": "/nowhere",
        "TERM": "dumb",
        "TMP": str(notebooks),
    }
    set_up_profile(env)
    started_with = {**env, "UNWANTED": "yes", "JPY_SESSION_NAME": "another", "TZ": "UTC"}
    kernel = await warm(nursery, directory, started_with, command)
    await hand_over(kernel, cwd=str(notebooks), env=wanted)
    facts = facts_of(frontends, directory)
    await kernel.end()

    other = KernelDirectory(tmp_path / "other", open_files=500)
    (tmp_path / "ipython" / "profile_default" / "history.sqlite").unlink()
    (notebooks / "log.py").unlink()
    with fresh(other, wanted, notebooks, command):
        expected = facts_of(frontends, other)
    assert expected["cwd"] == str(notebooks)
    assert expected["startup"][:2] == [str(notebooks), "yes"]
    assert expected["app"], "what is compared is there"
    different = {name: (facts[name], expected[name]) for name in expected}
    assert {name: both for name, both in different.items() if both[0] != both[1]} == {}


async def test_it_goes_on_like_any_kernel(
    nursery: trio.Nursery,
    frontends: Frontends,
    directory: KernelDirectory,
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    kernel = await warm(nursery, directory, env)
    assert directory.is_prewarmed
    assert directory.connection_file.stat().st_mode & 0o777 == 0o600
    await hand_over(kernel, cwd=str(tmp_path), env={**env, "JPY_SESSION_NAME": "a.ipynb"})
    assert not directory.is_prewarmed
    adopted = adopt(directory)
    try:
        assert adopted.info.extra["jupyter_session"] == "a.ipynb"
        assert adopted.info.port(Channel.SHELL) == kernel.info.port(Channel.SHELL)
        client = frontends.attach(directory.connection_file, ready=False)
        client.reply(client.kernel_info())
        client.ask("kernel")
        loop = client.start_loop()
        assert adopted.signal_now(signal.SIGINT)
        assert client.finish(loop)["ename"] == "KeyboardInterrupt"
        client.run("import os, sys; os.write(1, b'raw'); sys.__stdout__.flush(); os.getpid()")
        assert str(adopted.pid) in client.text()
        assert "raw" in client.text()
        assert kernel.is_alive
        client.send("control", "shutdown_request", {"restart": False})
        with trio.fail_after(10):
            assert await adopted.wait() == 0
    finally:
        adopted.release()
    await eventually(lambda: not kernel.is_alive)
    await kernel.end()
    assert directory.launch() is not None, "it is a session's"


async def test_it_is_in_the_history_when_it_was_handed_over(
    nursery: trio.Nursery,
    frontends: Frontends,
    directory: KernelDirectory,
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    """``%history ~1/`` is what was run last, not what was in a kernel that was started last."""
    numbers = []
    kernels = [
        await warm(nursery, KernelDirectory(tmp_path / f"session {number}"), env)
        for number in range(3)
    ]
    for kernel in (kernels[2], kernels[0]):
        await hand_over(kernel, cwd=str(tmp_path), env=env)
        client = frontends.attach(kernel.directory.connection_file, ready=False)
        client.reply(client.kernel_info())
        client.run("print(get_ipython().history_manager.session_number)")
        numbers.append(client.text())
    for kernel in kernels:
        await kernel.end()
    assert numbers == ["1\n", "2\n"]


async def test_while_it_waits_it_answers_heartbeats_and_is_nobodys(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str], context: Context
) -> None:
    kernel = await warm(nursery, directory, env)
    with context.socket(zmq.REQ) as heart:
        heart.linger = 0
        heart.connect(kernel.info.url(Channel.HEARTBEAT))
        heart.send(b"ping")
        assert heart.poll(10_000)
        assert heart.recv() == b"ping"
    launch = directory.launch()
    assert launch is not None
    assert (launch.identity, kernel.identity, kernel.key) == ("me", "me", "a key")
    pid = directory.pid()
    assert pid is not None
    await kernel.end()
    assert not kernel.is_alive
    assert not directory.path.exists()
    await eventually(lambda: has_ended(pid))
    await kernel.end()


_OWNER = """
import os, sys, trio
from pathlib import Path
from proxy.kernels.keeping import KernelDirectory
from tests.kernels.test_warm import warm

async def main():
    async with trio.open_nursery() as nursery:
        await warm(nursery, KernelDirectory(Path(sys.argv[1])), dict(os.environ))
        print("waits", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_it_ends_when_kmux_is_killed(
    directory: KernelDirectory, env: dict[str, str], tmp_path: Path
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(directory.path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=env,
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "waits\n"
        pid = directory.pid()
        assert pid is not None
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    until(lambda: has_ended(pid), "it has ended")
    until(lambda: directory.keeper_pid() is None, "its keeper has ended")
    assert not directory.connection_file.exists()
    assert directory.is_prewarmed
    somebodys = KernelDirectory(tmp_path / "somebody's")
    os.close(somebodys.begin(LAUNCH))
    sweep([directory, somebodys])
    assert not directory.path.exists()
    assert somebodys.launch() == LAUNCH


def test_what_does_not_end_is_swept_away(directory: KernelDirectory) -> None:
    os.close(directory.begin(LAUNCH, prewarmed=True))
    sleeper = subprocess.Popen([*directory.command(), "/bin/sleep", "60"], start_new_session=True)
    until(directory.pid, "it runs")
    sweep([directory])
    assert sleeper.wait() == -signal.SIGKILL
    assert not directory.path.exists()


async def test_a_python_without_ipykernel_says_so_in_one_line(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str], tmp_path: Path
) -> None:
    prefix = tmp_path / "bare"
    await trio.run_process([sys.executable, "-m", "venv", "--without-pip", str(prefix)])
    with pytest.raises(KernelGone, match=r"bare/bin/python can wait: .* named 'ipykernel'$"):
        await warm(nursery, directory, env, command_of(str(prefix / "bin" / "python")))
    assert not directory.path.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("import os; os._exit(7)", "exited with status 7"),
        ("import os, time; os.write(1, b'stuck\\n'); time.sleep(60)", "it does not answer"),
    ],
)
async def test_one_that_cannot_wait_says_why(
    nursery: trio.Nursery,
    directory: KernelDirectory,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    why: str,
) -> None:
    configure(env, line)
    if "sleep" in line:
        monkeypatch.setattr(module, "START_SECONDS", 0.5)
        monkeypatch.setattr(module, "END_SECONDS", 0.1)
    with pytest.raises(KernelGone, match=why):
        await warm(nursery, directory, env)
    assert not directory.path.exists()


async def test_a_version_that_nobody_has_looked_at_is_started_anew(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str], tmp_path: Path
) -> None:
    later = "import ipykernel; ipykernel.__version__ = '8.0.1'"
    (tmp_path / "sitecustomize.py").write_text(later)
    with pytest.raises(KernelGone, match=r"what ipykernel 8\.0\.1 does at its start is not known"):
        await warm(nursery, directory, {**env, "PYTHONPATH": str(tmp_path)})


async def test_only_the_plain_launcher_can_wait(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str]
) -> None:
    other = KernelCommand(argv=(sys.executable, "-c", "pass", "{connection_file}"))
    assert can_wait(COMMAND)
    assert not can_wait(other)
    with pytest.raises(KernelGone, match="-m ipykernel_launcher"):
        await warm(nursery, directory, env, other)


async def test_what_it_cannot_be_is_refused_before_it_is_touched(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str], tmp_path: Path
) -> None:
    kernel = await warm(nursery, directory, env)
    with pytest.raises(KernelGone, match="of no use: HOME is another one"):
        await hand_over(kernel, cwd=str(tmp_path), env={**env, "HOME": "/"})
    with pytest.raises(KernelGone, match="--matplotlib=inline is read when"):
        await hand_over(kernel, cwd=str(tmp_path), env=env, arguments=("--matplotlib=inline",))
    assert directory.is_prewarmed
    await hand_over(kernel, cwd=str(tmp_path), env=env)
    await kernel.end()


@pytest.mark.parametrize("what", ["directory", "configuration", "process"])
async def test_one_that_cannot_be_handed_over_says_why(
    nursery: trio.Nursery,
    directory: KernelDirectory,
    env: dict[str, str],
    tmp_path: Path,
    what: str,
) -> None:
    configure(env, "import os; c.InteractiveShell.colors = os.environ.get('LATER', 'NoColor')")
    kernel = await warm(nursery, directory, env)
    cwd, why = str(tmp_path), "its configuration files say something else by now"
    wanted = {**env, "LATER": "Linux"} if what == "configuration" else env
    if what == "directory":
        cwd, why = str(tmp_path / "none"), "FileNotFoundError: .*none"
    if what == "process":
        pid = directory.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        why = "the kernel was killed by SIGKILL"
    with pytest.raises(KernelGone, match=f"could not be handed over: .*{why}"):
        await hand_over(kernel, cwd=cwd, env=wanted)
    await eventually(lambda: not kernel.is_alive)
    assert directory.is_prewarmed
    assert not directory.connection_file.exists() or what == "process"
    await kernel.end()
    assert not directory.path.exists()


async def test_who_no_longer_waits_for_it_leaves_none(
    nursery: trio.Nursery, directory: KernelDirectory, env: dict[str, str]
) -> None:
    async def begin() -> None:
        with scope:
            await warm(nursery, directory, env)

    scope = trio.CancelScope()
    nursery.start_soon(begin)
    await eventually(directory.keeper_pid)
    keeper = directory.keeper_pid()
    assert keeper is not None
    scope.cancel()
    await eventually(lambda: not directory.path.exists())
    assert has_ended(keeper)
