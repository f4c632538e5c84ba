"""``kmux lab``: a real JupyterLab, and the line with which a console joins its kernel."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.environments.made import write_notebook
from tests.frontends.kmux_process import DEADLINE, Client, Daemon, Workplace

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "shared.ipynb"


pytestmark = pytest.mark.timeout(120)


@contextmanager
def lab(workplace: Workplace, *arguments: str, **environment: str) -> Iterator[tuple[str, str]]:
    """Run ``kmux lab`` until the block is left. Yields the address, and the file for a console."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "lab", *arguments, "--port", "0", "--no-browser"],
        env={**workplace.environment, "KMUX_DAEMON_EXECUTION": "true", **environment},
        cwd=workplace.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "?token=" not in said or (arguments and "Join it by" not in said):
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        url = re.search(r"http://\S+", said)
        file = re.search(r"--existing (kernel-[\w-]+\.json)", said)
        assert url
        yield url[0], file[1] if file else ""
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def join(workplace: Workplace, file: str) -> Client:
    """Join as the line says that is printed. It is the caller's to leave."""
    runtime = Path(workplace.environment["JUPYTER_RUNTIME_DIR"])
    client = Client(connection_file=str(runtime / file))
    client.load_connection_file()
    client.start_channels()
    client.attach()
    return client


@pytest.mark.parametrize("in_daemon", ["true", "false"])
def test_opens_a_notebook_and_says_how_to_join(
    daemon: Daemon, workplace: Workplace, in_daemon: str
) -> None:
    notebook = workplace.root / "shared.ipynb"
    notebook.write_bytes(NOTEBOOK.read_bytes())
    with lab(workplace, str(notebook), KMUX_DAEMON_EXECUTION=in_daemon) as (url, file):
        with urllib.request.urlopen(url, timeout=DEADLINE) as page:
            assert b"JupyterLab" in page.read()
        joined = join(workplace, file)
        assert joined.run("print('joined')")["status"] == "ok"
        assert joined.text() == "joined\n"
        joined.stop_channels()
    left = [session["name"] for session in daemon.json("ps")]
    assert left == (["shared"] if in_daemon == "true" else []), "the daemon's kernel goes on"


def test_opens_a_session_with_what_it_has_done(daemon: Daemon, workplace: Workplace) -> None:
    session = daemon.json("new", "work")
    daemon.attach(session["connection_file"]).run("x = 6 * 7\nprint(x)")
    with lab(workplace, "work") as (url, file):
        assert "/tree/work.ipynb?" in url
        joined = join(workplace, file)
        joined.run("print(x)")
        assert joined.text() == "42\n"
        joined.stop_channels()
    notebook = json.loads((workplace.root / "work.ipynb").read_text())
    (cell,) = notebook["cells"]
    assert cell["outputs"][0]["text"] == ["42\n"]
    assert notebook["metadata"]["kernelspec"]["name"] == "shared-work"
    assert [session["name"] for session in daemon.json("ps")] == ["work"]


def test_without_a_name_all_kernels_are_shared(daemon: Daemon, workplace: Workplace) -> None:
    with lab(workplace) as (url, _):
        server, _, token = url.partition("lab?token=")
        body = {"path": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
        request = urllib.request.Request(
            f"{server}api/sessions",
            json.dumps(body).encode(),
            {"Authorization": f"token {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            assert answer.status == 201
    assert len(daemon.json("ps")) == 1


def test_a_name_that_nobody_has(daemon: Daemon) -> None:
    assert "no session; see kmux ps" in daemon.refused("lab", "nothing")


def test_a_notebook_that_is_not_there(workplace: Workplace) -> None:
    result = workplace.kmux("lab", "missing.ipynb")
    assert result.returncode == 2
    assert "missing.ipynb" in result.stderr
    assert "Traceback" not in result.stderr


def test_why_there_is_no_kernel_is_said_in_a_line(daemon: Daemon, workplace: Workplace) -> None:
    notebook = write_notebook(workplace.root / "a.ipynb")
    options = ("--kernel", "nothing", "--port", "0", "--no-browser")
    result = workplace.kmux("lab", str(notebook), *options, KMUX_DAEMON_EXECUTION="true")
    assert result.returncode == 3
    *_, last = result.stderr.splitlines()  # the server's log is above
    assert "could not start the kernel: The 'nothing' kernel is not available." in last


def test_a_notebook_that_chooses_its_kernel_and_that_nobody_trusts(
    daemon: Daemon, workplace: Workplace
) -> None:
    notebook = write_notebook(
        workplace.root / "a.ipynb",
        kernelspec={"name": "auto-shared", "language": "python"},  # as JupyterLab has saved it
        runt={"uv": {"dependencies": ["six==1.16.0"]}},
    )
    assert "nobody here has agreed to that" in daemon.refused("lab", str(notebook))
    with lab(workplace, str(notebook), "--trust") as (_, file):
        joined = join(workplace, file)
        joined.run("import six; print(six.__version__)")
        assert joined.text() == "1.16.0\n"
        joined.stop_channels()
    (session,) = daemon.json("ps")
    assert (session["auto"], session["env_source"]) == (True, "uv:inline")
    assert "Jupyter trusts" in workplace.kmux("env", "explain", str(notebook)).stdout


def test_a_proxy_is_not_asked_for_the_way_to_this_machine(
    daemon: Daemon, workplace: Workplace
) -> None:
    notebook = workplace.root / "shared.ipynb"
    notebook.write_bytes(NOTEBOOK.read_bytes())
    nobody = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    with lab(workplace, str(notebook), **nobody, NO_PROXY="", no_proxy="") as (_, file):
        assert file
    assert [session["name"] for session in daemon.json("ps")] == ["shared"]
