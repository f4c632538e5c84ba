"""Which environments kernels run in, or the pool has, so that nobody removes them."""

from __future__ import annotations

from proxy.daemon import client, registry
from proxy.settings import load


def in_use() -> dict[str, list[str]]:
    """Return the keys of environments with the names of the sessions that are in them.

    A daemon that has left sessions is started, for it to say. Raises what asking it raises: who
    does not know removes nothing.
    """
    client.revived()
    found: dict[str, list[str]] = {}
    for each in registry.sessions():
        if each.environment:
            found.setdefault(each.environment, []).append(each.name)
    return found


def waiting() -> frozenset[str]:
    """Return the keys of environments that wait for a notebook, or are being made to."""
    from proxy.environments import chosen

    return chosen.pool(load()).in_use()
