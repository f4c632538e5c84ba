"""Several frontends on one kernel, and none harms another: real kernels, real clients."""

from __future__ import annotations

import pytest

from tests.frontends.kmux_process import Workplace
from tests.required import needs_kernel

pytestmark = pytest.mark.timeout(120)


def test_an_error_aborts_the_cells_of_its_own_client_alone(workplace: Workplace) -> None:
    """ipykernel throws away all that waits (jupyter_client#414, ipykernel#609)."""
    with workplace.run() as kmux:
        alice, bob = kmux.client(), kmux.client()
        failing = alice.execute("print('begun', flush=True); import time; time.sleep(0.5); 1/0")
        assert alice.hear_stream(failing) == "begun\n"
        own = [alice.execute("'own'") for _ in range(3)]
        asked = alice.complete("impor")
        others = [bob.execute(f"print({number})") for number in range(3)]
        assert alice.reply(failing)["content"]["ename"] == "ZeroDivisionError"
        for cell in own:
            reply = alice.reply(cell)
            assert reply["content"] == {"status": "aborted"}
            assert reply["metadata"]["status"] == "aborted"
        assert "import" in alice.reply(asked)["content"]["matches"]
        for number, cell in enumerate(others):
            assert bob.finish(cell)["status"] == "ok"
            assert bob.text() == f"{number}\n"


def test_no_cell_is_caught_by_an_error_that_it_has_nothing_to_do_with(workplace: Workplace) -> None:
    """While ipykernel throws cells away it also does so with what comes in that moment."""
    with workplace.run() as kmux:
        alice, bob = kmux.client(), kmux.client()
        for _ in range(60):
            failing = alice.execute("1/0")
            cell = bob.execute("1")
            assert alice.reply(failing)["content"]["status"] == "error"
            assert bob.reply(cell)["content"]["status"] == "ok"


def test_an_interrupt_of_one_lets_the_queue_of_another_go_on(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        alice, bob, carol = kmux.client(), kmux.client(), kmux.client()
        loop = alice.start_loop()
        own, other = alice.execute("1"), bob.execute("print('on')")
        carol.ask_control("interrupt_request")
        assert alice.finish(loop)["ename"] == "KeyboardInterrupt"
        assert alice.reply(own)["content"]["status"] == "aborted"
        assert bob.finish(other)["status"] == "ok"
        assert bob.text() == "on\n"


def test_clients_take_turns(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        alice, bob = kmux.client(), kmux.client()
        alice.run("order = []")
        first = alice.execute("print('begun', flush=True); import time; time.sleep(0.5)")
        alice.hear_stream(first)
        cells = [alice.execute("order.append('a')") for _ in range(5)]
        others = [bob.execute("order.append('b')") for _ in range(5)]
        for client, sent in ((alice, cells), (bob, others)):
            for cell in sent:
                assert client.reply(cell)["content"]["status"] == "ok"
        assert alice.run("print(''.join(order))")["status"] == "ok"
        assert alice.text() == "babababab" + "a\n"


@pytest.mark.parametrize("kernel", ["deno", "xpython", "bash", "ir"])
def test_three_clients_on_other_kernels(workplace: Workplace, kernel: str) -> None:
    needs_kernel(kernel)
    fails, works = {
        "deno": ("throw new Error('no')", "console.log({})"),
        "xpython": ("1/0", "print({})"),
        "bash": ("false_command_that_is_none", "echo {}"),
        "ir": ("stop('no')", 'cat({}, "\\n")'),
    }[kernel]
    with workplace.run("--kernel", kernel) as kmux:
        clients = [kmux.client() for _ in range(3)]
        for round_ in range(3):
            failing = clients[0].execute(fails)
            cells = [client.execute(works.format(f"{round_}")) for client in clients[1:]]
            assert clients[0].reply(failing)["content"]["status"] != "aborted"
            for client, cell in zip(clients[1:], cells, strict=True):
                assert client.reply(cell)["content"]["status"] == "ok"
                assert client.hear_stream(cell).strip() == str(round_)


def test_a_frontend_that_interrupts_and_shuts_down_hits_nobody(workplace: Workplace) -> None:
    """JupyterLab does both, 0 to 8 ms apart, for "Shut Down Kernel" (4.6)."""
    with workplace.run() as kmux:
        alice, bob = kmux.client(), kmux.client()
        cell = alice.execute(
            "print('begun', flush=True); import time; time.sleep(1); print('undisturbed')"
        )
        assert alice.hear_stream(cell) == "begun\n"
        for msg_type, content in (
            ("interrupt_request", {}),
            ("shutdown_request", {"restart": False}),
        ):
            bob.control_channel.send(bob.session.msg(msg_type, content))
        assert alice.finish(cell)["status"] == "ok"
        assert alice.text().endswith("undisturbed\n")
        assert kmux.events("client.detached")
        assert not kmux.events("kernel.interrupted")
