"""``kmux lab``: a real JupyterLab, and the line with which a console joins its kernel."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.frontends.kmux_process import DEADLINE, Client, Daemon, Workplace

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "shared.ipynb"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("in_daemon", ["true", "false"])
def test_opens_a_notebook_and_says_how_to_join(
    daemon: Daemon, workplace: Workplace, in_daemon: str
) -> None:
    notebook = workplace.root / "shared.ipynb"
    notebook.write_bytes(NOTEBOOK.read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "lab", str(notebook), "--port", "0"],
        env={**workplace.environment, "KMUX_DAEMON_EXECUTION": in_daemon},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "Join it by" not in said:
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        url = re.search(r"http://\S+", said)
        file = re.search(r"--existing (kernel-[\w-]+\.json)", said)
        assert url
        assert file
        with urllib.request.urlopen(url[0], timeout=DEADLINE) as page:
            assert b"JupyterLab" in page.read()
        joined = Client(
            connection_file=str(Path(workplace.environment["JUPYTER_RUNTIME_DIR"]) / file[1])
        )
        joined.load_connection_file()
        joined.start_channels()
        joined.attach()
        assert joined.run("print('joined')")["status"] == "ok"
        assert joined.text() == "joined\n"
        joined.stop_channels()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
    left = [session["name"] for session in daemon.json("ps")]
    assert left == (["shared"] if in_daemon == "true" else []), "the daemon's kernel goes on"


def test_a_notebook_that_is_not_there(workplace: Workplace) -> None:
    result = workplace.kmux("lab", "missing.ipynb")
    assert result.returncode == 2
    assert "missing.ipynb" in result.stderr
    assert "Traceback" not in result.stderr
