"""The same life for kernels of five makers: ipykernel, Deno, xeus-python, bash_kernel and IRkernel
(Debian's)."""

from __future__ import annotations

import os
import signal
from queue import Empty
from typing import Any, NamedTuple

import pytest

from tests.frontends.kmux_process import Client, Workplace, until
from tests.required import needs_kernel

pytestmark = pytest.mark.timeout(120)


class Kind(NamedTuple):
    kernel: str
    code: str
    prints: str
    complete: str
    completion: str
    inspect: str
    loop: str
    interrupts: bool


LOOP = "print('begun', flush=True)\nwhile True: pass"

KINDS = [
    Kind("python3", "print(6 * 7)", "42\n", "import o", "os", "print", LOOP, True),
    # Deno reports what a cell is worth, and its console prints on iopub.
    Kind("deno", "console.log(6 * 7)", "42\n", "Mat", "Math", "Math", "while (true) {}", True),
    # xeus-python answers interrupt_request without interrupting (0.19).
    Kind("xpython", "print(6 * 7)", "42\n", "impo", "import", "print", "while True: pass", False),
    Kind("bash", "echo $((6 * 7))", "42\n", "ech", "echo", "echo", "sleep 1000", True),
    # IRkernel's control answers shutdown_request alone.
    Kind("ir", 'cat(6 * 7, "\\n")', "42", "prin", "print", "print", "while (TRUE) {}", True),
]


# bash_kernel takes ten seconds for each; what it does with many frontends is always tested.
@pytest.fixture(
    params=[
        pytest.param(kind, id=kind.kernel, marks=[pytest.mark.thorough] * (kind.kernel == "bash"))
        for kind in KINDS
    ]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    param: Kind = request.param
    needs_kernel(param.kernel)
    return param


def says(client: Client, kind: Kind) -> None:
    """Run a cell that prints. Deno may print after its idle."""
    cell = client.execute(kind.code)
    assert client.hear_stream(cell).strip() == kind.prints.strip()
    assert client.reply(cell)["content"]["status"] == "ok"


def interrupted(running: Client, other: Client, cell: str) -> dict[str, Any]:
    """Wait for the end of an interrupted cell.

    Deno and bash publish busy before their code runs, and say nothing when it does: an interrupt
    that comes between is lost with any frontend, and a person presses the button again.
    """
    for _ in range(20):
        try:
            reply: dict[str, Any] = running.reply(cell, timeout=2)["content"]
        except Empty:
            other.ask_control("interrupt_request")
        else:
            return reply
    raise AssertionError("not interrupted")


def test_execute_complete_inspect(workplace: Workplace, kind: Kind) -> None:
    with workplace.run("--kernel", kind.kernel) as kmux:
        client, other = kmux.client(), kmux.client()
        says(client, kind)
        completions = client.reply(client.complete(kind.complete, len(kind.complete)))["content"]
        assert any(kind.completion in match for match in completions["matches"])
        inspection = client.reply(client.inspect(kind.inspect, 1))["content"]
        assert inspection["status"] == "ok"
        says(other, kind)


def test_what_no_kernel_needs_to_answer(workplace: Workplace, kind: Kind) -> None:
    """JupyterLab's server asks for kernel_info on control as well, where IRkernel says nothing; and
    the comm_info_reply of that one is malformed (IRkernel 1.3)."""
    with workplace.run("--kernel", kind.kernel) as kmux:
        client = kmux.client()
        info = client.ask_control("kernel_info_request")["content"]
        assert info["language_info"]["name"]
        assert client.reply(client.comm_info())["content"] == {"status": "ok", "comms": {}}


def test_interrupt_by_another_frontend(workplace: Workplace, kind: Kind) -> None:
    with workplace.run("--kernel", kind.kernel) as kmux:
        running, other = kmux.client(), kmux.client()
        cell = running.start_loop() if kind.loop == LOOP else running.execute(kind.loop)
        if kind.loop != LOOP:
            running.hear_status("busy", cell)
        assert other.ask_control("interrupt_request")["content"]["status"] == "ok"
        if kind.interrupts:
            assert interrupted(running, other, cell)["status"] in ("error", "abort", "aborted")
            assert running.run(kind.code)["status"] == "ok"
        else:
            assert kmux.process.poll() is None, "the interrupt ended the kernel"
            os.kill(kmux.kernel_pid, signal.SIGKILL)
            assert running.finish(cell)["status"] == "error"


def test_restart(workplace: Workplace, kind: Kind) -> None:
    with workplace.run("--kernel", kind.kernel) as kmux:
        client, other = kmux.client(), kmux.client()
        before = kmux.kernel_pid
        reply = other.ask_control("shutdown_request", {"restart": True})
        assert reply["content"] == {"status": "ok", "restart": True}
        client.hear_status("restarting")
        client.hear_status("starting")
        says(client, kind)
        assert kmux.kernel_pid != before


def test_sigkill_in_a_cell(workplace: Workplace, kind: Kind) -> None:
    with workplace.run("--kernel", kind.kernel) as kmux:
        client, other = kmux.client(), kmux.client()
        cell = client.execute(kind.loop)
        client.hear_status("busy", cell)
        before = kmux.kernel_pid
        os.kill(before, signal.SIGKILL)
        reply = client.reply(cell)["content"]
        assert (reply["status"], reply["ename"]) == ("error", "KernelDied")
        assert "SIGKILL" in reply["evalue"]
        other.hear_status("restarting")
        until(lambda: kmux.kernel_pid != before, "another kernel was launched")
        assert other.run(kind.code)["status"] == "ok"
        assert client.run(kind.code)["status"] == "ok"
