"""VS Code's way in: ``@jupyterlab/services`` on the daemon's HTTP port."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Client, Daemon, Workplace, until
from tests.frontends.services_client import Event, Refused, ServicesClient, packed, services_client
from tests.frontends.widgets import CONTROL, CONTROL_VERSION

pytestmark = pytest.mark.timeout(120)

WIDGET = "jupyter.widget"
ECHO = """
def opened(comm, message):
    @comm.on_msg
    def heard(message):
        data = message["content"]["data"]
        comm.send({"heard": data}, buffers=[bytes(b)[::-1] for b in message["buffers"]])
    comm.send({"opened": message["content"]["data"]}, buffers=message["buffers"])
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""
"""A target that says what it hears, with its buffers turned round."""
_numbers = count(1)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests: each has a session of its own."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        workplace = Workplace(tmp_path_factory.mktemp("services"), Path(runtime))
        with workplace.daemon() as daemon:
            yield daemon
        log = (workplace.root / "data" / "daemon.log").read_text()
        assert "internal.error" not in log, log


@pytest.fixture
def client(daemon: Daemon) -> Iterator[ServicesClient]:
    with services_client(daemon) as client:
        yield client


@pytest.fixture
def other(daemon: Daemon) -> Iterator[ServicesClient]:
    """Another process."""
    with services_client(daemon) as client:
        yield client


@pytest.fixture
def session(daemon: Daemon) -> Iterator[str]:
    """A session of this test's own."""
    name = f"session{next(_numbers)}"
    daemon.kmux("new", name)
    yield name
    daemon.kmux("stop", name)


def ids(client: ServicesClient) -> dict[str, str]:
    """The kernel ids that there are, each with its session."""
    return {each["id"]: each["kmux"]["session"] for each in client.ask("kernels")}


def the_id(client: ServicesClient, session: str) -> str:
    """A session's own kernel id."""
    (found,) = [
        each["id"]
        for each in client.ask("kernels")
        if each["kmux"] == {"session": session, "alias": False}
    ]
    return str(found)


# Kernels and their kernelspecs


def test_a_kernel_is_started_listed_and_left(daemon: Daemon, client: ServicesClient) -> None:
    model = client.ask("start", name="a", kernel="python3")
    assert client.run("a", "x = 41; print(x + 1)") == "42\n"
    session = ids(client)[model["id"]]
    client.ask("shutdown", name="a")
    assert client.hear("status", lambda event: event["status"] == "dead")
    assert ids(client)[model["id"]] == session, "it was shut down for everybody"
    client.ask("connect", name="again", id=model["id"])
    assert client.run("again", "print(x)") == "41\n"
    client.ask("forget", id=model["id"])
    assert client.run("again", "print(x)") == "41\n", "the manager's shutdown is one of the kernel"
    daemon.kmux("stop", session)
    client.hear("status", lambda event: event["name"] == "again" and event["status"] == "dead")
    assert model["id"] not in ids(client)


def test_a_session_is_a_kernelspec_and_whoever_starts_it_attaches(
    client: ServicesClient, session: str
) -> None:
    specs = client.ask("specs")
    spec = specs["kernelspecs"][f"shared-{session}"]
    assert spec["display_name"] == f"Shared: {session}"
    assert spec["language"] == "python"
    assert set(specs["kernelspecs"][specs["default"]]["resources"]) >= {"logo-64x64"}

    own = the_id(client, session)
    client.ask("connect", name="own", id=own)
    client.run("own", "x = 'shared'")
    alias = client.ask("start", name="alias", kernel=f"shared-{session}")["id"]
    assert alias != own
    assert client.run("alias", "print(x)") == "shared\n"
    assert client.ask("spec", name="alias")["name"] == "python3"

    client.ask("shutdown", name="alias")
    assert alias not in ids(client)
    assert client.run("own", "print(x)") == "shared\n", "who left has left alone"


def test_what_there_is_not_is_refused(client: ServicesClient, session: str) -> None:
    with pytest.raises(Refused) as refusal:
        client.ask("start", name="a", kernel="no-such-kernel")
    assert refusal.value.status == 400
    with pytest.raises(Refused) as refusal:
        client.ask("start", name="a", kernel="shared-no-such-session")
    assert refusal.value.status == 400


def test_who_may_only_look_looks(daemon: Daemon, client: ServicesClient, session: str) -> None:
    own = the_id(client, session)
    client.ask("connect", name="a", id=own)
    with services_client(daemon, read_only=True) as onlooker:
        onlooker.ask("connect", name="look", id=own)
        onlooker.ask("info", name="look")
        client.run("a", "print('to be seen')")
        seen = onlooker.hear("iopub", lambda event: event["type"] == "stream")
        assert seen["content"]["text"] == "to be seen\n"
        reply = onlooker.outputs(onlooker.execute("look", "print('not to be')"))
        assert reply["status"] == "error"
        for command in ("interrupt", "restart", "shutdown"):
            with pytest.raises(Refused) as refusal:
                onlooker.ask(command, name="look")
            assert refusal.value.status == 403, command
        with pytest.raises(Refused) as refusal:
            onlooker.ask("start", name="another", kernel="python3")
        assert refusal.value.status == 403
    assert client.run("a", "print('unharmed')") == "unharmed\n"


# Sessions


def test_a_notebook_finds_its_kernel_again(
    daemon: Daemon, client: ServicesClient, other: ServicesClient, session: str
) -> None:
    kernel = {"name": f"shared-{session}"}
    opened = client.ask("openNotebook", name="a", path="of a.ipynb", kernel=kernel)
    client.run("a", "x = 'of the notebook'")
    again = other.ask("openNotebook", name="b", path="of a.ipynb", kernel=kernel)
    assert again["session"] == opened["session"]
    assert other.run("b", "print(x)") == "of the notebook\n"
    found = client.ask("connectNotebook", name="c", path="of a.ipynb")
    assert found["id"] == opened["id"]
    assert client.run("c", "print(x)") == "of the notebook\n"


def test_a_notebook_is_renamed_given_another_kernel_and_closed(
    client: ServicesClient, session: str
) -> None:
    kernel = {"name": f"shared-{session}"}
    opened = client.ask("openNotebook", name="a", path="first.ipynb", kernel=kernel)
    client.run("a", "x = 1")
    renamed = client.ask("renameNotebook", name="a", path="second.ipynb")
    assert renamed["path"] == "second.ipynb"
    assert renamed["kernel"]["id"] == opened["id"]
    mine = [each for each in client.ask("sessions") if each["id"] == renamed["id"]]
    assert [each["path"] for each in mine] == ["second.ipynb"]

    own = the_id(client, session)
    changed = client.ask("changeKernel", name="a", kernel={"id": own})
    assert changed["id"] == own
    assert client.run("a", "print(x)") == "1\n"

    client.ask("closeNotebook", name="a")
    assert renamed["id"] not in [each["id"] for each in client.ask("sessions")]
    client.ask("connect", name="b", id=own)
    assert client.run("b", "print(x)") == "1\n", "the kernel outlives its notebook"


# A kernel connection


@pytest.fixture
def on_it(client: ServicesClient, session: str) -> ServicesClient:
    """A client with the connection "a"."""
    client.ask("connect", name="a", id=the_id(client, session))
    client.ask("info", name="a")
    return client


def test_a_cell_has_its_outputs_and_signals(on_it: ServicesClient) -> None:
    cell = on_it.execute("a", "import sys; print('out'); print('err', file=sys.stderr); 1 + 1")
    reply = on_it.outputs(cell)
    assert (reply["status"], on_it.text) == ("ok", "out\nerr\n")
    types = [each["type"] for each in on_it.messages]
    assert types == ["status", "execute_input", "stream", "stream", "execute_result", "status"]
    request = on_it.messages[0]["parent"]

    def mine(event: Event) -> bool:
        return event["name"] == "a" and event.get("parent") == request

    on_it.ask("look", name="a")  # signals come after
    assert [each["type"] for each in on_it.take("iopub", mine)] == types
    heard = on_it.take("any", mine)
    assert sorted(each["type"] for each in heard) == sorted([*types, "execute_reply"])
    assert [each["status"] for each in on_it.take("status")][-2:] == ["busy", "idle"]

    error = on_it.outputs(on_it.execute("a", "1/0"))
    assert error["ename"] == "ZeroDivisionError"
    assert [each["type"] for each in on_it.messages][-2:] == ["error", "status"]


def test_a_display_is_updated(on_it: ServicesClient) -> None:
    on_it.run(
        "a",
        "from IPython.display import display\n"
        "handle = display('first', display_id=True); handle.update('second')",
    )
    shown = [each["type"] for each in on_it.messages if "display" in each["type"]]
    assert shown == ["display_data", "update_display_data"]


def test_a_prompt_is_answered(on_it: ServicesClient) -> None:
    cell = on_it.execute("a", "print('heard', input('who? '))")
    prompt = on_it.hear("prompt", lambda event: event["cell"] == cell)
    assert prompt["content"]["prompt"] == "who? "
    header = {"msg_id": prompt["id"], "session": "", "msg_type": "input_request"}
    on_it.ask("answer", cell=cell, value="me", to=header)
    on_it.outputs(cell)
    assert on_it.text == "heard me\n"


def test_a_loop_is_interrupted(on_it: ServicesClient) -> None:
    cell = on_it.execute("a", "print('begun', flush=True)\nwhile True: pass")
    on_it.hear_stream(cell, "begun")
    on_it.ask("interrupt", name="a")
    assert on_it.outputs(cell)["ename"] == "KeyboardInterrupt"
    assert on_it.run("a", "print('goes on')") == "goes on\n"


def test_a_restart_is_everybodys(
    on_it: ServicesClient, other: ServicesClient, session: str
) -> None:
    """Who asked for it by the same kernel id is not told that its kernel has died."""
    other.ask("start", name="b", kernel=f"shared-{session}")
    assert other.run("b", "x = 1; print(x)") == "1\n"
    on_it.ask("restart", name="a")
    other.hear("status", lambda event: event["status"] == "autorestarting")
    told = [event["status"] for event in on_it.take("status", lambda e: e["name"] == "a")]
    assert "restarting" in told
    assert "autorestarting" not in told
    for client, name in ((on_it, "a"), (other, "b")):
        assert client.run(name, f"print('x' in dir()); {name} = 2") == "False\n"
    assert on_it.run("a", "print(b)") == "2\n", "both are on the new kernel"


def test_questions_are_answered(on_it: ServicesClient) -> None:
    on_it.run("a", "import math; radius = 3")

    def ask(method: str, **content: object) -> Event:
        answer: Event = on_it.ask("request", name="a", method=method, content=content)["content"]
        assert method == "requestIsComplete" or answer["status"] == "ok"
        return answer

    assert ask("requestComplete", code="rad", cursor_pos=3)["matches"] == ["radius"]
    seen = ask("requestInspect", code="math.tau", cursor_pos=8, detail_level=0)
    assert seen["found"]
    assert "float" in seen["data"]["text/plain"]
    assert ask("requestIsComplete", code="for i in x:")["status"] == "incomplete"
    assert ask("requestCommInfo", target_name=WIDGET)["comms"] == {}
    history = ask("requestHistory", hist_access_type="tail", n=1, output=False, raw=True)
    assert history["history"][-1][-1] == "import math; radius = 3"
    assert ask("requestKernelInfo")["implementation"] == "ipython"


def test_each_sees_what_the_other_runs(
    on_it: ServicesClient, other: ServicesClient, session: str
) -> None:
    other.ask("connect", name="b", id=the_id(other, session))
    other.ask("info", name="b")
    on_it.run("a", "print('of a')")
    seen = other.hear("iopub", lambda event: event["type"] == "stream")
    assert seen["content"]["text"] == "of a\n"
    other.run("b", "print('of b')")
    seen = on_it.hear(
        "iopub", lambda event: event["type"] == "stream" and "of b" in event["content"]["text"]
    )
    assert seen["parent"] == other.messages[0]["parent"]


def test_a_raw_client_is_on_the_same_kernel(
    daemon: Daemon, on_it: ServicesClient, session: str
) -> None:
    raw: Client = daemon.attach(daemon.kmux("attach", session).strip())
    raw.run("x = 'of the raw client'")
    assert on_it.run("a", "print(x)") == "of the raw client\n"


# Comms


BYTES = bytes(range(256)) * 41
"""All there are, and no length that is even in any way."""


def test_a_comm_carries_buffers_both_ways(on_it: ServicesClient) -> None:
    on_it.run("a", ECHO)
    buffers = packed(BYTES, b"", b"\x00\xff")
    comm = on_it.ask("openComm", name="a", target="echo", data={"n": 1}, buffers=buffers)
    heard = on_it.hear("comm", lambda event: event["comm"] == comm)
    assert heard["content"]["data"] == {"opened": {"n": 1}}
    assert heard["buffers"] == buffers
    on_it.ask("sendComm", name="a", comm=comm, data={"n": 2}, buffers=buffers)
    heard = on_it.hear("comm", lambda event: event["comm"] == comm)
    assert heard["content"]["data"] == {"heard": {"n": 2}}
    assert heard["buffers"] == packed(BYTES[::-1], b"", b"\xff\x00")


def test_a_comm_is_opened_and_closed_by_the_kernel(on_it: ServicesClient) -> None:
    on_it.ask("listen", name="a", target="mine")
    on_it.run(
        "a",
        "from ipykernel.comm import Comm; heard = []\n"
        "comm = Comm('mine', data={'n': 1}, buffers=[b'\\x80'])\n"
        "comm.on_msg(lambda message: heard.append(bytes(message['buffers'][0])))",
    )
    opened = on_it.hear("comm opened")
    assert opened["content"]["data"] == {"n": 1}
    assert opened["buffers"] == packed(b"\x80")
    on_it.ask("sendComm", name="a", comm=opened["comm"], data={}, buffers=packed(BYTES))
    assert on_it.run("a", "print(heard[0] == bytes(range(256)) * 41)") == "True\n"
    on_it.run("a", "comm.close()")
    assert on_it.hear("comm closed")["comm"] == opened["comm"]


IMAGE = "import ipywidgets; image = ipywidgets.Image(value=bytes(range(256)), format='png')"


def test_a_widget_with_a_picture_is_everybodys(
    on_it: ServicesClient, other: ServicesClient, session: str
) -> None:
    on_it.ask("listen", name="a", target=WIDGET)
    on_it.run("a", IMAGE)
    image = on_it.run("a", "print(image.model_id)").strip()
    opened = on_it.hear("comm opened", lambda event: event["comm"] == image)
    data = opened["content"]["data"]
    assert data["buffer_paths"] == [["value"]]
    assert opened["buffers"] == packed(bytes(range(256)))

    # A late joiner asks for all states, as the manager of widgets does.
    other.ask("connect", name="b", id=the_id(other, session))
    control = other.ask(
        "openComm", name="b", target=CONTROL, data={}, buffers=[], metadata=CONTROL_VERSION
    )
    other.ask("sendComm", name="b", comm=control, data={"method": "request_states"}, buffers=[])
    states = other.hear("comm", lambda event: event["comm"] == control)
    paths = states["content"]["data"]["buffer_paths"]
    (place,) = [number for number, path in enumerate(paths) if path[0] == image]
    assert paths[place] == [image, "state", "value"]
    assert states["buffers"][place] == packed(bytes(range(256)))[0]
    info = other.ask("request", name="b", method="requestCommInfo", content={})["content"]
    assert info["comms"][image] == {"target_name": WIDGET}

    # It has a comm with that widget by knowing its id. By that it is given another picture.
    update = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
    other.ask("join", name="b", target=WIDGET, id=image)
    other.ask("sendComm", name="b", comm=image, data=update, buffers=packed(BYTES))
    assert on_it.run("a", "print(image.value == bytes(range(256)) * 41)") == "True\n"
    echoed = on_it.hear("comm", lambda event: event["comm"] == image)
    assert echoed["content"]["data"]["method"] == "echo_update"
    assert echoed["buffers"] == packed(BYTES)


def test_comms_have_a_subshell_so_they_work_while_a_cell_runs(on_it: ServicesClient) -> None:
    """ipykernel 7.4 has a comm where it published last: not where it was opened, here."""
    on_it.run("a", ECHO.replace('    comm.send({"opened', '    # comm.send({"opened'))
    comm = on_it.ask("openComm", name="a", target="echo", data={}, buffers=[])
    assert on_it.ask("subshellOf", name="a", comm=comm) is not None
    cell = on_it.execute("a", "print('begun', flush=True)\nwhile True: pass")
    on_it.hear_stream(cell, "begun")
    on_it.ask("sendComm", name="a", comm=comm, data={"n": 1}, buffers=packed(b"ab"))
    assert on_it.hear("comm")["buffers"] == packed(b"ba")
    on_it.ask("interrupt", name="a")
    assert on_it.outputs(cell)["ename"] == "KeyboardInterrupt"


def test_two_ids_in_one_process_both_have_comms(on_it: ServicesClient, session: str) -> None:
    """The manager lets only the first connection of an id handle comms."""
    on_it.ask("start", name="b", kernel=f"shared-{session}")
    for name in ("a", "b"):
        on_it.ask("listen", name=name, target=WIDGET)
    on_it.run("b", IMAGE)
    image = on_it.run("b", "print(image.model_id)").strip()
    for name in ("a", "b"):
        opened = on_it.hear(
            "comm opened", lambda event, name=name: (event["name"], event["comm"]) == (name, image)
        )
        assert opened["buffers"] == packed(bytes(range(256)))
    on_it.ask(
        "sendComm",
        name="b",
        comm=image,
        data={"method": "update", "state": {"format": "gif"}, "buffer_paths": []},
        buffers=[],
    )
    for name in ("a", "b"):
        moved = on_it.hear(
            "comm", lambda event, name=name: (event["name"], event["comm"]) == (name, image)
        )
        assert moved["content"]["data"]["state"] == {"format": "gif"}


LEAVING = """
import time
print("begun", flush=True)
time.sleep(0.5)
print("of who", "leaves")
"""


def test_who_leaves_is_gone_and_its_cell_goes_on(daemon: Daemon, session: str) -> None:
    with services_client(daemon) as client:
        client.ask("connect", name="a", id=the_id(client, session))
        client.ask("info", name="a")
        client.hear_stream(client.execute("a", LEAVING), "begun")
    until(
        lambda: "of who leaves" in daemon.kmux("outputs", session), "its cell is run all the same"
    )
    clients = json.loads(daemon.kmux("clients", session, "--json"))
    assert not [each for each in clients if each.get("kind") == "web"], clients
