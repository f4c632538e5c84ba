"""``kmux outputs``: what the cells of a session have shown, in the terminal."""

from __future__ import annotations

import os
import sys

import click

from proxy.cli.names import SessionName
from proxy.cli.screen import Screen
from proxy.daemon import recorded
from proxy.errors import ConfigError
from proxy.record.export import missing_lines, ran_in_order
from proxy.record.following import Follower, Key, key_of
from proxy.record.state import Execution, SessionRecord


@click.command("outputs")
@click.argument("name", type=SessionName(recorded.names))
@click.option(
    "--cell",
    metavar="ID",
    help="Only those of one cell: by its id in the notebook, its number (since the kernel began), "
    "or its msg_id. The latest such cell counts.",
)
@click.option("--last", is_flag=True, help="Only those of the cell that ran last, or runs.")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on until that cell is complete; without --cell and --last, until Ctrl-C or the end "
    "of the session.",
)
def command(name: str, cell: str | None, last: bool, follow: bool) -> None:
    """Print what the cells of session NAME have shown. It need not run any more; NAME~1 is the one
    before.

    \b
    Example:
      kmux outputs analysis
      kmux outputs analysis --last --follow
    """
    if cell is not None and last:
        raise click.UsageError("--cell and --last exclude each other; choose one.")
    whole = recorded.present(name)
    printer = Printer(Screen(whole.fetch, sys.stdout, os.environ), Follower(whole.fetch))
    if cell is None and not last:
        for line in missing_lines(whole):
            printer.screen.remark(line)
        printer.print(ran_in_order(whole.record))
        if follow:
            for changed in recorded.changes(name, whole):
                printer.print(ran_in_order(changed.record))
        return
    wanted = key_of(_chosen(name, whole.record, cell, waits=follow))
    is_over = printer.print_only(wanted, whole.record)
    if follow and not is_over:
        for changed in recorded.changes(name, whole):
            if printer.print_only(wanted, changed.record):
                break
    if follow:  # what it showed may come behind its reply
        printer.print_only(wanted, recorded.present(name).record)


class Printer:
    """Prints what is new of cells."""

    def __init__(self, screen: Screen, follower: Follower) -> None:
        self.screen = screen
        self._follower = follower
        self._headed: Key | None = None
        """The cell that was printed last."""
        self._seen: set[Key] = set()

    def print(self, executions: list[Execution]) -> None:
        """Print what is new of all these cells, each below its code."""
        for execution in executions:
            news, key = self._follower.news(execution), key_of(execution)
            is_begun = execution.execution_count is not None or execution.state == "complete"
            if not news and not is_begun:
                continue  # the kernel has it, and has not said its number yet
            if (news and self._headed != key) or key not in self._seen:
                self.screen.heading(execution)
                self._headed = key
                self._seen.add(key)
            for each in news:
                self.screen.show(each)
        self.screen.flush()

    def print_only(self, wanted: Key, record: SessionRecord) -> bool:
        """Print what is new of one cell. Returns whether it is complete."""
        is_over = False
        for execution in record.executions.values():
            if key_of(execution) == wanted:
                is_over = execution.state == "complete"
                for each in self._follower.news(execution):
                    self.screen.show(each)
        self.screen.flush()
        return is_over


def _chosen(name: str, record: SessionRecord, cell: str | None, *, waits: bool) -> Execution:
    """Return the cell that is meant. Raises :class:`ConfigError` where there is none."""
    ran = ran_in_order(record)
    if cell is None:
        if not ran:
            raise ConfigError(f"no cell has run in {name} yet")
        return ran[-1]
    if waits:
        ran += [e for e in record.executions.values() if e.state == "queued"]
    present = [e for e in ran if e.kernel == record.kernel.number]
    for found in (
        [e for e in ran if e.cell_id == cell],
        [e for e in present if str(e.execution_count) == cell],
        [e for e in ran if e.msg_id == cell],
    ):
        if found:
            return found[-1]
    raise ConfigError(
        f"no cell {cell!r} has run in {name}; kmux outputs {name} shows those that did"
    )
