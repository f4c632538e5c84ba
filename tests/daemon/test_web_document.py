"""The OpenAPI document of the daemon's port: it has each route, and what it says is so."""

from __future__ import annotations

from typing import Any, cast

import jsonschema
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st

from proxy.daemon.daemon_api import DaemonApi
from proxy.daemon.pool_api import PoolApi
from proxy.daemon.registry import is_name
from proxy.daemon.vocabulary import Rename
from proxy.daemon.web import Web
from proxy.endpoints import openapi
from proxy.endpoints.routes import Route, WebSocketRoute
from proxy.settings import Settings
from tests.frontends.kmux_process import Daemon
from tests.frontends.web_client import WebApi, api_of

pytestmark = pytest.mark.timeout(120)

NOBODY = cast("Any", None)
TABLE = Web(
    Settings(),
    NOBODY,
    [*DaemonApi(NOBODY, NOBODY, NOBODY, NOBODY).web_routes(), *PoolApi(NOBODY).routes()],
    NOBODY,
).routes
"""That of a daemon, with nothing behind it."""
DOCUMENT = openapi.document(TABLE, title="kmux", version="0", description="")


def label(route: Route | WebSocketRoute) -> str:
    return f"{'GET' if isinstance(route, WebSocketRoute) else route.method} {route.path}"


@pytest.mark.parametrize("route", TABLE, ids=label)
def test_each_route_says_what_it_does(route: Route | WebSocketRoute) -> None:
    """A new one is asked for it here."""
    add = f"the route {label(route)} needs"
    assert route.summary, f"{add} summary='What it does, in one line.'"
    assert route.summary[0].isupper(), f"{add} a summary that is a sentence"
    assert route.summary.endswith("."), f"{add} a summary that is a sentence"
    if isinstance(route, Route):
        if route.method == "GET":
            assert route.gives, (
                f"{add} gives=: the type that it answers; bytes: a file, str: a page"
            )
        if route.method in ("PUT", "PATCH"):
            assert route.takes, f"{add} takes=: the type that its body is"
        assert route.status is None or 200 <= route.status < 300, f"{add} no status=, or a good one"


def test_the_document_has_each_route_and_nothing_else(daemon: Daemon) -> None:
    api = api_of(daemon)
    served = api.get("kmux/openapi.json")
    schemathesis.openapi.from_dict(served).validate()
    assert {
        f"{method.upper()} {path}" for path in served["paths"] for method in served["paths"][path]
    } == {label(route) for route in TABLE}
    assert served["paths"] == DOCUMENT["paths"]


def test_answers_are_what_the_document_says(daemon: Daemon) -> None:
    """Each operation once, when it does what it is for; what is random is conformance's."""
    api = Checked(api_of(daemon))
    session = api("POST", "kmux/sessions", {"kernel": "python3", "name": "work"})
    assert api("POST", "kmux/pool", {}) == api("GET", "kmux/pool")
    assert api("DELETE", "kmux/pool") == {"count": 0}
    kernel = api("POST", "api/kernels", {"name": "shared-work"})
    with api.api.connect(kernel["id"], "alice") as alice:
        running = alice.execute("while True: pass")
        alice.hear(lambda m: m["content"].get("execution_state") == "busy")
        waiting = alice.execute("1")
        alice.reply(alice.send("kernel_info_request", {}))
        assert {each["msg_id"] for each in api("GET", "kmux/sessions/work/queue")} == {
            running,
            waiting,
        }
        assert api("DELETE", f"kmux/sessions/work/queue/{waiting}")["count"] == 1
        assert [each["kind"] for each in api("GET", "kmux/sessions/work/clients")] == ["web"]
        api("POST", "kmux/sessions/work/interrupt")
        alice.reply(running)
    notebook = api("POST", "api/sessions", {"path": "a.ipynb", "kernel": {"id": kernel["id"]}})
    for path in ("api", "api/status", "api/me", "api/kernels", "api/kernelspecs", "api/sessions"):
        api("GET", path)
    api("GET", "api/kernelspecs/shared-work")
    api("GET", f"api/kernels/{kernel['id']}")
    api("GET", f"api/sessions/{notebook['id']}")
    api("PATCH", f"api/sessions/{notebook['id']}", {"path": "b.ipynb"})
    api("DELETE", f"api/sessions/{notebook['id']}")
    kernel = api("POST", "api/kernels", {"name": "shared-work"})
    api("POST", f"api/kernels/{kernel['id']}/interrupt")
    api("POST", f"api/kernels/{kernel['id']}/restart")
    api("DELETE", f"api/kernels/{kernel['id']}")
    for path in ("kmux/daemon", "kmux/sessions", "kmux/sessions/work", "kmux/sessions/work/output"):
        api("GET", path)
    api("GET", "kmux/openapi.json")
    api("GET", "kmux/sessions/work/outputs")
    adopted = api("POST", "kmux/adoptions", {"connection_file": session["connection_file"]})
    api("DELETE", f"kmux/sessions/{adopted['name']}")
    api("PATCH", "kmux/sessions/work", {"name": "play"})
    api("POST", "kmux/sessions/play/endpoints", {"kind": "exclusive"})
    api("POST", "kmux/sessions/play/flush")
    api("POST", "kmux/sessions/play/restart")
    api("DELETE", "kmux/sessions/play")
    assert api("GET", "kmux/sessions/play")["reason"] == "NotFound"
    api("DELETE", "kmux/daemon")
    json = [each for each in TABLE if isinstance(each, Route) and each.gives not in (bytes, str)]
    left = {label(route) for route in json} - api.asked
    assert not left, "ask for these above, so that their answers are checked"


class Checked:
    """Asks, and checks each answer against the document."""

    def __init__(self, api: WebApi) -> None:
        self.api = api
        self.asked: set[str] = set()

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.api.ask(method, path, body)
        operation = self._operation(method, path)
        responses = DOCUMENT["paths"][operation][method.lower()]["responses"]
        assert str(status) in responses, f"{method} {path}: {status}, {answer}"
        response = responses[str(status)]
        if "$ref" in response:
            response = DOCUMENT["components"]["responses"][str(status)]
        else:
            self.asked.add(f"{method} {operation}")
        content = response.get("content")
        assert (content is None) == (answer is None), f"{method} {path}: {answer}"
        if content is not None:
            schema = content["application/json"]["schema"]
            jsonschema.validate(answer, {**schema, "components": DOCUMENT["components"]})
        return answer

    def _operation(self, method: str, path: str) -> str:
        """Return the path of the document that is meant."""
        asked = f"/{path}".split("/")
        for operation, methods in DOCUMENT["paths"].items():
            parts = operation.split("/")
            if method.lower() in methods and len(parts) == len(asked):
                pairs = zip(parts, asked, strict=True)
                if all(part[:1] == "{" or part == each for part, each in pairs):
                    return str(operation)
        raise AssertionError(f"{method} {path} is not in the document")


PATTERN = DOCUMENT["components"]["schemas"][Rename.__name__]["properties"]["name"]["pattern"]


@given(st.from_regex(PATTERN, fullmatch=True) | st.text(max_size=60))
def test_the_names_of_the_document_are_those_that_are_taken(name: str) -> None:
    try:
        jsonschema.validate(name, {"type": "string", "pattern": PATTERN})
    except jsonschema.ValidationError:
        assert not is_name(name)
    else:
        assert is_name(name) or name.endswith("\n"), "$ is also before a line's end, in Python"
