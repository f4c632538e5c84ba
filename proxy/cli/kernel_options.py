"""What all commands are told that start a kernel: ``kmux new`` and ``kmux run``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from proxy.daemon.client import environment
from proxy.daemon.vocabulary import NewSession
from proxy.settings import Settings, load

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--kernel",
        metavar="K",
        show_default="setting default_kernel",
        help="A kernelspec's name; auto: the notebook's own, in the environment it asks for.",
    ),
    click.option(
        "--restart",
        type=click.Choice(["allow", "owner", "refuse"]),
        show_default="setting restart",
        help="Who may restart the kernel, for everybody: any frontend, the one that runs kmux as "
        "its kernel, or none.",
    ),
    click.option(
        "--prompts",
        type=click.Choice(["wait", "anyone"]),
        show_default="setting prompts",
        help="An input() of a frontend that is away waits for it, or anyone may answer.",
    ),
    click.option(
        "--away",
        type=click.FloatRange(min=0),
        show_default="setting away_hours",
        metavar="HOURS",
        help="How long a frontend that vanished may come back, before its waiting cells, prompts "
        "and comms are let go of.",
    ),
    click.option(
        "--record/--no-record",
        default=None,
        show_default="setting record",
        help="Keep on the disk what happens: cells, outputs, widgets.",
    ),
    click.option(
        "--trust", is_flag=True, help="Install what the notebook lists, whoever has written it."
    ),
    click.option("--kernel-curve", is_flag=True, help="Encrypt the kernel's side, where it can."),
)


def kernel_options(command: F) -> F:
    """Add them to a command, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_with(options: Mapping[str, Any]) -> Settings:
    """Return the settings in force for a kernel. Raises :class:`ConfigError` as :func:`load`."""
    return load(
        default_kernel=options["kernel"],
        restart=options["restart"],
        prompts=options["prompts"],
        away_hours=options["away"],
        record=options["record"],
        idle_timeout_hours=options.get("idle_timeout"),
        max_age_hours=options.get("max_age"),
    )


def wish(options: Mapping[str, Any], *, name: str | None, cwd: str) -> NewSession:
    """Return what the daemon is asked for: it may have been started with other settings."""
    wanted = settings_with(options)
    return NewSession(
        kernel=wanted.default_kernel,
        name=name,
        cwd=cwd,
        env=environment(),
        restart=wanted.restart,
        prompts=wanted.prompts,
        away_hours=wanted.away_hours,
        record=wanted.record,
        idle_timeout_hours=wanted.idle_timeout_hours,
        max_age_hours=wanted.max_age_hours,
        encrypt_kernel=options["kernel_curve"],
    )
