"""Jupyter Server's API of kernels on the daemon's port, with real kernels."""

from __future__ import annotations

import re

import psutil
import pytest

from tests.environments.made import write_notebook
from tests.frontends.kmux_process import Daemon
from tests.frontends.web_client import WebApi, api_of

pytestmark = pytest.mark.timeout(120)

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
"""As jupyter_server's gateway client parses it."""


@pytest.fixture
def api(daemon: Daemon) -> WebApi:
    return api_of(daemon)


def test_a_kernel_is_started_used_interrupted_restarted_and_left(
    daemon: Daemon, api: WebApi
) -> None:
    model = api.make("api/kernels", {"name": "python3"})
    assert {"id", "name", "last_activity", "execution_state", "connections"} <= set(model)
    assert MOMENT.fullmatch(model["last_activity"])
    one = f"api/kernels/{model['id']}"
    assert [kernel["id"] for kernel in api.get("api/kernels")] == [model["id"]]
    assert api.get(one)["name"] == "python3"
    (session,) = daemon.json("ps")
    with api.connect(model["id"], "alice") as alice:
        assert alice.run("x = 6 * 7\nprint(x)") == "42\n"
        assert api.get(one)["connections"] == 1
        assert [client["kind"] for client in daemon.json("clients", session["name"])] == ["web"]
        cell = alice.execute("print('begun', flush=True)\nwhile True: pass")
        alice.hear(lambda m: m["header"]["msg_type"] == "stream")
        assert api.get(one)["execution_state"] == "busy"
        api.do("POST", f"{one}/interrupt")
        assert alice.reply(cell)["ename"] == "KeyboardInterrupt"
        status, model = api.ask("POST", f"{one}/restart", {})
        assert (status, model["execution_state"]) == (200, "restarting")
        assert alice.run("print('x' in globals())") == "False\n"
    before = daemon.json("ps")[0]["pid"]
    api.do("DELETE", one)
    assert psutil.pid_exists(before), "a kernel is shared: DELETE detaches"


def test_each_attachment_has_an_id_of_its_own(daemon: Daemon, api: WebApi) -> None:
    daemon.json("new", "work")
    (own,) = api.get("api/kernels")
    first, second = (api.make("api/kernels", {"name": "shared-work"}) for _ in range(2))
    assert len({own["id"], first["id"], second["id"]}) == 3
    assert [kernel["kmux"]["session"] for kernel in api.get("api/kernels")] == ["work"] * 3
    with api.connect(first["id"], "alice") as alice, api.connect(own["id"], "bob") as bob:
        alice.run("x = 1")
        assert bob.run("print(x)") == "1\n"
        api.do("DELETE", f"api/kernels/{first['id']}")
        assert api.ask("GET", f"api/kernels/{first['id']}")[0] == 404
        assert alice.run("print('still here')") == "still here\n"
    daemon.kmux("daemon", "restart")
    api = api_of(daemon)
    assert {kernel["id"] for kernel in api.get("api/kernels")} == {own["id"], second["id"]}


def test_a_kernel_runs_where_it_is_told_to_and_belongs_to_its_notebook(
    daemon: Daemon, api: WebApi
) -> None:
    place = daemon.workplace.root / "notebooks"
    place.mkdir()
    env = {
        "KERNEL_WORKING_DIR": str(place),
        "JPY_SESSION_NAME": str(place / "a.ipynb"),
        "OF_MINE": "grün",
    }
    first = api.make("api/kernels", {"name": "python3", "env": env})
    with api.connect(first["id"]) as alice:
        shown = alice.run("import os; print(os.getcwd(), os.environ['OF_MINE'])")
        assert shown == f"{place} grün\n"
    second = api.make("api/kernels", {"name": "python3", "env": env})
    (session,) = daemon.json("ps")
    assert session["notebook"] == str(place / "a.ipynb")
    assert second["kmux"] == {"session": session["name"], "alias": True}


def test_a_notebook_that_is_to_choose_is_looked_into_or_it_is_refused(
    daemon: Daemon, api: WebApi
) -> None:
    place = daemon.workplace.root / "notebooks"
    place.mkdir()
    write_notebook(place / "a.ipynb", kernelspec={"name": "bash"})
    env = {"KERNEL_WORKING_DIR": str(place)}
    for path in ("a.ipynb", "notebooks/a.ipynb"):  # the latter is from the root of a server
        made = api.make("api/kernels", {"name": "auto", "env": env, "path": path})
        assert made["name"] == "bash"
    (session,) = daemon.json("ps")
    assert session["notebook"] == str(place / "a.ipynb")
    status, error = api.ask("POST", "api/kernels", {"name": "auto", "path": "a.ipynb"})
    assert (status, "give its absolute path" in error["message"]) == (400, True)


def test_a_restart_is_told_to_the_others(daemon: Daemon, api: WebApi) -> None:
    """JupyterLab takes "restarting" for a death, where it has not asked for it."""
    daemon.json("new", "work")
    mine, others = (api.make("api/kernels", {"name": "shared-work"}) for _ in range(2))
    with api.connect(mine["id"], "alice") as alice, api.connect(others["id"], "bob") as bob:
        alice.run("1")
        assert api.ask("POST", f"api/kernels/{mine['id']}/restart", {})[0] == 200
        bob.hear(lambda m: m["content"].get("execution_state") == "restarting")
        alice.run("2")
        assert "restarting" not in [m["content"].get("execution_state") for m in alice.heard]


def test_what_is_not_there_is_said(api: WebApi) -> None:
    status, error = api.ask("POST", "api/kernels", {"name": "no such kernel"})
    assert (status, error["reason"]) == (400, "ConfigError")
    assert "no kernel 'no such kernel'" in error["message"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/interrupt"), ("POST", "/restart")):
        status, error = api.ask(method, f"api/kernels/nobody{path}", {})
        assert (status, error["message"]) == (404, "Kernel does not exist: nobody")


def test_what_a_client_asks_first(daemon: Daemon, api: WebApi) -> None:
    assert set(api.get("api")) == {"version"}
    assert api.get("api/me")["identity"]["username"] == "owner"
    assert api_of(daemon, read_only=True).get("api/me")["identity"]["username"] == "onlooker"
    daemon.json("new", "work")
    status = api.get("api/status")
    assert (status["kernels"], status["connections"]) == (1, 0)
    assert MOMENT.fullmatch(status["started"])
    assert MOMENT.fullmatch(status["last_activity"])


def test_a_kernel_that_dies_is_told_to_who_is_connected_and_comes_back(
    daemon: Daemon, api: WebApi
) -> None:
    model = api.make("api/kernels", {})
    with api.connect(model["id"], "alice") as alice:
        alice.run("x = 1")
        psutil.Process(daemon.json("ps")[0]["pid"]).kill()
        alice.hear(lambda m: m["content"].get("execution_state") == "restarting")
        assert alice.run("print('x' in globals())") == "False\n"
    assert api.get(f"api/kernels/{model['id']}")["execution_state"] == "idle"
