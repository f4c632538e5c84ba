"""What the settings say of environments, in the words of this room."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from proxy.environments.detection import Choice
from proxy.environments.pool import Pool
from proxy.environments.store import Store
from proxy.environments.uv_environments import FOR_KERNEL
from proxy.environments.wishes import FOR_NOTEBOOKS, wishes
from proxy.settings import Settings, cache_dir, data_dir


def choice_of(settings: Settings, kernelspecs: Collection[str]) -> Choice:
    """Return what the user has chosen, who has these kernelspecs."""
    return Choice(
        default_runtime=settings.default_runtime,
        default_python_env=settings.default_python_env,
        inline_first=settings.inline_first,
        kernelspecs=kernelspecs,
    )


def channels_of(settings: Settings) -> tuple[str, ...]:
    """Return where conda packages are from, for who names no channel."""
    return tuple(settings.conda_channels.split())


def prewarmed_of(settings: Settings) -> tuple[str, ...]:
    """Return what is in the environment of a notebook that asks for none."""
    return (*FOR_KERNEL, *FOR_NOTEBOOKS, *settings.default_packages.split())


def pool(settings: Settings) -> Pool:
    """Return this user's pool. Raises as :func:`store`."""
    place = hashlib.sha256(str(data_dir()).encode()).hexdigest()[:12]
    return Pool(store(), wishes(settings), days=settings.pool_days, place=place)


def store() -> Store:
    """Return this user's environments.

    Raises :class:`ConfigError` and :class:`StoreError` where their directory cannot be used.
    """
    return Store(cache_dir() / "environments")
