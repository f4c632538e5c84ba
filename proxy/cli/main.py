"""The ``kmux`` command: finds the subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click
from click.shell_completion import CompletionItem

from proxy import __version__
from proxy.errors import InternalError, KmuxError

FIRST = {
    "new": "Start a kernel that outlives this terminal.",
    "console": "Join it with a terminal console, as often as you like.",
    "attach": "Print its connection file, for any other frontend.",
    "ps": "List the kernels that run.",
    "stop": "End one, or all.",
    "kernelspec": 'Put "Python 3 (shared)" into JupyterLab, VS Code and others.',
}
"""What a newcomer needs."""
MORE = {
    "sessions": {
        "adopt": "Share a kernel that somebody else started.",
        "clients": "Show the frontends of a session.",
        "export": "Write a session as a notebook, or its outputs into one.",
        "interrupt": "Interrupt the cell that runs.",
        "logs": "Show what a kernel's process has written.",
        "notebooks": "List the notebooks whose kernels are shared.",
        "outputs": "Print what the cells of a session have shown.",
        "queue": "Show the cells that run and wait, or cancel one.",
        "rename": "Call a session otherwise.",
        "restart": "Restart a kernel, also a dead one.",
        "run": "Share one kernel from this terminal, and see who comes and goes.",
    },
    "kmux": {
        "completion": "Print the script that completes names in bash, zsh or fish.",
        "config": "Show the settings, and where each comes from.",
        "daemon": "The process that has the kernels: start, stop, restart, status, logs.",
        "env": "The environments of notebooks: which one and why, which there are.",
        "pool": "What waits for notebooks that ask for nothing: status, warm, flush.",
        "doctor": "Look for what goes wrong, and say what to do about it.",
        "web": "Print the address of the status page and of the HTTP API.",
        "lab": "Open JupyterLab with all its kernels shared.",
    },
}
COMMANDS = FIRST | {name: text for group in MORE.values() for name, text in group.items()}
HIDDEN = ("shim",)
"""What kernelspecs run, and not people."""
PROGRAM = "kmux"


class LazyGroup(click.Group):
    """Import a subcommand's module only when it is run: ``kmux ps`` needs no jupyter_client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        module = importlib.import_module(f"proxy.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a subcommand's name without importing them all for their help."""
        offered = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return offered + click.Command.shell_complete(self, ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write commands first, in few lines: all of it is to fit a screen."""
        with formatter.section("First commands"):
            formatter.write_dl(list(FIRST.items()))
        with formatter.section("More (each command has --help, with an example)"):
            formatter.write_dl([(topic, ", ".join(names)) for topic, names in MORE.items()])
        click.Command.format_options(self, ctx, formatter)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, help="Show the version.")
@click.option(
    "--log-level",
    envvar="KMUX_LOG_LEVEL",
    metavar="LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much to log to stderr: debug, info, warning, error.",
)
def kmux(log_level: str | None) -> None:
    """tmux for Jupyter kernels: one kernel, any number of frontends.

    \b
    Example:
      kmux new analysis && kmux console analysis
    """
    if log_level is not None:  # commands that log set it up: structlog takes 75 ms
        os.environ["KMUX_LOG_LEVEL"] = log_level


def main() -> None:
    """Run the command line. The user sees one line of an error; the log has the rest."""
    try:
        kmux(prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else PROGRAM
        click.echo(f"kmux: {error.format_message()} See: {command} --help", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except BaseExceptionGroup as group:
        error_ = _only(group)
        if isinstance(error_, KmuxError):
            _fail(error_)
        _fail_internal(group)
    except KmuxError as error:
        _fail(error)
    except Exception as error:
        _fail_internal(error)


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Unwrap the groups that nurseries put around a single error."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _fail(error: KmuxError) -> None:
    click.echo(f"kmux: {error}", err=True)
    sys.exit(error.exit_code)


def _fail_internal(error: BaseException) -> None:
    from proxy import logs

    logs.log().error("internal.error", exc_info=error)
    click.echo(
        f"kmux: internal error: {type(error).__name__}; run with --log-level error for the log "
        "and please report it",
        err=True,
    )
    sys.exit(InternalError.exit_code)
