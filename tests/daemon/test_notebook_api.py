"""Jupyter Server's API of sessions: notebooks on kernels."""

from __future__ import annotations

import pytest

from tests.frontends.kmux_process import Daemon
from tests.frontends.web_client import WebApi, api_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def api(daemon: Daemon) -> WebApi:
    return api_of(daemon)


def test_a_notebook_finds_its_kernel_again(daemon: Daemon, api: WebApi) -> None:
    wish = {
        "path": "work/a.ipynb",
        "name": "a.ipynb",
        "type": "notebook",
        "kernel": {"name": "python3"},
    }
    made = api.make("api/sessions", wish)
    assert {key: made[key] for key in ("path", "name", "type")} == {
        key: wish[key] for key in ("path", "name", "type")
    }
    assert made["notebook"] == {"path": "work/a.ipynb", "name": "a.ipynb"}
    assert api.make("api/sessions", wish)["id"] == made["id"], (
        "the same, as Jupyter's server has it"
    )
    assert api.get("api/sessions") == [api.get(f"api/sessions/{made['id']}")]
    with api.connect(made["kernel"]["id"]) as alice:
        alice.run("x = 1")
    daemon.kmux("daemon", "restart")
    api = api_of(daemon)
    (again,) = api.get("api/sessions")
    assert again["kernel"]["id"] == made["kernel"]["id"]
    with api.connect(again["kernel"]["id"]) as alice:
        assert alice.run("print(x)") == "1\n"


def test_a_notebook_is_renamed_moved_to_another_kernel_and_forgotten(
    daemon: Daemon, api: WebApi
) -> None:
    made = api.make("api/sessions", {"path": "a.ipynb", "kernel": {"name": "python3"}})
    one = f"api/sessions/{made['id']}"
    status, changed = api.ask("PATCH", one, {"path": "b.ipynb", "name": "b"})
    assert (status, changed["path"], changed["name"]) == (200, "b.ipynb", "b")
    assert changed["kernel"]["id"] == made["kernel"]["id"]
    other = api.make("api/kernels", {"name": "bash"})
    _, changed = api.ask("PATCH", one, {"kernel": {"id": other["id"]}})
    assert changed["kernel"]["name"] == "bash"
    assert len(api.get("api/sessions")) == 1
    _, changed = api.ask("PATCH", one, {"kernel": {"name": "python3"}})
    assert changed["kernel"]["name"] == "python3"
    api.do("DELETE", one)
    assert api.get("api/sessions") == []
    assert len(daemon.json("ps")) == 3, "the kernels stay"


def test_a_notebook_on_a_kernel_that_runs(daemon: Daemon, api: WebApi) -> None:
    daemon.json("new", "work")
    (kernel,) = api.get("api/kernels")
    made = api.make("api/sessions", {"path": "a.ipynb", "kernel": {"id": kernel["id"]}})
    assert made["kernel"]["id"] == kernel["id"]
    shared = api.make("api/sessions", {"path": "b.ipynb", "kernel": {"name": "shared-work"}})
    assert shared["kernel"]["id"] != kernel["id"]
    api.do("DELETE", f"api/sessions/{shared['id']}")
    assert api.ask("GET", f"api/kernels/{shared['kernel']['id']}")[0] == 404, (
        "its alias is given up"
    )
    assert len(daemon.json("ps")) == 1


def test_what_is_no_notebook_is_refused(api: WebApi) -> None:
    for body, wanted in (
        ({}, 400),
        ({"path": "", "kernel": {"name": "python3"}}, 400),
        ({"path": 7}, 400),
        ({"path": "a.ipynb", "kernel": {"name": "no such kernel"}}, 400),
        ({"path": "a.ipynb", "kernel": {"id": "nobody"}}, 404),
    ):
        status, error = api.ask("POST", "api/sessions", body)
        assert status == wanted, error
        assert set(error) == {"message", "reason"}
    for method in ("GET", "PATCH", "DELETE"):
        assert api.ask(method, "api/sessions/nothing", {})[0] == 404
    assert api.get("api/sessions") == []
