"""Conversations by chance: the same for the same seed and number, whatever was before."""

from __future__ import annotations

import random

from conformance.differential.conversation import Conversation, Say, Step
from conformance.differential.repertoire import (  # noqa: F401 - they register their moves
    cells,
    comms,
    prompts,
    requests,
    subshells,
    widgets,
)
from conformance.differential.repertoire.scene import MOVES, Scene, cell

CLEAN_UP = """\
def _clean_up():
    import sys
    shell = get_ipython()
    if 'ipywidgets' in sys.modules:
        widget = sys.modules['ipywidgets'].widgets.widget
        widget.Widget.close_all()
        widget.Widget._control_comm = None
        widget.JUPYTER_WIDGETS_ECHO = True
    manager = shell.kernel.comm_manager
    for comm in list(manager.comms.values()): comm.close()
    for name in [n for n in manager.targets if n.startswith('differential.')]:
        del manager.targets[name]
    shell.user_ns['_oh'].clear()
    for name in set(shell.user_ns) - set(shell.user_ns_hidden): del shell.user_ns[name]
_clean_up()"""
"""%reset does less, and collects garbage for 0.1 s."""


def write(seed: int, number: int) -> Conversation:
    """Write a conversation of 3 to 12 moves, and leave the kernel behind as it was."""
    scene = Scene(random.Random(f"{seed}/{number}"))
    moves, weights = zip(*MOVES, strict=True)
    for chosen in scene.chance.choices(moves, weights, k=scene.chance.randint(3, 12)):
        chosen(scene)
    return Conversation(number, (*scene.steps, *_clean_up(scene)), scene.spoils)


def _clean_up(scene: Scene) -> list[Step]:
    deleted = tuple(subshells.delete(mark) for mark in scene.subshells)
    cleans: tuple[Say, ...] = (cell(CLEAN_UP, silent=True, store_history=False),)
    return [Step("clean up", (*deleted, subshells.LIST)), Step("clean up", cleans)]
