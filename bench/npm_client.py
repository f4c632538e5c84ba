"""Frontends' own client of the record, ``@automerge/automerge-repo``, in a process of Node."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.processes import STOP_SECONDS
from tests.record.repo_peer import install

SCRIPT = Path(__file__).with_name("join.mjs")


@dataclass(frozen=True)
class NpmJoin:
    """When a new repo had what, in seconds after it began to connect, and its own CPU time."""

    root: float
    document: float
    cpu: float
    models: int


class NpmClient:
    """One process. Made by :func:`npm_client`."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen
        if not self._told().get("ready"):
            raise BenchError("the client from npm did not start")

    def join(self, url: str, root: str) -> NpmJoin:
        """Have a new repo join."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"url": url, "root": root}) + "\n")
        self._popen.stdin.flush()
        told = self._told()
        return NpmJoin(told["rootMs"] / 1e3, told["ms"] / 1e3, told["cpuMs"] / 1e3, told["models"])

    def _told(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise BenchError("the client from npm has ended; its words are above")
        told: dict[str, Any] = json.loads(line)
        return told


@contextlib.contextmanager
def npm_client() -> Iterator[NpmClient]:
    """Run one while the context lasts; the packages are installed the first time."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise BenchError(f"there is no {command}; on Debian: sudo apt-get install nodejs npm")
    directory = install()
    shutil.copy(SCRIPT, directory / SCRIPT.name)
    with subprocess.Popen(
        ["node", SCRIPT.name],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            yield NpmClient(popen)
        finally:
            popen.kill()
            popen.wait(STOP_SECONDS)
