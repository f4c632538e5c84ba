"""What a person sees of a session in the foreground: ``kmux run``, in both modes."""

from __future__ import annotations

import os
from collections.abc import Callable

from proxy.daemon.vocabulary import SessionInfo

SECOND_INTERRUPT_SECONDS = 3.0
"""A second Ctrl-C within this time is the end; a later one interrupts again."""


class Display:
    """Shows a line at a time. Silent when kmux stands for a kernel."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self._show = show or (lambda line: None)

    def started(self, info: SessionInfo, replay_file: object | None, *, twice: str) -> None:
        """``twice`` is what a second Ctrl-C does."""
        file = os.path.basename(info.connection_file)
        self._show(f"{info.name}: sharing kernel {info.kernel}")
        self._show(f"  connection file  {info.connection_file}")
        self._show(f"  terminal         jupyter console --existing {file}")
        self._show(f"  Qt console       jupyter qtconsole --existing {file}")
        if replay_file is not None:
            self._show(f"  with a replay    {replay_file}")
        self._show(f"  Ctrl-C interrupts the kernel, twice {twice}")

    def client(self, what: str, name: str, clients: int) -> None:
        """A frontend came or went."""
        self._show(f"{what}: {name[:24]} ({clients} connected)")

    def interrupted(self, once_more: str) -> None:
        """``once_more`` is what another Ctrl-C will do."""
        self._show(f"interrupted; press Ctrl-C again to {once_more}")

    def not_recorded(self, why: str) -> None:
        self._show(f"not recorded: {why}")

    def problem(self, what: str) -> None:
        self._show(what)

    def ending(self) -> None:
        self._show("ending the kernel")

    def left(self, name: str) -> None:
        self._show(f"the kernel goes on; kmux stop {name} ends it")

    def ended(self, name: str) -> None:
        self._show(f"{name} has ended")
