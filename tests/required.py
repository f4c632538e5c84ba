"""What the gate installs and a newcomer may not have."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacks(what: str, package: str) -> NoReturn:
    """Skip a test that needs more than pip installs. In the gate (CI=true) it must be there."""
    reason = f"{what}; on Debian: sudo apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
