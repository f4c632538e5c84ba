"""JupyterLab's server with ``--gateway-url``: its kernels are the daemon's."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.frontends.gateway_server import GatewayServer, gateway_server
from tests.frontends.kmux_process import DEADLINE, Client, Daemon, Workplace
from tests.frontends.widgets import CONTROL_VERSION, asking_states, on_comm, opening

pytestmark = [pytest.mark.timeout(180), pytest.mark.thorough]

_numbers = count(1)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests: each has a session of its own."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        workplace = Workplace(tmp_path_factory.mktemp("gateway"), Path(runtime))
        with workplace.daemon() as daemon:
            yield daemon
        log = (workplace.root / "data" / "daemon.log").read_text()
        assert "internal.error" not in log, [x for x in log.splitlines() if "internal.error" in x]


@pytest.fixture(scope="module")
def gateway(daemon: Daemon) -> Iterator[GatewayServer]:
    with gateway_server(daemon) as gateway:
        yield gateway


@pytest.fixture
def session(daemon: Daemon) -> Iterator[str]:
    """A session of this test's own."""
    name = f"session{next(_numbers)}"
    daemon.kmux("new", name)
    yield name
    daemon.kmux("stop", name)


def ids_of(daemon: Daemon, session: str) -> list[str]:
    """The kernel ids of a session."""
    place = daemon.json("web")
    request = urllib.request.Request(
        f"{place['url']}api/kernels", headers={"Authorization": f"token {place['token']}"}
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        kernels = json.loads(response.read())
    return [each["id"] for each in kernels if each["kmux"]["session"] == session]


@pytest.fixture
def raw(daemon: Daemon, session: str) -> Iterator[Client]:
    """A jupyter_client on the same kernel."""
    yield daemon.attach(daemon.kmux("attach", session).strip())
    daemon.stop_clients()


def test_a_kernel_is_started_used_and_left(daemon: Daemon, gateway: GatewayServer) -> None:
    before = {each["name"] for each in daemon.json("ps")}
    kernel_id = gateway.start_kernel("python3")
    (session,) = {each["name"] for each in daemon.json("ps")} - before
    window = gateway.window(kernel_id)
    assert window.run("x = 41; print(x + 1)")[1] == "42\n"

    cell = window.execute("print('begun', flush=True)\nwhile True: pass")
    window.hear(cell, "stream")
    gateway.request("POST", f"api/kernels/{kernel_id}/interrupt")
    assert window.finish(cell)[0]["ename"] == "KeyboardInterrupt"
    assert window.run("print(x)")[1] == "41\n"

    gateway.request("POST", f"api/kernels/{kernel_id}/restart")
    window.reconnect()
    assert window.run("print('x' in dir())")[1] == "False\n"

    gateway.request("DELETE", f"api/kernels/{kernel_id}")
    assert kernel_id not in [each["id"] for each in gateway.request("GET", "api/kernels")]
    assert session in [each["name"] for each in daemon.json("ps")], "it is still there"
    daemon.kmux("stop", session)


def test_kernelspecs_and_their_pictures_are_the_daemons(
    gateway: GatewayServer, session: str
) -> None:
    specs = gateway.request("GET", "api/kernelspecs")["kernelspecs"]
    assert specs[f"shared-{session}"]["spec"]["display_name"] == f"Shared: {session}"
    for each in specs.values():
        for address in each["resources"].values():
            assert gateway.picture(address), address
    with pytest.raises(HTTPError) as error:
        gateway.start_kernel("no-such-kernel")
    error.value.close()
    assert error.value.code in (400, 404, 500)


def test_a_late_joiner_is_on_the_same_kernel(
    gateway: GatewayServer, session: str, raw: Client
) -> None:
    raw.run("x = 'of the raw client'")
    window = gateway.window(gateway.start_kernel(f"shared-{session}"))
    assert window.run("print(x); y = 'of the window'")[1] == "of the raw client\n"
    raw.run("print(y)")
    assert raw.text() == "of the window\n"
    cell = raw.execute("print('heard by all')")
    assert window.hear(cell, "stream")["content"]["text"] == "heard by all\n"
    window.ask("the window")


def test_a_kernel_busy_for_long_is_joined_at_once(
    gateway: GatewayServer, session: str, raw: Client
) -> None:
    cell = raw.start_loop()
    window = gateway.window(gateway.start_kernel(f"shared-{session}"))  # it has kernel_info
    assert window.hear(cell, "status")["content"]["execution_state"] == "busy"
    raw.ask_control("interrupt_request")
    assert raw.finish(cell)["status"] == "error"


def test_two_servers_on_one_kernel_and_the_exit_of_one(
    daemon: Daemon, gateway: GatewayServer, session: str, raw: Client
) -> None:
    """A server deletes all kernels that it knows when it exits."""
    window = gateway.window(gateway.start_kernel(f"shared-{session}"))
    window.run("x = 1")
    with gateway_server(daemon) as other:
        there = other.window(other.start_kernel(f"shared-{session}"))
        assert there.run("print(x); x = 2")[1] == "1\n"
        cell = window.execute("import time; time.sleep(2); print('not disturbed', x)")
        there.hear(cell, "execute_input")
    assert window.finish(cell)[1] == "not disturbed 2\n"
    assert raw.run("print(x)")["status"] == "ok"
    assert raw.text() == "2\n"
    assert window.run("print('goes on')")[1] == "goes on\n"
    assert len(ids_of(daemon, session)) == 2, "its own, and that of the server that is there"


def test_twenty_attachments_and_no_reply_is_lost(gateway: GatewayServer, session: str) -> None:
    """For each there are two connections upstream under one name, of which one is never read."""
    kernel_id = gateway.start_kernel(f"shared-{session}")
    windows = []
    for number in range(20):
        window = gateway.window(kernel_id)
        windows.append(window)
        reply, printed = window.run(f"print({number})")
        assert (reply["status"], printed) == ("ok", f"{number}\n")
    for window in windows:
        assert window.run("print('again')")[1] == "again\n"


IMAGE = """
import ipywidgets
image = ipywidgets.Image(value=bytes(range(256)))
print(image.model_id)
"""


def test_a_picture_does_not_break_the_connection(
    daemon: Daemon, gateway: GatewayServer, session: str
) -> None:
    """It has no room for buffers; jupyter_server's gateway client dies of a binary frame."""
    window = gateway.window(gateway.start_kernel(f"shared-{session}"))
    cell = window.execute(IMAGE)
    image = window.hear(cell, "stream")["content"]["text"].strip()
    opened = window.hear_where(
        lambda m: m["msg_type"] == "comm_open" and m["content"]["comm_id"] == image, "its comm"
    )
    assert opened["buffers"] == []
    assert window.finish(cell)[0]["status"] == "ok"
    assert window.run("image.value = bytes(300); print('goes on')")[1] == "goes on\n"
    control = "c" * 32
    window.send("shell", "comm_open", opening(control), metadata=CONTROL_VERSION)
    window.send("shell", "comm_msg", asking_states(control))
    states = window.hear_where(on_comm(control), "the states")
    assert image in states["content"]["data"]["states"]
    assert window.run("print('and on')")[1] == "and on\n"

    log = (daemon.workplace.root / "data" / "daemon.log").read_text().splitlines()
    said = [line for line in log if "client.no_buffers" in line and window.session in line]
    assert len(said) == 1, said
