"""How far the making of an environment is: what a person who waits wants to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from proxy.environments.consent import plain

Stage = Literal["solving", "downloading", "building", "installing"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step."""

    stage: Stage
    text: str = ""
    """What, with its size where that is known: ``numpy (16.0MiB)``."""

    @property
    def line(self) -> str:
        """The step in words, of characters that a terminal shows as they are: a package says what
        it is called."""
        return plain(f"{self.stage} {self.text}".rstrip())


Tell = Callable[[Progress], None]
"""Is told of each step."""


def tell_nobody(_: Progress) -> None:
    """For who does not want to know."""
