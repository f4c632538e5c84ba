"""What the pool is to have ready, by the settings."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.environments import conda
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.uv_environments import UvNeed
from proxy.settings import Settings

Kind = Literal["uv", "conda"]
KINDS: tuple[Kind, ...] = ("uv", "conda")
FOR_NOTEBOOKS = ("ipywidgets", "pip")
"""What they have besides a kernel: widgets, and what ``%pip install`` runs: who takes one has
asked for nothing, so what is missing is installed from within."""


class PoolWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one kind."""

    size: int
    """How many are to wait."""
    need: UvNeed | CondaNeed
    """What each has."""

    @property
    def kind(self) -> Kind:
        """What makes them."""
        return "uv" if isinstance(self.need, UvNeed) else "conda"

    @property
    def made_for(self) -> str:
        """The same as long as the same is wanted: what was made for another one is of no use."""
        return self.need.key


def wishes(settings: Settings) -> tuple[PoolWish, ...]:
    """Return what is wanted of each kind. None of conda where py-rattler is not there."""
    packages = (*FOR_NOTEBOOKS, *settings.default_packages.split())
    return (
        PoolWish(size=settings.pool_uv, need=UvNeed(requirements=packages)),
        PoolWish(
            size=settings.pool_conda if conda.is_installed() else 0,
            need=CondaNeed(specs=packages, channels=tuple(settings.conda_channels.split())),
        ),
    )
