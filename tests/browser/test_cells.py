"""What a person does with cells and the toolbar, on a kernel of kmux's."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk

pytestmark = pytest.mark.timeout(120)

PLOT = """
import matplotlib.pyplot as plt
plt.plot([1, 4, 9]); plt.title("squares")
"""


def test_cells_and_the_toolbar(desk: Desk) -> None:
    desk.write(
        "speed = 41; speed + 1",
        PLOT,
        "def f(x):\n    return 1 / x\nf(0)",
        "name = input('who? '); print('hello', name)",
        "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)",
    )
    window = desk.window()
    window.shows("idle")
    window.run(0, 1)
    expect(window.output(0)).to_contain_text("42")
    picture = window.output(1).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 100

    window.run(2)
    expect(window.output(2)).to_contain_text("ZeroDivisionError: division by zero")
    expect(window.output(2)).to_contain_text("return 1 / x")

    window.start(3)
    prompt = window.output(3).locator("input")
    expect(prompt).to_be_focused()
    window.page.keyboard.type("Ada")
    window.page.keyboard.press("Enter")
    window.has_run(3)
    expect(window.output(3)).to_contain_text("hello Ada")

    window.type(5, "spe")
    window.page.keyboard.press("Tab")
    offer = window.page.locator(".jp-Completer-item", has_text="speed")
    expect(offer).to_contain_text("instance")  # only the kernel knows that
    window.page.keyboard.press("Enter")
    expect(window.editor(5)).to_have_text("speed")
    window.type(5, "sorted(")
    window.page.keyboard.press("Shift+Tab")
    expect(window.page.locator(".jp-Tooltip")).to_contain_text("Return a new list")
    window.page.keyboard.press("Escape")

    window.start(4)
    expect(window.output(4)).to_contain_text("begun")
    window.shows("busy")
    desk.photograph("busy")
    window.press("interrupt")
    window.has_run(4)
    expect(window.output(4)).to_contain_text("KeyboardInterrupt")
    window.shows("idle")

    pid = desk.session["pid"]
    window.restart()
    window.shows("idle")
    assert desk.session["pid"] != pid
    assert "NameError" in window.value("speed")
    window.has_no_dialog()


def test_restart_and_run_all(desk: Desk) -> None:
    desk.write("import os; os.getpid()", "'second'", "print('the end')")
    window = desk.window()
    window.shows("idle")
    window.run(0)
    before = window.output(0).inner_text()
    window.restart_and_run_all()
    expect(window.output(0)).not_to_have_text(before)
    window.has_run(0, 1, 2)
    assert [window.prompt(number).inner_text() for number in range(3)] == ["[1]:", "[2]:", "[3]:"]
    expect(window.output(0)).to_have_text(re.compile(str(desk.session["pid"])))
    expect(window.output(2)).to_have_text("the end")
    window.shows("idle")
    window.has_no_dialog()
