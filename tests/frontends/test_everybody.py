"""JupyterLab's server, ``jupyter console``, qtconsole and a raw jupyter_client on one kernel, all
at once: none harms another, and a widget is everybody's."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontends.kmux_process import DEADLINE, Client, Workplace
from tests.frontends.lab_server import LabServer, Window, lab_server
from tests.frontends.scene import Scene, on_one_kernel, raw_client
from tests.frontends.widgets import (
    CONTROL_VERSION,
    asking_states,
    comparable,
    moves,
    on_comm,
    opening,
    own_states,
    states_in,
    update,
)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """One server for all tests: each has a kernel of its own."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        workplace = Workplace(tmp_path_factory.mktemp("everybody"), Path(runtime))
        ipykernel = [sys.executable, "-m", "ipykernel_launcher", "-f"]
        for echo in ("0", "1"):
            env = {"JUPYTER_WIDGETS_ECHO": echo}
            workplace.kernelspec(f"echo-{echo}", ipykernel, "python", env=env)
            installed = workplace.kmux("kernelspec", "install", "--kernel", f"echo-{echo}")
            assert installed.returncode == 0, installed.stderr
        with lab_server(workplace) as server:
            yield server
        log = server.log.read_text()
        assert "internal.error" not in log, log


@pytest.fixture
def echo() -> str:
    """Whether ipywidgets repeats what a frontend did: "1" is its default."""
    return "1"


@pytest.fixture
def scene(lab: LabServer, echo: str) -> Iterator[Scene]:
    with on_one_kernel(lab, f"echo-{echo}-shared") as scene:
        yield scene


class Gate:
    """A cell that waits here keeps the kernel busy until the test lets it through."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.code = f"import os, time\nwhile not os.path.exists({str(file)!r}): time.sleep(0.01)\n"

    def open(self) -> None:
        self._file.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "open")


MAKE_SLIDER = "import ipywidgets; slider = ipywidgets.IntSlider(3); print(slider.model_id)"
LOOP = "print('begun', flush=True)\nwhile True: pass"


def slide(by: Window | Client, comm_id: str, value: int, subshell: str | None = None) -> str:
    """Move a slider."""
    return by.send("shell", "comm_msg", update(comm_id, value), subshell)


def hear_idle(window: Window, msg_id: str) -> None:
    """Wait until the kernel is done with a message."""
    while window.hear(msg_id, "status")["content"]["execution_state"] != "idle":
        pass


@pytest.mark.parametrize("maker", ["window", "qtconsole"])
def test_who_closes_what_it_does_not_know_kills_no_slider(scene: Scene, maker: str) -> None:
    """qtconsole has no target jupyter.widget: it answers every comm_open with comm_close, as the
    protocol tells it to ("Opening a Comm"), also where its own cell made the widget."""
    if maker == "window":
        comm_id = scene.window.run(MAKE_SLIDER)[1].strip()
    else:
        comm_id = scene.qtconsole.run(MAKE_SLIDER).strip()
    scene.client.hear_status("idle", scene.qtconsole.refuses(comm_id))

    hear_idle(scene.window, slide(scene.window, comm_id, 5))
    scene.console.sendline("print('slider', slider.value)")
    scene.console.expect("slider 5")

    scene.console.sendline("slider.value = 60")
    scene.window.hear_where(moves(comm_id, 60), "the slider moves in JupyterLab")
    scene.client.hear(moves(comm_id, 60), "the slider moves in the raw client")


def test_an_error_aborts_nobody_elses_cells(scene: Scene, gate: Gate) -> None:
    """ipykernel throws away whatever waits when a cell fails (stop_on_error), whosever it is
    (jupyter_client#414). "Run All" of JupyterLab sends all cells at once; the others go on."""
    window, console, qtconsole, client = scene.everybody.values()
    failing = window.execute(gate.code + "1/0")
    window.hear(failing, "execute_input")
    own = [window.execute("'own'") for _ in range(3)]
    console.sendline("print('of', 'the console')")
    other = qtconsole.execute("print('of the qtconsole')")
    others = [client.execute(f"print({number})") for number in range(3)]
    for frontend in (window, qtconsole, client):  # a console cannot be asked: it came first
        frontend.arrive()
    gate.open()
    assert window.hear(failing, "execute_reply")["content"]["ename"] == "ZeroDivisionError"
    for cell in own:
        assert window.hear(cell, "execute_reply")["content"]["status"] == "aborted"
    assert qtconsole.finish(other) == "of the qtconsole\n"
    for number, cell in enumerate(others):
        assert client.finish(cell)["status"] == "ok"
        assert client.text() == f"{number}\n"
    console.expect("of the console")


def test_an_error_in_a_console_does_not_stop_run_all(scene: Scene, gate: Gate) -> None:
    """The other way round: who mistypes in a console leaves half of a notebook not run."""
    window, console, qtconsole = scene.window, scene.console, scene.qtconsole
    first = window.execute(gate.code)
    window.hear(first, "execute_input")
    console.sendline("1/0")
    failing = qtconsole.execute("2/0")
    qtconsole.arrive()
    rest = [window.execute(f"print({number})") for number in range(5)]
    window.arrive()
    gate.open()
    assert window.hear(first, "execute_reply")["content"]["status"] == "ok"
    for number, cell in enumerate(rest):
        assert window.finish(cell)[1] == f"{number}\n"
    assert qtconsole.finish(failing) == ""
    assert "ZeroDivisionError" in qtconsole.screen()
    console.expect("ZeroDivisionError")


def test_a_prompt_is_shown_to_who_asks_alone(scene: Scene) -> None:
    """qtconsole shows any prompt that comes, instead of its own; jupyter_console throws an answer
    away when another prompt has come meanwhile. Each asks twice: what went astray in the first
    round stands ahead of its finder's own prompt in the second."""
    for _ in range(2):
        for who, frontend in scene.everybody.items():
            frontend.ask(who)


def test_a_prompt_comes_back_with_who_asked(scene: Scene) -> None:
    """jupyter_client's identity is its session id: a program that was cut off and connects with
    the same one is who it was."""
    client = scene.client
    cell = client.execute("print('got', input('client? '))", allow_stdin=True)
    assert client.get_stdin_msg(timeout=DEADLINE)["content"]["prompt"] == "client? "
    client.stop_channels()
    file = scene.lab.connection_file(scene.kernel_id)
    again = raw_client(file, client)
    try:
        again.attach()
        prompt = again.get_stdin_msg(timeout=DEADLINE)
        assert prompt["content"]["prompt"] == "client? "
        assert prompt["parent_header"]["msg_id"] == cell
        again.input("back")
        assert again.finish(cell)["status"] == "ok"
        assert again.text() == "got back\n"
        for who, frontend in {**scene.everybody, "client": again}.items():
            frontend.ask(who)
    finally:
        again.stop_channels()


def test_a_prompt_comes_back_with_a_jupyterlab_page(scene: Scene) -> None:
    """JupyterLab keeps its session id when its WebSocket broke and is opened again. With another
    window open its server does not keep the ZMQ sockets for it: kmux sees it go and come."""
    window, other = scene.window, scene.another_window()
    cell = window.execute("print('got', input('window? '))")
    assert window.hear(cell, "input_request")["content"]["prompt"] == "window? "
    window.reconnect()
    assert window.hear(cell, "input_request")["content"]["prompt"] == "window? "
    window.listen()
    window.send("stdin", "input_reply", {"value": "back"})
    assert window.finish(cell)[1] == "got back\n"
    for who, frontend in {**scene.everybody, "other": other}.items():
        frontend.ask(who)


def test_an_interrupt_hits_the_running_cell_and_nobody_elses_queue(scene: Scene) -> None:
    """ipykernel throws away whatever waits when a cell is interrupted. Consoles that have not
    started the kernel refuse to interrupt it: that is for JupyterLab's button, and for programs."""
    window, console, qtconsole, client = scene.everybody.values()
    loop = window.execute(LOOP)
    window.hear(loop, "stream")
    own = window.execute("'own'")
    console.sendline("print('console', 'goes on')")
    other = qtconsole.execute("print('goes on')")
    for frontend in (window, qtconsole):
        frontend.arrive()
    client.ask_control("interrupt_request")
    assert window.hear(loop, "execute_reply")["content"]["ename"] == "KeyboardInterrupt"
    assert window.hear(own, "execute_reply")["content"]["status"] == "aborted"
    assert qtconsole.finish(other) == "goes on\n"
    console.expect("console goes on")


def test_jupyterlabs_interrupt_button_hits_the_running_cell_alone(scene: Scene) -> None:
    """Its server sends interrupt_request with an identity that is no window's."""
    window, console, qtconsole, client = scene.everybody.values()
    loop = client.start_loop()
    own = client.execute("'own'")
    console.sendline("print('console', 'goes on')")
    others = [qtconsole.execute("print('goes on')"), window.execute("print('goes on')")]
    for frontend in (window, qtconsole, client):
        frontend.arrive()
    scene.lab.request("POST", f"api/kernels/{scene.kernel_id}/interrupt")
    assert client.finish(loop)["ename"] == "KeyboardInterrupt"
    assert client.reply(own)["content"]["status"] == "aborted"
    assert qtconsole.finish(others[0]) == "goes on\n"
    assert window.finish(others[1])[1] == "goes on\n"
    console.expect("console goes on")


@pytest.mark.parametrize("echo", ["1", "0"])
def test_a_slider_that_one_moves_moves_for_all(scene: Scene, echo: str) -> None:
    """ipywidgets repeats what a frontend did to all (echo_update), unless JUPYTER_WIDGETS_ECHO=0.
    Who moves it is not set back: JupyterLab takes ``echo_update`` of its own for what it is, and
    would follow an ``update`` while the slider is dragged."""
    window, client, second = scene.window, scene.client, scene.another_window()
    comm_id = window.run(MAKE_SLIDER)[1].strip()
    dragged = [slide(window, comm_id, value) for value in (4, 5, 6)]
    for hear in (second.hear_where, client.hear):
        hear(moves(comm_id, 6), "JupyterLab's slider moves for the others")
    heard = []
    while not heard or heard[-1]["parent_header"]["msg_id"] != dragged[-1]:
        heard.append(window.hear_where(on_comm(comm_id), "its own echo"))
    assert {message["content"]["data"]["method"] for message in heard} == {"echo_update"}

    slide(client, comm_id, 8)
    for page in (window, second):
        page.hear_where(moves(comm_id, 8), "the raw client's slider moves for JupyterLab")
    scene.console.sendline("print('slider', slider.value)")
    scene.console.expect("slider 8")
    assert scene.qtconsole.run("print(slider.value)") == "8\n"


def test_two_late_joiners_at_once_get_their_states_of_a_busy_kernel(
    scene: Scene, gate: Gate
) -> None:
    """ipywidgets has one control comm for all, and answers on whichever was opened last; and not
    before the running cell is done (nteract#276, ipywidgets#1316)."""
    scene.client.run(
        "from ipywidgets import Image, IntSlider, VBox\n"
        "print(VBox([IntSlider(7), Image(value=bytes(range(256)))]).model_id)"
    )
    box = scene.client.text().strip()
    busy = scene.client.execute(gate.code)
    scene.client.hear_status("busy", busy)
    late = [scene.another_window(), scene.another_window()]
    for window in late:
        window.send("shell", "comm_open", opening(window.session), metadata=CONTROL_VERSION)
    for window in late:
        window.send("shell", "comm_msg", asking_states(window.session))
    answers = [window.hear_where(on_comm(window.session), "its states") for window in late]
    states = [comparable(states_in(answer)) for answer in answers]
    gate.open()  # had it been open, the kernel could have answered
    assert scene.client.finish(busy)["status"] == "ok"
    wanted = own_states(scene.client)
    assert box in wanted
    assert states == [comparable(wanted)] * 2


def test_a_deleted_subshell_takes_nobodys_widget_with_it(scene: Scene, gate: Gate) -> None:
    """JupyterLab has a subshell for each comm target and window (commsOverSubshells): its sliders
    move while a cell runs. ipykernel 7.4 sends a comm's messages to the subshell that published on
    it last, whatever their header says, and refuses them all when that one has been deleted
    (UnknownSubshellError)."""
    window, client = scene.window, scene.client
    comm_id = window.run(MAKE_SLIDER)[1].strip()
    asked = window.send("control", "create_subshell_request", {})
    own = window.hear(asked, "create_subshell_reply")["content"]["subshell_id"]
    other = client.ask_control("create_subshell_request")["content"]["subshell_id"]
    slide(window, comm_id, 4, own)
    client.hear(moves(comm_id, 4), "JupyterLab's slider moves for the raw client")

    busy = scene.qtconsole.execute(gate.code)
    client.hear_status("busy", busy)
    slide(client, comm_id, 5, other)
    window.hear_where(moves(comm_id, 5), "the raw client's slider moves for JupyterLab")

    deleted = client.ask_control("delete_subshell_request", {"subshell_id": other})
    assert deleted["content"]["status"] == "ok"
    slide(window, comm_id, 6, own)
    client.hear(moves(comm_id, 6), "JupyterLab's slider still moves for the raw client")

    gate.open()
    scene.qtconsole.finish(busy)
    slide(client, comm_id, 7)
    window.hear_where(moves(comm_id, 7), "the raw client's, without a subshell, for JupyterLab")
    assert scene.qtconsole.run("print(slider.value)") == "7\n"
