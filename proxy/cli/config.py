"""``kmux config``: the settings in force, and who set them."""

from __future__ import annotations

import click
import msgspec
from click.shell_completion import CompletionItem

from proxy.cli.table import show, show_json
from proxy.errors import ConfigError
from proxy.settings.directories import config_file
from proxy.settings.loading import find, in_force
from proxy.settings.table import descriptions, shown


class Row(msgspec.Struct, frozen=True):
    """A line of the table."""

    name: str
    value: str
    origin: str
    description: str


class Described(click.Command):
    """Its help lists the settings, also where the file cannot be read."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Settings"):
            formatter.write_dl(
                [
                    (about.name, f"{about.text} ({about.allowed}; default: {shown(about.default)})")
                    for about in descriptions().values()
                ]
            )


class SettingName(click.types.StringParamType):
    """The name of a setting; the shell completes it."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=about.text)
            for name, about in descriptions().items()
            if name.startswith(incomplete)
        ]


@click.command("config", cls=Described)
@click.argument("name", required=False, type=SettingName())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--path", "show_path", is_flag=True, help="Print where the file is, or would be.")
def command(name: str | None, as_json: bool, show_path: bool) -> None:
    """Show the settings, and where each comes from; or the value of the one called NAME.

    They are set in a file of lines like restart = "owner" (TOML; --path says where), or by
    environment variables like KMUX_RESTART=owner, which come first.

    \b
    Example:
      kmux config
      kmux config restart
      $EDITOR "$(kmux config --path)"
    """
    if show_path:
        if (path := config_file()) is None:
            raise ConfigError("this user has no home directory; set KMUX_CONFIG")
        click.echo(path)
    elif name is None:
        settings = in_force()
        if as_json:
            show_json(settings)
        else:
            show(Row, [Row(s.name, shown(s.value), s.origin, s.description) for s in settings])
    else:
        setting = find(name)
        if as_json:
            show_json(setting)
        else:
            click.echo(shown(setting.value))
