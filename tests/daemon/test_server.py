"""The daemon as commands have it: one for each user, its sessions, what it refuses."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from proxy.daemon.client import Daemon as Client
from proxy.daemon.http_client import DaemonClient
from proxy.daemon.vocabulary import Adoption, AttachRequest, NewSession
from proxy.errors import ConfigError, Conflict, KernelGone, NotFound
from tests.frontends.kmux_process import Daemon, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def client(daemon: Daemon) -> Client:
    """The daemon, asked without a command in between."""
    daemon.kmux("daemon", "start")
    return Client(DaemonClient(Path(daemon.json("daemon", "status")["socket"])))


def wish(daemon: Daemon, name: str | None = None, kernel: str = "python3") -> NewSession:
    return NewSession(kernel=kernel, name=name, env=daemon.workplace.environment)


def test_it_is_started_by_the_first_command_that_needs_it_and_there_is_one(
    daemon: Daemon,
) -> None:
    with ThreadPoolExecutor() as together:  # commands that find none start one each
        list(together.map(lambda _: daemon.kmux("daemon", "start"), range(4)))
    status = daemon.json("daemon", "status")
    assert {"pid", "version", "socket", "started"} <= status.keys()

    def is_serving(process: psutil.Process) -> bool:
        try:
            return "serve" in process.cmdline()
        except psutil.Error:  # it has just ended
            return False

    until(
        lambda: [p.pid for p in daemon.workplace.processes() if is_serving(p)] == [status["pid"]],
        "those that came second have ended",
    )
    again = subprocess.run(
        [sys.executable, "-m", "proxy", "daemon", "serve"],
        env=daemon.workplace.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert again.returncode == 2
    assert again.stderr == (
        f"kmux: a daemon runs already: process {status['pid']}, on {status['socket']}; "
        "see kmux daemon status\n"
    )


def test_it_survives_the_terminal_that_started_it(daemon: Daemon) -> None:
    daemon.kmux("daemon", "start")
    process = psutil.Process(daemon.pid)
    assert os.getsid(process.pid) == process.pid
    assert process.cwd() == "/"


def test_its_files_are_its_users_alone(daemon: Daemon, client: Client) -> None:
    client.new(wish(daemon, "work"))
    socket = Path(daemon.json("daemon", "status")["socket"])
    data = daemon.workplace.root / "data"
    for path in (socket.parent, socket.parent.parent, data, *data.glob("sessions/*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in (socket, *data.glob("sessions/*/*.json"), data / "daemon.log"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o177 == 0, path


def test_sigterm_ends_it_and_leaves_the_kernels(daemon: Daemon, client: Client) -> None:
    session = client.new(wish(daemon))
    process = psutil.Process(daemon.pid)
    process.send_signal(signal.SIGTERM)
    process.wait(15)
    assert session.pid is not None
    assert psutil.pid_exists(session.pid)
    daemon.kmux("daemon", "stop", "--all")
    assert not psutil.pid_exists(session.pid)


def test_names_are_taken_once_and_made_up_where_none_is_given(
    daemon: Daemon, client: Client
) -> None:
    assert client.new(wish(daemon)).name == "python3"
    assert client.new(wish(daemon)).name == "python3-2"
    with pytest.raises(Conflict, match="a session 'python3' runs already; choose another name"):
        client.new(wish(daemon, "python3"))
    with pytest.raises(ConfigError, match="'a/b' is not a name for a session"):
        client.new(wish(daemon, "a/b"))
    with daemon.workplace.run("--name", "standard") as kmux:
        assert kmux.file.exists()
        with pytest.raises(Conflict, match="'standard' runs already"):
            client.new(wish(daemon, "standard"))
    assert [s.name for s in client.sessions()] == ["python3", "python3-2"]


def test_a_kernel_that_cannot_start_is_an_error_and_leaves_nothing(
    daemon: Daemon, client: Client
) -> None:
    daemon.workplace.kernelspec("bad", [sys.executable, "-c", "raise SystemExit('no luck')"], "x")
    with pytest.raises(KernelGone, match="'bad' did not start: the kernel exited with status 1"):
        client.new(wish(daemon, kernel="bad"))
    with pytest.raises(ConfigError, match="no kernel 'nothing'; installed:"):
        client.new(wish(daemon, kernel="nothing"))
    assert client.sessions() == []
    assert list((daemon.workplace.root / "data" / "sessions").iterdir()) == []


def test_a_notebook_finds_its_session_again(daemon: Daemon, client: Client) -> None:
    notebook = str(daemon.workplace.root / "My notebook.ipynb")
    made = NewSession(
        kernel="python3", notebook=notebook, find=True, env=daemon.workplace.environment
    )
    session = client.new(made)
    assert session.name == "My-notebook"
    assert session.notebook == notebook
    assert client.new(made).pid == session.pid


def test_ports_for_those_who_want_their_own(daemon: Daemon, client: Client) -> None:
    session = client.new(wish(daemon, "work"))
    shared = client.attach("work", AttachRequest())
    assert shared.connection_file == session.connection_file
    own = [client.attach("work", AttachRequest(kind="exclusive")) for _ in range(2)]
    looking = client.attach("work", AttachRequest(kind="read_only"))
    again = client.attach("work", AttachRequest(kind="read_only"))
    assert looking == again
    files = {session.connection_file, *(a.connection_file for a in own), looking.connection_file}
    assert len(files) == 4
    alice, eve = daemon.attach(own[0].connection_file), daemon.attach(looking.connection_file)
    alice.run("x = 1")
    refused = eve.execute("x = 2")
    assert eve.reply(refused)["content"]["ename"] == "ReadOnly"
    cell = alice.execute("print(x)")
    assert eve.hear_stream(cell) == "1\n"
    kinds = sorted(entry.kind for entry in client.clients("work"))
    assert kinds == ["exclusive", "read_only"]
    client.stop_session("work")
    assert not any(Path(file).exists() for file in files)


def test_a_kernel_that_somebody_else_started_is_shared_and_never_ended(
    daemon: Daemon, client: Client
) -> None:
    with daemon.workplace.kernel() as (file, owner):
        owner.run("x = 1")
        session = client.adopt(Adoption(connection_file=str(file), name="theirs"))
        alice = daemon.attach(session.connection_file)
        alice.run("print(x)")
        assert alice.text() == "1\n"
        loop = alice.start_loop()
        client.interrupt("theirs")
        assert alice.finish(loop)["ename"] == "KeyboardInterrupt"
        with pytest.raises(ConfigError, match="somebody else started it"):
            client.restart("theirs")
        daemon.kmux("daemon", "restart")
        alice.run("print(x + 1)")
        assert alice.text() == "2\n"
        client.stop_session("theirs")
        owner.run("print(x)")
        assert owner.text() == "1\n"
    with pytest.raises(ConfigError, match="cannot read the connection file"):
        client.adopt(Adoption(connection_file=str(file)))


def test_a_session_is_renamed_with_its_record(daemon: Daemon, client: Client) -> None:
    session = client.new(wish(daemon, "before"))
    alice = daemon.attach(session.connection_file)
    alice.run("print('kept')")
    client.new(wish(daemon, "taken"))
    with pytest.raises(Conflict):
        client.rename("before", "taken")
    assert client.rename("before", "after").name == "after"
    with pytest.raises(NotFound, match="no session 'before' runs"):
        client.session("before")
    alice.run("print('more')")
    client.flush("after")
    codes = [str(e.code) for e in daemon.workplace.record("after").record.executions.values()]
    assert codes == ["print('kept')", "print('more')"]
    daemon.kmux("daemon", "restart")
    assert client.session("after").pid == session.pid


def test_a_restart_brings_another_kernel_on_the_same_ports(daemon: Daemon, client: Client) -> None:
    session = client.new(wish(daemon, "work"))
    alice = daemon.attach(session.connection_file)
    alice.run("x = 1")
    client.restart("work")
    until(lambda: client.session("work").pid not in (None, session.pid), "another kernel")
    assert alice.run("x")["ename"] == "NameError"


def test_what_the_kernels_process_writes_is_kept(daemon: Daemon, client: Client) -> None:
    session = client.new(wish(daemon, "work"))
    alice = daemon.attach(session.connection_file)
    alice.run("import os; os.write(2, b'from C\\n')")
    assert "from C" in Path(client.output_file("work")).read_text()
