"""What the cells that run have shown so far, for who comes in the middle.

Theory: a cell's output is over when its idle is published; until then a late joiner has missed
what came before it. So execute_input and outputs of each cell that runs are kept as they came,
clear_output is honoured as a notebook honours it (with ``wait``, the next output clears). A status
or a comm message is not output: those have records of their own.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from proxy.message import Message, MsgId

OUTPUTS = frozenset({"stream", "display_data", "execute_result", "error", "update_display_data"})
KEPT = OUTPUTS | {"execute_input", "clear_output"}
MAX_CELLS = 64
"""Cells that run at once: one for each subshell. One whose idle was lost goes when there are
more."""
MAX_BYTES = 8 * 1024 * 1024
"""Of one cell's outputs; the oldest go first. A screen has a hundredth of that."""


class _Clear(msgspec.Struct, frozen=True):
    wait: bool = False


_clear_decoder = msgspec.json.Decoder(_Clear)


class _Cell:
    """One cell that runs."""

    __slots__ = ("bytes", "clears", "input", "outputs")

    def __init__(self, execute_input: Message) -> None:
        self.input = execute_input
        self.outputs: deque[Message] = deque()
        self.bytes = 0
        self.clears: Message | None = None
        """The clear_output by which the next output takes the place of all before it."""

    def add(self, output: Message) -> None:
        if self.clears is not None:
            self.clear()
        self.outputs.append(output)
        self.bytes += _size(output)
        while self.bytes > MAX_BYTES and len(self.outputs) > 1:
            self.bytes -= _size(self.outputs.popleft())

    def clear(self) -> None:
        self.outputs.clear()
        self.bytes = 0
        self.clears = None


class Running:
    """The cells that run, in the order in which they began."""

    def __init__(self) -> None:
        self._cells: dict[MsgId, _Cell] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def published(self, message: Message) -> None:
        """The kernel published one of ``KEPT``."""
        parent = message.parent
        if parent is None:
            return
        if message.header.msg_type == "execute_input":
            self._cells[parent.msg_id] = _Cell(message)
            if len(self._cells) > MAX_CELLS:
                del self._cells[next(iter(self._cells))]
            return
        cell = self._cells.get(parent.msg_id)
        if cell is None:
            return
        if message.header.msg_type == "clear_output":
            clear = message.content_as(_clear_decoder)
            if clear is not None and clear.wait:
                cell.clears = message
            else:
                cell.clear()
        else:
            cell.add(message)

    def idled(self, msg_id: MsgId) -> None:
        """The kernel is done with a request."""
        self._cells.pop(msg_id, None)

    def so_far(self) -> Iterator[Message]:
        """What a newcomer has missed: each cell's execute_input, and its outputs in order."""
        for cell in self._cells.values():
            yield cell.input
            yield from cell.outputs
            if cell.clears is not None:
                yield cell.clears

    def clear(self) -> None:
        """The kernel is gone."""
        self._cells.clear()


def _size(message: Message) -> int:
    return len(message.raw_content) + sum(map(len, message.buffers)) + 1024  # and its headers
