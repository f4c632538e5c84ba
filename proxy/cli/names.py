"""Names of sessions on the command line; the shell completes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from proxy.errors import KmuxError


def running() -> list[str]:
    """Return the names of the sessions that run."""
    from proxy.daemon import registry

    return [session.name for session in registry.sessions()]


class SessionName(click.types.StringParamType):
    """The name of a session. ``names`` returns those that the shell may offer."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]] = running) -> None:
        self._names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]
        except KmuxError:  # whoever only presses Tab is told nothing
            return []
