"""Prompts: input() and getpass(), answered, answered wrongly, not allowed, interrupted."""

from __future__ import annotations

from conformance.differential.conversation import Hear, Say
from conformance.differential.repertoire.cells import INTERRUPT
from conformance.differential.repertoire.scene import Scene, cell, move

ASK = Hear("input_request")
FAILS_IN_ONE_PLACE = """\
try:
    {}
except KeyboardInterrupt:
    raise KeyboardInterrupt('again') from None"""
"""A prompt may be interrupted while it waits, or before, with another traceback."""


def answer(value: object) -> Say:
    return Say(channel="stdin", msg_type="input_reply", content={"value": value}, answer="nothing")


@move(2)
def answered(scene: Scene) -> None:
    code = scene.one_of(
        "input()",
        "name = input('Who? '); print('hello', name)",
        "import getpass; getpass.getpass('Secret: ')",
        "print('out'); input('日本語? ')",
        "import asyncio; await asyncio.sleep(0); input('async? ')",
    )
    value = scene.one_of("someone", "", "日本語 🙂", "\x04", "line\nbreak", "x" * 5000)
    waiting = [cell("'waited'")] if scene.maybe(0.3) else []
    scene.step("prompt", cell(code, allow_stdin=True), *waiting, ASK, answer(value))


@move(0.7)
def answered_twice(scene: Scene) -> None:
    """The second answer comes when nobody asks any more."""
    asks = cell("input('once? ')", allow_stdin=True)
    scene.step("prompt, two answers", asks, ASK, answer("first"), answer("second"))
    if scene.maybe(0.7):
        scene.step("prompt", cell("input('again? ')", allow_stdin=True), ASK, answer("third"))


@move(0.7)
def not_asked(scene: Scene) -> None:
    scene.step("answer to nobody", answer("stale"))
    scene.step("prompt", cell("input('fresh? ')", allow_stdin=True), ASK, answer("fresh"))


@move(0.7)
def answered_wrongly(scene: Scene) -> None:
    content = scene.one_of({}, {"value": None}, {"value": 5}, {"other": "x"}, b"[]", b"null")
    wrong = Say(channel="stdin", msg_type="input_reply", content=content, answer="nothing")
    scene.step("prompt", cell("input('well? ')", allow_stdin=True), ASK, wrong)


@move(1)
def not_allowed(scene: Scene) -> None:
    said = cell(scene.one_of("input('no? ')", "import getpass; getpass.getpass()"))
    if scene.maybe(0.4):
        del said.content["allow_stdin"]
    scene.step("prompt not allowed", said)


@move(0.5)
def interrupted(scene: Scene) -> None:
    waiting = [cell("'waited'")] if scene.maybe(0.3) else []
    asks = cell(FAILS_IN_ONE_PLACE.format("input('for ever? ')"), allow_stdin=True)
    scene.step("prompt interrupted", asks, *waiting, ASK, INTERRUPT)


@move(0.3)
def two_prompts(scene: Scene) -> None:
    end = scene.one_of(answer("2"), answer("2"), INTERRUPT)
    code = "a = input('one? '); print(a); print(input('two? '))"
    asks = cell(FAILS_IN_ONE_PLACE.format(code), allow_stdin=True)
    scene.step("two prompts", asks, ASK, answer("1"), Hear("input_request", 2), end)
