"""What a notebook lets Deno's kernel do: ``metadata.runt.deno.permissions``.

They are options of ``deno run``. ``deno jupyter`` takes none of them (2.9: "unexpected argument"),
and its kernel may do everything. That can be taken away from within, though, for good: by code that
is run before anybody else's. So a permission is there or it is not; a part of one
(``--allow-net=HOST``) cannot be had.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from proxy.errors import ConfigError

NAMES = ("read", "write", "net", "env", "sys", "run", "ffi")
"""Those that ``deno run`` does not give unless it is told to."""
BY_DEFAULT = ("import",)
"""... and what it gives: modules from where everybody has them."""
_ALL = ("-A", "--allow-all")


def start_code(permissions: Sequence[str] | None) -> str:
    """Return what a kernel is to run first, so that it may do no more than this; empty: nothing.

    Raises as :func:`revoked`.
    """
    names = revoked(permissions)
    if not names:
        return ""
    return f"for (const name of {json.dumps(names)}) await Deno.permissions.revoke({{ name }});"


def revoked(permissions: Sequence[str] | None) -> list[str]:
    """Return the permissions that are taken away. None, and a list of nothing, say nothing of it.

    Raises :class:`ConfigError` where it is not known what is meant, or that cannot be had.
    """
    if not permissions:
        return []
    allowed = set(BY_DEFAULT)
    denied: set[str] = set()
    for option in permissions:
        if option in _ALL:
            allowed |= {*NAMES}
            continue
        verb, _, name = option.removeprefix("--").partition("-")
        if "=" in name:
            raise ConfigError(
                f"Deno's kernel cannot be given a part of a permission ({option}); say "
                f"{option.partition('=')[0]}, or leave it out"
            )
        if verb not in ("allow", "deny") or name not in (*NAMES, *BY_DEFAULT):
            raise ConfigError(
                f"metadata.runt.deno.permissions: {option!r} is none; it may have "
                f"--allow-all, or --allow- and --deny- with one of {', '.join(NAMES)}"
            )
        (allowed if verb == "allow" else denied).add(name)
    return [name for name in (*NAMES, *BY_DEFAULT) if name not in allowed - denied]
