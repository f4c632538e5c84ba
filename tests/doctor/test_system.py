"""Whether kmux can run here: what is missing is named."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.doctor.surroundings import Surroundings
from proxy.doctor.system import check, judge
from tests.doctor.machine import bad, only

GOOD: dict[str, Any] = {
    "python": (3, 11, 2),
    "system": "linux",
    "release": "6.1",
    "has_epoll": True,
    "has_pidfd": True,
    "has_proc": True,
}


def test_here_it_can() -> None:
    assert bad(check(Surroundings())) == []
    assert judge(**GOOD)[0].what.endswith("Python 3.11.2, Linux 6.1")


@pytest.mark.parametrize(
    ("other", "what", "advice"),
    [
        ({"python": (3, 10, 1)}, "this is Python 3.10.1", "Python 3.11 or later"),
        ({"system": "darwin", "has_epoll": False}, "this is darwin, without epoll", "on Linux"),
        ({"has_pidfd": False}, "Linux 6.1 has no pidfd_open", "since 5.3"),
        ({"has_proc": False}, "/proc is not there", "mount it"),
    ],
)
def test_what_is_missing_is_an_error(other: dict[str, Any], what: str, advice: str) -> None:
    found = only(judge(**(GOOD | other)))
    assert (found.level, found.what) == ("error", what)
    assert advice in found.advice
