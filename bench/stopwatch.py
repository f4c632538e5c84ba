"""The time of one call, in microseconds, without a garbage collection in between."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def each(function: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Call a function with each argument; return the microseconds of one call."""
    start = time.perf_counter()
    for argument in arguments:
        function(argument)
    return (time.perf_counter() - start) / len(arguments) * 1e6


def share(function: Callable[[], object], count: int) -> float:
    """Call a function that does something ``count`` times; return the microseconds of one."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) / count * 1e6


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
