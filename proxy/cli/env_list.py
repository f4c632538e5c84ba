"""``kmux env list``: the environments that there are."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
import msgspec

from proxy.amounts import lasting, sized
from proxy.cli.environments_in_use import in_use
from proxy.cli.table import show, show_json
from proxy.daemon.vocabulary import timestamp
from proxy.environments import chosen
from proxy.environments.consent import plain
from proxy.environments.inventory import python_version, shortened
from proxy.environments.store import Environment


class EnvironmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``kmux env list --json``."""

    key: str
    manager: str
    """uv or conda."""
    python: str
    """The version."""
    packages: int
    """How many."""
    bytes: int
    own_bytes: int
    """Without the files that uv's cache has too."""
    created: str
    """ISO 8601, UTC."""
    used: str
    """Likewise, the last time."""
    notebooks: tuple[str, ...]
    """For which it was used, the latest first."""
    sessions: list[str]
    """Those whose kernels run in it."""
    prefix: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a person sees of it."""

    key: str
    manager: str
    python: str
    packages: int
    size: str
    age: str
    used: str
    notebook: str


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(as_json: bool) -> None:
    """Show the environments that there are, the one that was used last first.

    Environments of projects (uv:pyproject) are the projects' own, and not among them.

    \b
    Example:
      kmux env list
      kmux env list --json | jq '[.[].bytes] | add'
    """
    environments = chosen.store().all()
    sessions = in_use()
    infos = [_info(each, sessions.get(each.key, [])) for each in environments]
    if as_json:
        show_json(infos)
    elif not infos:
        click.echo("There is none yet. A notebook's is made when its kernel is started.")
    else:
        show(Row, _rows(environments, infos))
        total, own = (sum(getattr(each, name) for each in infos) for name in ("bytes", "own_bytes"))
        click.echo(f"{sized(total)} in all, {sized(own)} without what uv's cache has too", err=True)


def _info(environment: Environment, sessions: list[str]) -> EnvironmentInfo:
    size, used = environment.size(), environment.used
    return EnvironmentInfo(
        key=environment.key,
        manager=environment.manifest.manager,
        python=python_version(environment),
        packages=len(environment.manifest.packages),
        bytes=size.bytes,
        own_bytes=size.own,
        created=timestamp(environment.manifest.created),
        used=timestamp(used.at),
        notebooks=used.notebooks,
        sessions=sessions,
        prefix=str(environment.prefix),
    )


def _rows(environments: Sequence[Environment], infos: Sequence[EnvironmentInfo]) -> list[Row]:
    short = shortened([each.key for each in infos])
    now = time.time()
    return [
        Row(
            key=short[info.key],
            manager=info.manager,
            python=info.python,
            packages=info.packages,
            size=sized(info.bytes),
            age=lasting(now - environment.manifest.created),
            used=_used(info, now - environment.used.at),
            notebook=_notebooks(info.notebooks),
        )
        for environment, info in zip(environments, infos, strict=True)
    ]


def _used(info: EnvironmentInfo, seconds: float) -> str:
    return f"now: {', '.join(info.sessions)}" if info.sessions else f"{lasting(seconds)} ago"


def _notebooks(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{plain(paths[0])}{more}" if paths else ""
