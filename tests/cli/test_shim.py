"""``kmux shim`` as a frontend has it: started, signalled, killed; the kernel is the daemon's."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.connect import write_connection_file

from tests.frontends.kmux_process import DEADLINE, Client, Daemon, Workplace, until
from tests.frontends.managed import IN_DAEMON, started

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def kernelspec(daemon: Daemon, workplace: Workplace) -> None:
    """ "Python 3 (shared)", where the workplace's frontends look."""
    (workplace.root / "share").mkdir()
    (workplace.root / "share" / "jupyter").symlink_to(workplace.root / "jupyter")
    daemon.kmux("kernelspec", "install", "--prefix", str(workplace.root), **IN_DAEMON)


def kernel_pid(daemon: Daemon, name: str = "python3") -> int:
    (pid,) = [session["pid"] for session in daemon.json("ps") if session["name"] == name]
    assert pid is not None
    return int(pid)


def clients(daemon: Daemon, name: str = "python3") -> int:
    (count,) = [session["clients"] for session in daemon.json("ps") if session["name"] == name]
    return int(count)


def names(daemon: Daemon) -> list[str]:
    return [session["name"] for session in daemon.json("ps")]


def joined(daemon: Daemon, name: str = "python3") -> Client:
    """Another frontend on the same session, by the session's own connection file."""
    (file,) = [s["connection_file"] for s in daemon.json("ps") if s["name"] == name]
    return daemon.attach(file)


def test_the_kernel_has_the_frontends_environment_and_directory(
    daemon: Daemon, workplace: Workplace
) -> None:
    daemon.kmux("daemon", "start", OF_THE_DAEMON="1")
    directory = workplace.root / "here"
    directory.mkdir()
    for trap in ("proxy.py", "select.py"):
        (directory / trap).write_text("raise SystemExit('a file of the user was imported')")
    with started(workplace, cwd=str(directory), env={"OF_THE_FRONTEND": "grün"}) as frontend:
        frontend.client.run("import os")
        assert frontend.value("os.getcwd()") == str(directory)
        assert frontend.value("os.environ['OF_THE_FRONTEND']") == "grün"
        assert frontend.value("'OF_THE_DAEMON' in os.environ") == "False"
        assert frontend.value("os.environ.get('JPY_PARENT_PID')") == "None"
        family = [frontend.process, *frontend.process.children(recursive=True)]
        assert {frontend.process} == set(family), "kernel and daemon are nobody's descendants"
        assert kernel_pid(daemon) == int(frontend.value("os.getpid()"))


def test_a_shutdown_leaves_the_kernel_and_its_notebook_finds_it(
    daemon: Daemon, workplace: Workplace
) -> None:
    notebook = workplace.root / "Sales 2026.ipynb"
    notebook.touch()
    with started(workplace, notebook=notebook) as frontend:
        frontend.client.run("x = 41")
        shim = frontend.process
    assert not shim.is_running()
    assert names(daemon) == ["Sales-2026"]
    pid = kernel_pid(daemon, "Sales-2026")
    with started(workplace, notebook=notebook) as frontend:
        assert frontend.value("x + 1") == "42"
    with started(workplace) as frontend:  # of no notebook: a kernel of its own
        assert frontend.value("'x' in dir()") == "False"
    assert kernel_pid(daemon, "Sales-2026") == pid
    assert daemon.json("ps")[0]["notebook"] == str(notebook)


def test_a_restart_is_one_for_everybody_on_the_same_session(
    daemon: Daemon, workplace: Workplace
) -> None:
    with started(workplace) as frontend:
        frontend.client.run("x = 1")
        other = joined(daemon)
        pid, shim = kernel_pid(daemon), frontend.process
        frontend.manager.restart_kernel()
        assert not shim.is_running()
        other.hear_status("restarting")
        assert frontend.value("'x' in dir()") == "False"
        assert other.run("print('x' in dir())")["status"] == "ok"
        assert other.text() == "False\n"
        assert names(daemon) == ["python3"]
        assert kernel_pid(daemon) != pid


def test_sigint_interrupts(daemon: Daemon, workplace: Workplace) -> None:
    with started(workplace) as frontend:
        for _ in range(2):
            cell = frontend.client.start_loop()
            frontend.process.send_signal(signal.SIGINT)
            assert frontend.client.finish(cell)["ename"] == "KeyboardInterrupt"
        assert frontend.process.is_running()


@pytest.mark.parametrize("now", [False, True], ids=["asked", "killed"])
@pytest.mark.parametrize("mode", ["message", "signal"])
def test_the_interrupt_of_a_shutdown_hits_nobodys_cell(
    daemon: Daemon, workplace: Workplace, mode: str, now: bool
) -> None:
    """jupyter_client interrupts a kernel right before it ends it, asked or killed."""
    with started(workplace) as frontend:
        other = joined(daemon)
        cell = other.execute("print('begun', flush=True)\nimport time; time.sleep(1); print('ok')")
        other.hear_stream(cell)
        frontend.manager.kernel_spec.interrupt_mode = mode
        frontend.manager.shutdown_kernel(now=now)
        assert other.finish(cell)["status"] == "ok"
        assert other.text() == "ok\n"


def test_sigterm_detaches(daemon: Daemon, workplace: Workplace) -> None:
    with started(workplace) as frontend:
        pid = kernel_pid(daemon)
        until(lambda: clients(daemon) == 1, "the frontend is counted")
        frontend.process.send_signal(signal.SIGTERM)
        assert frontend.manager.provisioner.process.wait(DEADLINE) == 0
        until(lambda: clients(daemon) == 0, "its ports are gone")
        assert kernel_pid(daemon) == pid


def test_a_shim_that_is_killed_takes_its_ports_along_and_not_the_kernel(
    daemon: Daemon, workplace: Workplace
) -> None:
    """VS Code ends the whole family of what it has started, with SIGKILL."""
    with started(workplace) as frontend:
        pid = kernel_pid(daemon)
        frontend.client.run("x = 1")
        port = frontend.manager.shell_port
        for process in (*frontend.process.children(recursive=True), frontend.process):
            process.kill()
        until(lambda: not listens(port), "the ports are free")
        assert kernel_pid(daemon) == pid
        # Where the same file is used again, it is the same kernel: the manager's restarter.
        frontend.manager.restart_kernel(now=True)
        frontend.client.attach()  # libzmq subscribes again when its socket is looked at
        assert frontend.value("x") == "1"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def file(workplace: Workplace) -> Path:
    """A connection file of a frontend that makes processes itself."""
    file = workplace.root / "runtime" / "kernel-by-hand.json"
    write_connection_file(str(file), ip="127.0.0.1", key=b"a key")
    return file


def shim(workplace: Workplace, file: Path, *arguments: str, **environment: str) -> Any:
    """Start a shim as a frontend that is no jupyter_client: it says nothing of itself."""
    command = [sys.executable, "-m", "proxy", "shim", "-f", str(file)]
    return subprocess.Popen(
        [*command, *(arguments or ["--kernel", "python3"])],
        env={**workplace.environment, **IN_DAEMON, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def shims(workplace: Workplace, file: Path) -> Iterator[Any]:
    """Starts shims on the file; they end with the test."""
    all_of_them: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        all_of_them.append(shim(workplace, file, *arguments, **environment))
        return all_of_them[-1]

    yield start
    for each in all_of_them:
        each.kill()
        each.wait()
        each.stderr.close()


def test_it_ends_with_its_parent_where_that_is_named(
    daemon: Daemon, workplace: Workplace, file: Path
) -> None:
    """As ipykernel does. The parent is killed, and tells nobody."""
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); sys.stdin.read()"
    command = [sys.executable, "-m", "proxy", "shim", "--kernel", "python3", "-f", str(file)]
    named = 'import os; os.environ["JPY_PARENT_PID"] = str(os.getpid()); '
    for said, outlives in ((named, False), ("", True)):
        parent = subprocess.Popen(
            [sys.executable, "-c", said + code, *command],
            env={**workplace.environment, **IN_DAEMON},
            stdin=subprocess.PIPE,
        )
        try:
            client = daemon.attach(file)
            client.run("x = 1")
            (child,) = psutil.Process(parent.pid).children()
        finally:
            parent.kill()
            parent.wait()
            parent.stdin.close()
        if outlives:
            assert client.run("x")["status"] == "ok"
            child.kill()
        psutil.wait_procs([child], timeout=DEADLINE)
        assert not child.is_running()
        until(lambda: clients(daemon) == 0, "its ports are gone")
        client.stop_channels()


def test_of_two_shims_on_one_file_the_later_one_has_the_ports(
    daemon: Daemon, file: Path, shims: Any
) -> None:
    first = shims()
    client = daemon.attach(file)
    client.run("x = 1")
    cell = client.start_loop()
    second = shims()
    assert first.wait(DEADLINE) == 0
    client.ask_control("interrupt_request")
    assert client.finish(cell)["ename"] == "KeyboardInterrupt", "nobody was disconnected"
    assert client.run("x")["status"] == "ok"
    assert names(daemon) == ["python3"]
    second.kill()
    until(lambda: clients(daemon) == 0, "now the ports are gone")


@pytest.mark.alone
def test_a_shim_follows_from_daemon_to_daemon(daemon: Daemon, file: Path, shims: Any) -> None:
    process = shims()
    client = daemon.attach(file)
    client.run("x = 1")
    pid, shown = kernel_pid(daemon), clients(daemon)
    cell = client.execute("print('begun', flush=True)\nimport time; time.sleep(2); x += 1")
    client.hear_stream(cell)
    asked_twice = client.execute("print('x is', x)")
    client.arrive()
    psutil.Process(daemon.pid).kill()  # nobody but the shim starts the next one
    assert client.finish(cell)["status"] == "ok"
    assert client.finish(asked_twice)["status"] == "ok"
    assert client.text() == "x is 2\n"
    before = daemon.pid
    daemon.kmux("daemon", "restart")
    assert daemon.pid != before
    assert client.run("print(x)")["status"] == "ok"
    assert client.text() == "2\n"
    assert process.poll() is None
    assert (kernel_pid(daemon), clients(daemon)) == (pid, shown)
    process.terminate()
    assert process.wait(DEADLINE) == 0
    until(lambda: clients(daemon) == 0, "it is the new daemon's to take the ports away")


def test_ends_with_its_session(daemon: Daemon, file: Path, shims: Any) -> None:
    """And does not begin another one, nor another daemon, when all are ended."""
    process = shims()
    daemon.attach(file)
    daemon.kmux("daemon", "stop", "--all")
    assert process.wait(DEADLINE) == 0
    assert "no daemon" in daemon.refused("daemon", "status", status=5)


def test_attaches_to_a_session(daemon: Daemon, file: Path, shims: Any) -> None:
    daemon.kmux("new", "analysis")
    joined(daemon, "analysis").run("x = 1")
    process = shims("--attach", "analysis")
    client = daemon.attach(file)
    assert client.run("print(x)")["status"] == "ok"
    assert client.text() == "1\n"
    client.ask_control("shutdown_request", {"restart": False})
    assert process.wait(DEADLINE) == 0
    assert names(daemon) == ["analysis"]


def said(process: subprocess.Popen[str]) -> str:
    """The one line on stderr."""
    assert process.stderr is not None
    lines = process.stderr.read().splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("kmux: ")


def test_a_frontend_is_told_why_there_is_no_kernel(
    daemon: Daemon, workplace: Workplace, file: Path, shims: Any
) -> None:
    workplace.kernelspec("broken", [sys.executable, "-c", "import sys; sys.exit('no luck')"], "x")
    (nowhere := workplace.root / "not-a-directory").touch()
    for arguments, environment, status, why in [
        (["--kernel", "pyton3"], {}, 2, "no kernel 'pyton3'; installed: "),
        (["--attach", "nothing"], {}, 2, "no session 'nothing' runs"),
        (["--kernel", "broken"], {}, 3, "kernel 'broken' did not start"),
        ([], {"KMUX_RUNTIME_DIR": str(nowhere)}, 2, "cannot use the runtime directory"),
        ([], {"KMUX_RESTART": "perhaps"}, 2, "KMUX_RESTART must be"),
    ]:
        process = shims(*arguments, **environment)
        assert process.wait(DEADLINE) == status, arguments
        assert said(process).startswith(why)
    assert names(daemon) == []
    file.write_text("no JSON")
    process = shims()
    assert process.wait(DEADLINE) == 2
    assert "is not a connection file" in said(process)


def test_a_port_that_somebody_else_has(daemon: Daemon, file: Path, shims: Any) -> None:
    port = json.loads(file.read_text())["iopub_port"]
    with socket.create_server(("127.0.0.1", port)):
        process = shims()
        assert process.wait(DEADLINE) == 2
        assert f"cannot bind the iopub port tcp://127.0.0.1:{port}" in said(process)


def test_a_kernel_that_dies_comes_back_under_the_frontend(
    daemon: Daemon, workplace: Workplace
) -> None:
    with started(workplace) as frontend:
        os.kill(kernel_pid(daemon), signal.SIGKILL)
        frontend.client.hear_status("restarting")
        frontend.client.hear_status("starting")
        assert frontend.value("1") == "1"
        assert frontend.process.is_running()


def test_by_a_setting_the_kernel_is_the_frontends_own(daemon: Daemon, workplace: Workplace) -> None:
    with started(workplace, env={"KMUX_DAEMON_EXECUTION": "false"}) as frontend:
        session = daemon.json("ps")[0]
        assert session["pid"] in [child.pid for child in frontend.process.children(recursive=True)]
        assert session["daemon"] is False
    assert names(daemon) == []


def test_it_is_small_and_quick(daemon: Daemon, workplace: Workplace) -> None:
    """There is one for each notebook that is open."""
    daemon.kmux("daemon", "start")
    with started(workplace) as frontend:
        assert frontend.process.memory_info().rss < 25 * 1024**2
        threads = frontend.process.num_threads()
        assert threads <= 2
        used = frontend.process.cpu_times()
        time.sleep(1.0)
        now = frontend.process.cpu_times()
        assert (now.user, now.system) == (used.user, used.system), "it only waits"
    modules = subprocess.run(
        [sys.executable, "-c", "import sys, proxy.cli.main, proxy.cli.shim; print(*sys.modules)"],
        capture_output=True,
        text=True,
    ).stdout.split()
    heavy = {"trio", "zmq", "jupyter_client", "structlog", "rich", "asyncio", "traitlets"}
    assert not heavy & set(modules)
