"""The map of docs/architecture.md, checked against the source: who may import whom, which tests
there are, and which events are logged. Nothing is imported here but syntax trees are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROXY = ROOT / "proxy"
TESTS = ROOT / "tests"

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(PROXY.rglob("*.py"))
}
SOURCES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}

# What each room may import of ours, apart from itself.
LEAVES = {"errors", "message"}
EDGES = LEAVES | {"wire", "sockets"}
BELOW_RUNNER = EDGES | {
    "session",
    "record",
    "kernels",
    "endpoints",
    "rejections",
    "logs",
    "log_file",
    "settings",
    "kernel_command",
}
BELOW_CLI = BELOW_RUNNER | {
    "runner",
    "hosting",
    "daemon",
    "display",
    "standard",
    "doctor",
    "jupyter",
    "environments",
    "trust",
    "amounts",
}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "message": set(),
    "amounts": set(),
    "log_file": set(),
    "logs": {"log_file"},
    "settings": {"errors"},
    "memory": set(),
    "pulse": set(),
    "bell": set(),
    "holding": set(),
    "open_files": {"errors"},
    "rejections": LEAVES | {"logs"},
    "wire": LEAVES,
    "session": LEAVES,
    "record": LEAVES | {"session", "logs", "settings"},
    "sockets": LEAVES,
    "handing_over": {"bell", "sockets"},
    "kernels": EDGES | {"logs", "pulse", "kernel_command"},
    "endpoints": EDGES | {"bell"},
    "kernel_command": set(),
    "environments": {"errors", "logs", "settings", "kernel_command", "holding"},
    "record_server": {"errors", "logs", "bell", "pulse", "record", "endpoints"},
    "runner": BELOW_RUNNER,
    "hosting": BELOW_RUNNER | {"runner", "memory", "open_files", "record_server"},
    "daemon": BELOW_RUNNER
    | {
        "runner",
        "hosting",
        "handing_over",
        "open_files",
        "bell",
        "holding",
        "record_server",
        "environments",
        "trust",
    },
    "trust": set(),
    "display": {"daemon"},
    "jupyter": {"errors", "wire", "settings", "daemon", "kernels"},
    "standard": BELOW_RUNNER | {"runner", "hosting", "daemon", "display", "environments", "trust"},
    "doctor": EDGES | {"amounts", "settings", "daemon", "kernels", "endpoints"},
    "cli": BELOW_CLI,
    "__main__": {"cli"},
    "__init__": set(),
}

SANS_IO = {"trio", "zmq", "automerge", "structlog", "time", "random", "asyncio", "socket", "os"}

COVERED_ELSEWHERE = {
    # Vocabularies and interfaces: data and protocols without code of their own.
    "proxy.session.events": "tests/session",
    "proxy.session.commands": "tests/session",
    "proxy.session.shell_queue": "tests/session/test_executions.py",
    # What ties machines together: no decision is in it.
    "proxy.session.asker": "tests/session/test_life.py",
    "proxy.session.machines": "tests/session",
    "proxy.environments.progress": "tests/environments/test_uv.py",
    "proxy.endpoints.endpoint": "tests/endpoints",
    "proxy.endpoints.sink": "tests/endpoints",
    "proxy.kernels.sink": "tests/frontends",
    "proxy.kernels.kernel": "tests/kernels",
    # Everything from the runner on is tested with real kernels and frontends.
    "proxy.runner": "tests/frontends",
    "proxy.hosting": "tests/test_standard.py",
    "proxy.kernels.output": "tests/test_standard.py",
    "proxy.kernels.warm_main": "tests/kernels/test_warm.py",
    "proxy.kernels.process": "tests/test_standard.py",
    "proxy.jupyter.lab": "tests/cli/test_lab.py",
    "proxy.cli.run": "tests/test_standard.py",
    "proxy.cli.pool": "tests/daemon/test_prewarming.py",
    "proxy.daemon.pool_api": "tests/daemon/test_prewarming.py",
    "proxy.cli.ps": "tests/test_standard.py",
    "proxy.cli.table": "tests/cli/test_queue.py",
    "proxy.cli.detecting": "tests/cli/test_env_explain.py",
    "proxy.cli.environments_in_use": "tests/cli/test_env_remove.py",
    "proxy.cli.groups": "tests/cli/test_daemon.py",
    "proxy.cli.removed": "tests/cli/test_env_remove.py",
    "proxy.cli.clients": "tests/cli/test_sessions.py",
    "proxy.cli.daemon_uninstall": "tests/cli/test_daemon_install.py",
    "proxy.cli.interrupt": "tests/cli/test_sessions.py",
    "proxy.cli.kernel_options": "tests/cli/test_new.py",
    "proxy.cli.logs": "tests/cli/test_sessions.py",
    "proxy.cli.notebooks": "tests/cli/test_new.py",
    "proxy.cli.rename": "tests/cli/test_sessions.py",
    "proxy.cli.restart": "tests/cli/test_sessions.py",
    "proxy.cli.stop": "tests/cli/test_sessions.py",
    "proxy.display": "tests/cli/test_foreground.py",
    "proxy.daemon.control": "tests/cli/test_queue.py",
    "proxy.daemon.systemd": "tests/cli/test_daemon_install.py",
    "proxy.daemon.vocabulary": "tests/daemon",
    "proxy.daemon.watch_vocabulary": "tests/daemon/test_gallery.py",
    "proxy.daemon.jupyter_vocabulary": "tests/daemon/test_web_document.py",
    "proxy.daemon.api": "tests/daemon/test_server.py",
    "proxy.daemon.client": "tests/daemon/test_server.py",
    "proxy.daemon.daemon_api": "tests/daemon/test_server.py",
    "proxy.daemon.live": "tests/daemon/test_outliving.py",
    "proxy.daemon.kept_state": "tests/daemon/test_outliving.py",
    "proxy.daemon.session_ports": "tests/daemon/test_shims.py",
    "proxy.endpoints.web_connection": "tests/endpoints/test_web_clients.py",
    "proxy.daemon.place": "tests/daemon/test_server.py",
    "proxy.daemon.sessions": "tests/daemon/test_server.py",
    "proxy.daemon.handover": "tests/daemon/test_outliving.py",
    "proxy.doctor.findings": "tests/doctor/test_examination.py",
    "proxy.doctor.surroundings": "tests/doctor/test_sockets.py",
    "proxy.cli.daemon_serve": "tests/daemon/test_server.py",
    "proxy.cli.kernelspec": "tests/jupyter",
}
"""Modules without a test file of their own, and where their tests are. To be short."""


def imports(name: str) -> Iterator[tuple[str, int]]:
    """What a module imports, in full and with the line, wherever in the file it does so.

    ``from proxy.session import events`` gives ``proxy.session.events``: a module, not a name.
    Imports under TYPE_CHECKING and inside functions are arrows like all others.
    """
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(SOURCES[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], base]).rstrip(".")
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def room_of(module: str) -> str:
    """The room of one of our modules: the part after ``proxy``."""
    return (module.split(".") + ["__init__"])[1]


@pytest.mark.parametrize("name", MODULES)
def test_arrows_run_one_way(name: str) -> None:
    room = room_of(name)
    assert room in ROOMS, f"{name} is in no room; put it on the map in test_layering.py"
    allowed = ROOMS[room] | {room}
    for imported, line in imports(name):
        if imported.split(".")[0] == "proxy" and imported != "proxy.__version__":
            there = room_of(imported)
            assert there in allowed, f"{MODULES[name]}:{line}: {room} may not import {there}"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("proxy.session.")])
def test_the_session_is_sans_io(name: str) -> None:
    for imported, line in imports(name):
        top = imported.split(".")[0]
        assert top not in SANS_IO, f"{MODULES[name]}:{line}: the session imports {top}"
    for node in ast.walk(SOURCES[name]):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)


def test_at_most_one_module_touches_automerge() -> None:
    users = [n for n in MODULES if any(i.split(".")[0] == "automerge" for i, _ in imports(n))]
    assert len(users) <= 1, f"only one module may import automerge: {users}"


def test_the_map_names_no_room_that_is_gone() -> None:
    assert set(ROOMS) <= {room_of(name) for name in MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_each_module_has_its_test_file(name: str) -> None:
    path = MODULES[name]
    if path.name in ("__init__.py", "__main__.py"):
        return
    test = TESTS / path.relative_to(PROXY).with_name(f"test_{path.name}")
    if name in COVERED_ELSEWHERE:
        assert not test.exists(), f"{name} has its test: take it off COVERED_ELSEWHERE"
        elsewhere = ROOT / COVERED_ELSEWHERE[name]
        assert elsewhere.is_file() or any(elsewhere.glob("test_*.py"))
    else:
        assert test.exists(), f"{name} has no {test.relative_to(ROOT)}"


def test_no_exception_outlives_its_module() -> None:
    assert set(COVERED_ELSEWHERE) <= set(MODULES), "COVERED_ELSEWHERE names a module that is gone"


EVENT = re.compile(r"^[a-z]+\.[a-z_]+$")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged_events(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The event names in ``Log("noun.verb", …)`` and ``log().info("noun.verb", …)``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first = node.args[0]
        named = isinstance(first, ast.Constant) and isinstance(first.value, str)
        makes_command = isinstance(node.func, ast.Name) and node.func.id == "Log"
        makes_command |= isinstance(node.func, ast.Attribute) and node.func.attr == "Log"
        writes = (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and "log" in ast.unparse(node.func.value).lower()
        )
        if (makes_command or writes) and named:
            assert isinstance(first, ast.Constant)
            yield first.value, node.lineno


def test_logged_events_are_the_closed_list() -> None:
    from proxy.logs import EVENTS

    logged = {event for tree in SOURCES.values() for event, _ in logged_events(tree)}
    assert {event for event in EVENTS if not EVENT.match(event)} == set(), "noun.verb"
    assert logged - EVENTS == set(), "logged, but not in proxy/logs.py"
    assert EVENTS - logged == set(), "in proxy/logs.py, but logged nowhere"


def test_the_walk_sees_what_it_should() -> None:
    """The checks above are worth what these finders find."""
    tree = ast.parse('log().warning("a.b")\nself._log.info("c.d", x=1)\nreturn_(Log("e.f", {}))')
    assert [event for event, _ in logged_events(tree)] == ["a.b", "c.d", "e.f"]
    found = {imported for imported, _ in imports("proxy.sockets")}
    assert "proxy.message.Part" in found, "an import under TYPE_CHECKING counts"
    assert {"proxy.session.events", "trio"} <= {i for i, _ in imports("proxy.runner")}
