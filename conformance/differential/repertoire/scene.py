"""A conversation while it is written: what there is to refer to, and chance."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, TypeVar

from conformance.differential.conversation import Act, Say, Step

T = TypeVar("T")

Move = Callable[["Scene"], None]

MOVES: list[tuple[Move, float]] = []
"""All moves, with how often each is made."""


def move(weight: float = 1.0) -> Callable[[Move], Move]:
    """Make a function a move."""

    def register(function: Move) -> Move:
        MOVES.append((function, weight))
        return function

    return register


class Scene:
    """What the writer of a conversation knows."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.steps: list[Step] = []
        self.widgets: list[Widget] = []
        self.own_comms: list[str] = []
        """Ids of comms that the client opened on a target that is there, perhaps closed again."""
        self.kernel_comms: list[str] = []
        """Marks of comms that a cell opened."""
        self.subshells: list[str] = []
        """Marks of subshells, perhaps deleted."""
        self.targets = False
        """Whether a cell has registered the targets of this repertoire."""
        self.spoils = False
        """Whether this leaves traces in kernels."""
        self._numbers = itertools.count(1)

    def step(self, name: str, *acts: Act) -> None:
        """Add a step."""
        self.steps.append(Step(name, acts))

    def new_label(self, stem: str) -> str:
        return f"{stem}{next(self._numbers)}"

    def one_of(self, *choices: T) -> T:
        return self.chance.choice(choices)

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def word(self) -> str:
        return self.one_of("alpha", "β", "日本語", "naïve", "🙂", "x" * 80, "a\tb", "0", "'\"\\")


class Widget:
    """A widget that a cell made: its variable, and the mark of its model's id."""

    def __init__(self, kind: str, variable: str, model: str) -> None:
        self.kind = kind
        self.variable = variable
        self.model = model


def cell(code: Any, **options: Any) -> Say:
    """Return an execute_request. Options are the content's keys, and those of :class:`Say`."""
    of_say = ("label", "subshell", "header", "metadata", "channel", "buffers", "answer")
    said = {key: options.pop(key) for key in of_say if key in options}
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return Say(msg_type="execute_request", content=content | options, **said)
