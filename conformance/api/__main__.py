"""``python -m conformance.api``: Schemathesis against a daemon's HTTP port and its own document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import click
import psutil

from conformance.api import settings
from conformance.api.settings import Running
from tests.frontends.kmux_process import Client, Daemon, Workplace

WORK = Path(__file__).parents[1] / "work" / "api"
STATUSES = WORK / "statuses.json"
SESSION = "stays"
SPARE = "spare"
PICTURE = """
import base64, os
from IPython.display import display
display({"image/png": base64.b64encode(os.urandom(20_000)).decode()}, raw=True)
"""
SUCCESS = {"200", "201", "204", "426"}
"""The last one is what the path of a WebSocket answers who asks for none."""
MAX_GROWTH_BYTES = 150 * 1024 * 1024
"""What the daemon may have more in the end: the record of what was asked, and of six sessions."""
SECONDS_PER_EXAMPLE = 60
"""How long a run may take for each example, before something hangs."""


@click.command()
@click.option(
    "--examples",
    default=40,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of each operation, made up by chance. 40 take about four minutes.",
)
@click.option("--seed", type=int, help="As a run has told it: the same examples again.")
@click.argument("schemathesis", nargs=-1, type=click.UNPROCESSED)
def main(examples: int, seed: int | None, schemathesis: tuple[str, ...]) -> None:
    """Ask a daemon of its own what its OpenAPI document allows, and what it does not.

    Exits with 1 where an answer is not as the document says, or the daemon has suffered. What is
    said behind -- goes to Schemathesis.

    \b
    Example:
      python -m conformance.api --examples 10
      python -m conformance.api -- --include-path /kmux/sessions
    """
    more = [*schemathesis, *(["--seed", str(seed)] if seed is not None else [])]
    with _daemon() as daemon:
        file = daemon.json("new", SESSION)["connection_file"]
        client = daemon.attach(file)
        process = psutil.Process(daemon.pid)
        before = process.memory_info().rss
        client.run(PICTURE)
        conforms = _ask(daemon, file, examples, more)
        faults = _faults(daemon, process, client, process.memory_info().rss - before)
        if not schemathesis:
            faults += _not_reached()
    for fault in faults:
        print(f"FAULT    {fault}")
    print("no difference" if conforms and not faults else "it does not conform")
    sys.exit(0 if conforms and not faults else 1)


@contextmanager
def _daemon() -> Iterator[Daemon]:
    """Have a daemon with a home of its own; nothing of it is left."""
    with (
        tempfile.TemporaryDirectory(prefix="kmux-api-") as root,
        tempfile.TemporaryDirectory(prefix="kmux-") as runtime,
        Workplace(Path(root), Path(runtime)).daemon() as daemon,
    ):
        yield daemon


def _ask(daemon: Daemon, connection_file: str, examples: int, more: list[str]) -> bool:
    """Run Schemathesis. Returns whether all was as it should be."""
    place = daemon.json("web")
    url, token = place["url"], place["token"]

    def ask(path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = Request(f"{url}{path}", data=data)
        request.add_header("Authorization", f"token {token}")
        with urlopen(request) as answer:
            return json.load(answer)

    kernel_id = ask("api/kernels", {"name": f"shared-{SESSION}"})["id"]
    notebook = ask("api/sessions", {"path": "stays.ipynb", "kernel": {"id": kernel_id}})
    ask(f"kmux/sessions/{SESSION}/flush", {})
    (cell,) = ask(f"kmux/sessions/{SESSION}/outputs")
    blob = cell["outputs"][0]["blob"]
    WORK.mkdir(parents=True, exist_ok=True)
    daemon.kmux("new", SPARE, "--kernel", settings.CHEAP_KERNEL)
    running = Running(SESSION, SPARE, connection_file, kernel_id, notebook["id"], blob)
    file = settings.write(WORK, running, examples)
    environment = {
        **daemon.workplace.environment,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SCHEMATHESIS_HOOKS": "conformance.api.hooks",
        "KMUX_CONFORMANCE_URL": url,
        "KMUX_CONFORMANCE_TOKEN": token,
        "KMUX_CONFORMANCE_STAYS": SESSION,
        "KMUX_CONFORMANCE_STATUSES": str(STATUSES),
    }
    command: list[str | Path] = [
        *(Path(sys.executable).parent / "schemathesis", "--config-file", file),
        *("run", f"{url}kmux/openapi.json", "--continue-on-failure"),
        *("--header", f"Authorization: token {token}"),
        *("--report", "junit", "--report-dir", WORK, *more),
    ]
    asked = subprocess.run(
        command, env=environment, cwd=WORK, timeout=SECONDS_PER_EXAMPLE * (examples + 10)
    )
    return asked.returncode == 0


def _not_reached() -> list[str]:
    """Show how operations were answered. Returns those that have never done what they are for."""
    statuses: dict[str, dict[str, int]] = json.loads(STATUSES.read_text())
    faults = []
    for operation, counts in sorted(statuses.items(), key=lambda each: each[0].split()[::-1]):
        if operation.startswith("OPTIONS ") or "405" in counts:
            continue  # the document has no such operation
        told = "  ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
        print(f"  {operation:48}  {told}")
        if not SUCCESS & counts.keys():
            faults.append(f"{operation} was never got through to")
    return faults


def _faults(daemon: Daemon, process: psutil.Process, client: Client, grown: int) -> list[str]:
    """Look how the daemon is afterwards."""
    print(f"\nthe daemon has {grown / 2**20:.0f} MB more, and {process.num_fds()} open files")
    if not process.is_running():
        return ["the daemon has ended"]
    faults = []
    if grown > MAX_GROWTH_BYTES:
        faults.append(f"it has {grown / 2**20:.0f} MB more")
    log = (daemon.workplace.root / "data" / "daemon.log").read_text()
    faults += [line[:1000] for line in log.splitlines() if '"internal.error"' in line]
    client.arrive()
    reply = client.run("print(6 * 7)")
    if reply["status"] != "ok" or client.text() != "42\n":
        faults.append(f"the kernel answers {reply}")
    if daemon.pid != process.pid:
        faults.append("it is another daemon")
    return faults


if __name__ == "__main__":
    os.umask(0o077)
    main()
