from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    # A Unix socket's path has about 100 bytes: pytest's own directories are too long.
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        yield Workplace(tmp_path, Path(runtime))
