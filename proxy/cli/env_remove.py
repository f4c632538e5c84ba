"""``kmux env remove``: environments that are not wanted any more."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from proxy.cli.environments_in_use import in_use, waiting
from proxy.cli.removed import show_removed
from proxy.errors import Conflict, KmuxError


class EnvironmentKey(click.types.StringParamType):
    """The key of an environment, or its first letters; the shell completes it."""

    name = "key"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from proxy.environments import chosen

        try:
            return [
                CompletionItem(each.key, help=", ".join(each.used.notebooks[:1]))
                for each in chosen.store().all()
                if each.key.startswith(incomplete)
            ]
        except KmuxError:  # whoever only presses Tab is told nothing
            return []


@click.command("remove")
@click.argument("keys", nargs=-1, required=True, type=EnvironmentKey(), metavar="KEY...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(keys: tuple[str, ...], as_json: bool) -> None:
    """Remove environments: all that are named, or none. The first letters of a KEY are enough.

    One that a kernel runs in is not removed. A notebook that asks for it again has it made again.

    \b
    Example:
      kmux env remove 3f9c21d0
    """
    from proxy.environments import chosen
    from proxy.environments.inventory import meant

    store = chosen.store()
    found = meant(keys, [*(each.key for each in store.all()), *store.broken()])
    used, pooled = in_use(), waiting()
    for key in found:
        if key in used:
            names = ", ".join(used[key])
            raise Conflict(f"environment {key} is in use by {names}; kmux stop ends a session")
        if key in pooled:
            raise Conflict(f"environment {key} waits in the pool; kmux pool flush removes those")
    show_removed([store.remove(key) for key in found], as_json=as_json)
