"""What people do with a kernel that they share, in one sitting: two frontends, and some that pass.

Each part ends when the kernel is idle again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from bench import messages, widgets
from bench.client import idle_of
from bench.frontend import Frontend
from bench.messages import HEADER

Attach = Callable[[], AbstractContextManager[Frontend]]

_CELL = """\
print("epoch {0}: loss 0.4711, accuracy 0.8415")
display({{"text/plain": "<Figure size 640x480 with 1 Axes>"}}, raw=True)
{0} * [0.25]"""
_LINES = 400
_SLEEP = "import time\ntime.sleep({})"
_COMPLETION = {"code": "import nump", "cursor_pos": 11}
_INSPECTION = {"code": "print", "cursor_pos": 5, "detail_level": 0}
_COMPLETENESS = {"code": "for n in range(3):"}
_HISTORY = {"output": False, "raw": True, "hist_access_type": "tail", "n": 10}


def converse(one: Frontend, other: Frontend, attach: Attach, turns: int) -> None:
    """Have the whole conversation; each part is as long as so many turns make it."""
    _cells(one, other, turns)
    _lines(one, 20 * turns)
    _questions(one, 2 * turns)
    _failures(one, other, turns // 10)
    _interrupts(one, other)
    _prompts(one, turns // 10)
    widgets.create(one, 6 * turns)
    _drag(one, other, 3 * turns)
    _late_joiners(one, attach, 5)
    widgets.close(one, 6 * turns)
    _leave_early(one, attach)


def _cells(one: Frontend, other: Frontend, count: int) -> None:
    """Both send all their cells at once; kmux has them take turns."""
    sent = [
        (client, client.send_cell(_CELL.format(number)))
        for number in range(count)
        for client in (one, other)
    ]
    for client, cell in sent:
        client.finish(cell)
    one.hear(idle_of(sent[-1][1]))


def _lines(client: Frontend, count: int) -> None:
    """Cells that print line after line, each in a message of its own."""
    for _ in range(0, count, _LINES):
        client.run(f"for n in range({_LINES}):\n    print('line', n, flush=True)")


def _questions(client: Frontend, count: int) -> None:
    """What an editor asks while somebody types, most of it completions."""
    for number in range(count):
        client.ask("complete_request", _COMPLETION)
        if number % 10 == 0:
            client.ask("is_complete_request", _COMPLETENESS)
            client.ask("inspect_request", _INSPECTION)
            client.ask("history_request", _HISTORY)


def _failures(one: Frontend, other: Frontend, count: int) -> None:
    """A cell fails, and with it what its own frontend has waiting, but nobody else's."""
    for _ in range(count):
        cells = [one.send_cell(code) for code in ("1 / 0", "1", "2")]
        others = other.send_cell("3")
        for cell in cells:
            one.finish(cell)
        other.end_cell(others)


def _interrupts(one: Frontend, other: Frontend) -> None:
    """By who runs the cell, and by another frontend, whose interrupt is held for a moment."""
    for client in (one, other):
        cell = one.start_cell(_SLEEP.format(60))
        client.ask_control("interrupt_request")
        one.end_cell(cell)


def _prompts(client: Frontend, count: int) -> None:
    for _ in range(count):
        cell = client.send_cell("input('how many? ')", allow_stdin=True)
        client.answer_prompt("42")
        client.end_cell(cell)


def _drag(one: Frontend, other: Frontend, count: int) -> None:
    """As JupyterLab does: the next update goes when the kernel is done with the last."""
    comm_id = widgets.create_slider(one)
    for value in range(1, count + 1):
        mover = one if value % 20 < 10 else other
        update = widgets.update(mover.author, comm_id, value)
        mover.send(update)
        mover.hear(idle_of(messages.id_of(update[HEADER])))


def _late_joiners(one: Frontend, attach: Attach, count: int) -> None:
    cell = one.start_cell(_SLEEP.format(2))
    for _ in range(count):
        with attach() as late:
            late.join()
    one.end_cell(cell)


def _leave_early(one: Frontend, attach: Attach) -> None:
    """A frontend goes while its cell runs, and never comes back for the reply."""
    with attach() as leaving:
        leaving.start_cell(_SLEEP.format(0.5))
    one.run(_SLEEP.format(2.5))
