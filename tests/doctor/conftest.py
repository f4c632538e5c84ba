"""A machine of the test's own, as far as kmux sees one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doctor.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    # A Unix socket's path has about 100 bytes: pytest's own directories are too long.
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        machine = Machine(tmp_path, Path(runtime))
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("KMUX_CONFIG", "KMUX_DEFAULT_KERNEL"):
            monkeypatch.delenv(name, raising=False)
        yield machine
        machine.close()
