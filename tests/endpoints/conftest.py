from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.endpoints.scene import Scene, open_scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """An endpoint on free TCP ports of this machine."""
    async with open_scene() as scene:
        yield scene
