"""A command that has commands of its own, imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class Group(click.Group):
    """Knows the names and the help of its subcommands without their modules."""

    def __init__(
        self, *arguments: Any, summaries: Mapping[str, str], files: Mapping[str, str], **more: Any
    ) -> None:
        """``summaries`` are of those that help lists. ``files`` names the module of each one that
        has its own, in this package."""
        super().__init__(*arguments, **more)
        self._summaries = summaries
        self._files = files

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._files:
            module = importlib.import_module(f"proxy.cli.{self._files[cmd_name]}")
            command: click.Command = module.command
            return command
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
