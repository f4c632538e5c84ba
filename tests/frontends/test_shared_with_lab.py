"""One kernel, three frontends: JupyterLab's own server started it through the kernelspec, a
terminal console and a raw jupyter_client join."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pexpect
import pytest

from tests.frontends.console import Console, open_console
from tests.frontends.kmux_process import Client, Workplace
from tests.frontends.lab_server import LabServer, lab_server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def lab(workplace: Workplace) -> Iterator[LabServer]:
    with lab_server(workplace) as server:
        yield server


@pytest.fixture
def kernel_id(lab: LabServer) -> str:
    return lab.start_kernel()


@pytest.fixture
def client(lab: LabServer, kernel_id: str) -> Iterator[Client]:
    client = Client(connection_file=str(lab.connection_file(kernel_id)))
    client.load_connection_file()
    client.start_channels()
    client.attach()
    yield client
    client.stop_channels()


@pytest.fixture
def console(
    lab: LabServer, kernel_id: str, client: Client, workplace: Workplace
) -> Iterator[Console]:
    with open_console(workplace, lab.connection_file(kernel_id)) as console:
        console.ready(client)
        yield console


def test_each_runs_cells_and_gets_its_own_outputs(
    lab: LabServer, kernel_id: str, client: Client, console: Console
) -> None:
    window = lab.window(kernel_id)
    assert window.run("x = 41; print('of the window')")[1] == "of the window\n"
    assert client.run("print('of the client', x)")["status"] == "ok"
    assert client.text() == "of the client 41\n"
    console.sendline("x + 1")
    console.expect(r"Out\[\d+\]: 42")
    assert window.run("print(x + 2)")[1] == "43\n"


def test_each_sees_the_others_status(lab: LabServer, kernel_id: str, client: Client) -> None:
    window = lab.window(kernel_id)
    window.run("pass")  # from here on its server hears all
    cell = client.execute("input_of_the_client = 1")
    assert window.hear(cell, "status")["content"]["execution_state"] == "busy"
    assert window.hear(cell, "execute_input")["content"]["code"] == "input_of_the_client = 1"
    # The true status may be told once more: another socket of the server's asks for kernel_info.
    while window.hear(cell, "status")["content"]["execution_state"] != "idle":
        pass
    cell = window.execute("pass")
    client.hear_status("busy", cell)
    client.hear_status("idle", cell)


def test_each_interrupts_the_others_loop(
    lab: LabServer, kernel_id: str, client: Client, console: Console
) -> None:
    window = lab.window(kernel_id)
    cell = window.execute("print('begun', flush=True)\nwhile True: pass")
    window.hear(cell, "stream")
    assert client.ask_control("interrupt_request")["content"] == {"status": "ok"}
    assert window.hear(cell, "execute_reply")["content"]["ename"] == "KeyboardInterrupt"

    cell = client.start_loop()
    lab.request("POST", f"api/kernels/{kernel_id}/interrupt")
    assert client.finish(cell)["ename"] == "KeyboardInterrupt"

    console.sendline("print('console', 'runs'); exec('while True: pass')")
    console.expect("console runs")
    client.ask_control("interrupt_request")
    console.expect("KeyboardInterrupt")


def test_leaving_harms_nobody(
    lab: LabServer, kernel_id: str, client: Client, console: Console, workplace: Workplace
) -> None:
    window, passing = lab.window(kernel_id), lab.window(kernel_id)
    cell = window.execute("import time; time.sleep(1.5); print('not disturbed')")
    client.hear_status("busy", cell)
    passing.close()
    console.sendeof()  # Ctrl-D asks whether it is meant
    console.expect("exit")
    console.sendline("y")
    console.expect(pexpect.EOF)
    killed = Client(connection_file=str(lab.connection_file(kernel_id)))
    killed.load_connection_file()
    killed.start_channels()
    killed.attach()
    reply = killed.ask_control("shutdown_request", {"restart": False})["content"]
    assert reply == {"status": "ok", "restart": False}, "its shutdown detaches it"
    killed.stop_channels()
    assert window.hear(cell, "stream")["content"]["text"].startswith("not disturbed")
    assert window.hear(cell, "execute_reply")["content"]["status"] == "ok"
    assert client.run("print('still here')")["status"] == "ok"


def test_restart_by_lab_keeps_the_others_attached(
    lab: LabServer, kernel_id: str, client: Client
) -> None:
    window = lab.window(kernel_id)
    window.run("x = 1")
    cell = client.start_loop()
    lab.request("POST", f"api/kernels/{kernel_id}/restart")
    assert client.reply(cell)["content"]["status"] == "error"
    window.reconnect()
    assert window.run("print('x' in dir())")[1] == "False\n"
    client.attach()  # libzmq subscribes again when its socket is looked at
    assert client.run("print('x' in dir())")["status"] == "ok"
    assert client.text() == "False\n"


def test_a_killed_kernel_comes_back_on_the_same_ports(
    lab: LabServer, kernel_id: str, client: Client
) -> None:
    window = lab.window(kernel_id)
    client.run("import os; print(os.getpid())")
    os.kill(int(client.text()), signal.SIGKILL)
    client.hear_status("restarting")
    client.hear_status("starting")
    assert client.run("print('x' in dir())")["status"] == "ok"
    window.reconnect()
    assert window.run("print(1)")[1] == "1\n"
