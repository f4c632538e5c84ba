"""What takes long to make, and is the same for all tests of conda."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environments.channel import make_channel


@pytest.fixture(scope="session")
def channel_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where there is a channel that is not changed."""
    directory = tmp_path_factory.mktemp("channel") / "it"
    make_channel(directory)
    return directory


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its packages."""
    return tmp_path_factory.mktemp("packages")
