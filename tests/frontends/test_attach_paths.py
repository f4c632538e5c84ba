"""The ways in, each with the real frontend: run, interrupt, restart, shut down, quit, be killed.

The kernel is the daemon's in all of them, and goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import psutil
import pytest

from tests.frontends.console import console_with
from tests.frontends.kmux_process import Client, Daemon, Workplace, until
from tests.frontends.lab_server import LabServer, lab_server
from tests.frontends.managed import IN_DAEMON

pytestmark = [pytest.mark.timeout(60), pytest.mark.alone]


@pytest.fixture
def kernelspec(daemon: Daemon, workplace: Workplace) -> None:
    """ "Python 3 (shared)", where the workplace's frontends look."""
    (workplace.root / "share").mkdir()
    (workplace.root / "share" / "jupyter").symlink_to(workplace.root / "jupyter")
    daemon.kmux("kernelspec", "install", "--prefix", str(workplace.root), **IN_DAEMON)


def session(daemon: Daemon, name: str = "python3") -> dict[str, Any]:
    """The one session that there is."""
    (found,) = daemon.json("ps")
    assert found["name"] == name
    assert found["daemon"]
    return dict(found)


def joined(daemon: Daemon, name: str = "python3") -> Client:
    """Another frontend on it."""
    return daemon.attach(session(daemon, name)["connection_file"])


@pytest.mark.usefixtures("kernelspec")
def test_a_terminal_console(daemon: Daemon, workplace: Workplace) -> None:
    with console_with(workplace, "--kernel", "python3-shared", **IN_DAEMON) as console:
        until(lambda: daemon.json("ps"), "the console has its kernel")
        other = joined(daemon)
        console.ready(other)
        console.sendline("x = 41; print('of the', 'console')")
        console.expect("of the console")
        assert other.run("print(x + 1)")["status"] == "ok"
        assert other.text() == "42\n"
        console.sendline("print('it', 'runs'); exec('while True: pass')")
        console.expect("it runs")
        console.sendintr()  # Ctrl-C, by which a console that only joined interrupts nothing
        console.expect("KeyboardInterrupt")
        console.sendline("print('still', 'here')")
        console.expect("still here")
        console.sendeof()
        console.expect("exit")
        console.sendline("y")
        console.expect(pexpect.EOF)
    assert other.run("print(x)")["status"] == "ok", "it has shut the kernel down for itself"
    assert session(daemon)["clients"] == 1


NBCLIENT = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
client = NotebookClient(
    notebook, kernel_name="python3-shared", timeout=2, interrupt_on_timeout=True, allow_errors=True
)
client.execute()
nbformat.write(notebook, sys.argv[2])
"""


def notebook(path: Path, *cells: str) -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.cells[0].metadata["tags"] = ["parameters"]
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(made, path)
    return path


def texts(path: Path) -> list[str]:
    """What each cell of a notebook shows, or the name of its error."""
    cells = nbformat.read(path, 4).cells
    return ["".join(o.get("text", o.get("ename", "")) for o in cell.outputs) for cell in cells]


def run(workplace: Workplace, *command: str) -> None:
    result = subprocess.run(
        [sys.executable, *command],
        env={**workplace.environment, **IN_DAEMON},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.usefixtures("kernelspec")
def test_nbclient(daemon: Daemon, workplace: Workplace) -> None:
    given = notebook(
        workplace.root / "given.ipynb",
        "x = 40; print('begun')",
        "1 / 0",
        "while True: pass",  # is interrupted
        "print(x + 2)",
    )
    result = workplace.root / "result.ipynb"
    run(workplace, "-c", NBCLIENT, str(given), str(result))
    assert texts(result) == ["begun\n", "ZeroDivisionError", "KeyboardInterrupt", "42\n"]
    other = joined(daemon)
    assert other.run("print(x)")["status"] == "ok"
    assert other.text() == "40\n"


@pytest.mark.usefixtures("kernelspec")
def test_papermill(daemon: Daemon, workplace: Workplace) -> None:
    given = notebook(workplace.root / "given.ipynb", "x = 1", "print(x + 1)")
    result = workplace.root / "result.ipynb"
    arguments = ["-p", "x", "41", "-k", "python3-shared", "--no-progress-bar"]
    run(workplace, "-m", "papermill", str(given), str(result), *arguments)
    assert texts(result)[-1] == "42\n"
    assert joined(daemon).run("x")["status"] == "ok"


WAYS = {
    "kernelspec": ("python3-shared", []),
    "provisioner": (
        "python3",
        ["--KernelProvisionerFactory.default_provisioner_name=kmux-provisioner"],
    ),
}


@pytest.mark.parametrize(
    "way", ["kernelspec", pytest.param("provisioner", marks=pytest.mark.thorough)]
)
def test_jupyterlab(daemon: Daemon, workplace: Workplace, way: str) -> None:
    kernel, arguments = WAYS[way]
    notebook(workplace.root / "work.ipynb", "1")
    with lab_server(workplace, *arguments, **IN_DAEMON) as lab:
        kernel_id = lab.open_notebook("work.ipynb", kernel)
        window = lab.window(kernel_id)
        window.listen()
        lab.rename_notebook("work.ipynb", "renamed.ipynb")
        assert window.run("x = 41; print('of the window')")[1] == "of the window\n"
        assert session(daemon, "work")["notebook"] == str(workplace.root / "work.ipynb")
        other = joined(daemon, "work")

        cell = window.execute("print('begun', flush=True)\nwhile True: pass")
        other.hear_stream(cell)
        lab.request("POST", f"api/kernels/{kernel_id}/interrupt")
        assert window.finish(cell)[0]["ename"] == "KeyboardInterrupt"

        lab.request("POST", f"api/kernels/{kernel_id}/restart")
        other.hear_status("restarting")
        window.reconnect()
        window.listen()
        assert window.run("print('x' in dir())")[1] == "False\n"
        assert session(daemon, "work")["notebook"] == str(workplace.root / "renamed.ipynb")

        window.run("x = 42")
        cell = other.execute("import time; print('begun', flush=True); time.sleep(1); print('ok')")
        other.hear_stream(cell)
        lab.stop_kernel(kernel_id)
        assert other.finish(cell)["status"] == "ok", "its shutdown interrupts nobody"
        assert lab.request("GET", "api/kernels") == []
        window = lab.window(lab.open_notebook("renamed.ipynb", kernel))
        window.listen()
        assert window.run("print(x)")[1] == "42\n", "the notebook has its kernel again"
        _another_daemon_is_not_noticed(daemon, lab, window)
    # It has quit, and shut all its kernels down.
    assert other.run("print(x)")["status"] == "ok"
    assert other.text() == "43\n"
    assert session(daemon, "work")["status"] == "idle"


def _another_daemon_is_not_noticed(daemon: Daemon, lab: LabServer, window: Any) -> None:
    cell = window.execute("print('begun', flush=True)\nimport time; time.sleep(2); x += 1")
    window.hear(cell, "stream")
    psutil.Process(daemon.pid).kill()
    assert window.finish(cell)[0]["status"] == "ok"
    assert window.run("print(x)")[1] == "43\n"
    assert len(lab.request("GET", "api/kernels")) == 1


@pytest.mark.parametrize(
    "way", ["kernelspec", pytest.param("provisioner", marks=pytest.mark.thorough)]
)
def test_a_jupyterlab_that_is_killed(daemon: Daemon, workplace: Workplace, way: str) -> None:
    kernel, arguments = WAYS[way]
    notebook(workplace.root / "work.ipynb", "1")
    with lab_server(workplace, *arguments, **IN_DAEMON) as lab:
        window = lab.window(lab.open_notebook("work.ipynb", kernel))
        window.listen()
        window.run("x = 1")
        other = joined(daemon, "work")
        until(lambda: session(daemon, "work")["clients"] == 2, "both are there")
        family = psutil.Process(lab.process.pid).children(recursive=True)
        lab.process.kill()
        _, left = psutil.wait_procs(family, timeout=10)
        assert not left, "what stands for its kernels ends with it"
        until(lambda: session(daemon, "work")["clients"] == 1, "its ports are gone")
        assert other.run("x")["status"] == "ok"


def test_jupyterlabs_external_kernels(daemon: Daemon, workplace: Workplace) -> None:
    """What its server can do with kernels that it did not start: little, and nothing to them."""
    directory = Path(workplace.environment["KMUX_DATA_DIR"]) / "connections"
    daemon.kmux("new", "analysis")
    external = "--ServerApp.allow_external_kernels=True"
    where = f"--ServerApp.external_connection_dir={directory}"
    with lab_server(workplace, external, where) as lab:
        (listed,) = lab.request("GET", "api/kernels")
        assert listed["name"] == "shared-analysis"
        window = lab.window(listed["id"])
        assert window.run("x = 1; print('of the window')")[1] == "of the window\n"
        other = joined(daemon, "analysis")
        cell = other.start_loop()
        assert lab.window(listed["id"]), "another window connects while a cell runs"
        other.ask_control("interrupt_request")
        assert other.finish(cell)["ename"] == "KeyboardInterrupt"
        for method, path in [
            ("POST", f"api/kernels/{listed['id']}/interrupt"),
            ("POST", f"api/kernels/{listed['id']}/restart"),
            ("DELETE", f"api/kernels/{listed['id']}"),
        ]:
            with pytest.raises(urllib.error.HTTPError, match="500"):
                lab.request(method, path)
        assert other.run("print(x)")["status"] == "ok"
        daemon.kmux("new", "another")
        until(
            lambda: "shared-another" in json.dumps(lab.request("GET", "api/kernels")),
            "a session that begins is listed",
        )
    assert len(daemon.json("ps")) == 2
