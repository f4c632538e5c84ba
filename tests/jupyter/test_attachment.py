"""What a shim asks for, and what it ends with. How it follows daemons is in tests/cli/test_shim.py
and test_provisioner.py, with real ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.daemon.vocabulary import ShimNews, ShimRequest
from proxy.errors import KernelGone, NotFound
from proxy.jupyter.attachment import Attachment, exit_status, failure, new_session

ENVIRONMENT = {"PATH": "/bin", "JPY_PARENT_PID": "1", "JPY_INTERRUPT_EVENT": "2"}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (None, 0),
        (ShimNews(event="goodbye", name="x", status=1), 0),
        (ShimNews(event="restart", name="x"), 0),
        (ShimNews(event="replaced", name="x"), 0),
        (ShimNews(event="ended", name="x"), 0),
        (ShimNews(event="ended", name="x", status=7), 7),
        (ShimNews(event="ended", name="x", status=-9), 137),
        (NotFound("gone"), 2),
    ],
)
def test_what_the_end_is_for_a_frontend(outcome: ShimNews | NotFound | None, status: int) -> None:
    assert exit_status(outcome) == status
    assert failure(outcome) is (outcome if isinstance(outcome, NotFound) else None)


def test_a_session_that_failed_is_an_error_of_its_kind() -> None:
    said = failure(ShimNews(event="ended", name="x", problem="no luck", reason="KernelGone"))
    assert isinstance(said, KernelGone)
    assert str(said) == "no luck"


def wanted(environment: dict[str, str], file: str = "/nowhere") -> str | None:
    return new_session("python3", file, environment, "/tmp").notebook


def test_the_kernel_is_for_the_frontends_notebook(tmp_path: Path) -> None:
    notebook = tmp_path / "work.ipynb"
    notebook.touch()
    file = tmp_path / "kernel.json"
    file.write_text(json.dumps({"jupyter_session": str(notebook), "shell_port": 1}))
    assert wanted({"JPY_SESSION_NAME": str(notebook)}) == str(notebook)
    assert wanted({}, str(file)) == str(notebook)
    assert wanted({}) is None
    assert wanted({"JPY_SESSION_NAME": str(tmp_path / "Console 1")}) is None, "no file: a console"
    assert wanted({"JPY_SESSION_NAME": "work.ipynb"}) is None, "relative to what?"
    file.write_text("no JSON")
    assert wanted({}, str(file)) is None


def test_and_outlives_it() -> None:
    session = new_session("deno", "/nowhere", ENVIRONMENT, "/here", ("--more",))
    assert session.env == {"PATH": "/bin"}
    assert (session.kernel, session.cwd, session.arguments) == ("deno", "/here", ("--more",))
    assert session.find


def test_closing_what_was_never_opened() -> None:
    attachment = Attachment(ShimRequest(connection_file="/nowhere", owner_pid=1))
    attachment.close()
    assert attachment.outcome is None
