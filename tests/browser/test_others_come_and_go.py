"""Frontends that know no widgets join a window's kernel and leave: its widgets stay alive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.browser.lab import Desk
from tests.browser.window import Window
from tests.frontends.console import open_console
from tests.frontends.qtconsole_frontend import open_qtconsole

pytestmark = [pytest.mark.timeout(150), pytest.mark.thorough]

SLIDER = "import ipywidgets as W\nspeed = W.IntSlider(3, description='speed')\nspeed"
MORE = "depth = W.IntSlider(5, description='depth')\ndepth"


def alive(window: Window) -> None:
    """Expect a slider that moves the kernel's, and is moved by it."""
    before = int(window.value("speed.value"))
    where = 0.8 if before < 50 else 0.2
    moved = window.slider("speed").click(where)
    assert window.value("speed.value") == str(moved)
    window.value(f"speed.value = {moved - 10}; 'set'")
    window.slider("speed").shows(moved - 10)


def by_a_plain_window(desk: Desk, window: Window) -> None:
    plain = desk.window("plain")
    plain.shows("idle")
    window.run(1)  # a widget that it hears of
    plain.run(2)
    alive(window)
    assert "IntSlider" in plain.output(0).inner_text(), "it shows what it can"
    plain.close()


def by_qtconsole(desk: Desk, window: Window) -> None:
    file = Path(desk.session["connection_file"])
    with open_qtconsole(desk.lab.workplace, file) as qtconsole:
        qtconsole.ready()
        window.run(1)
        assert "43" in qtconsole.run("print(42 + 1)")
        alive(window)


def by_a_console(desk: Desk, window: Window) -> None:
    with open_console(desk.lab.workplace, Path(desk.session["connection_file"])) as console:
        console.expect(r"In \[(\d+)\]: ")
        window.run(1)
        console.sendline("print('console', 42 + 2)")
        console.expect("console 44")
        alive(window)
        console.sendeof()
        console.expect("exit")
        console.sendline("y")
        console.expect(pexpect.EOF)


@pytest.mark.parametrize("come", [by_a_plain_window, by_qtconsole, by_a_console])
def test_widgets_stay_alive(desk: Desk, come: Callable[[Desk, Window], None]) -> None:
    desk.write(SLIDER, MORE, "41 + 1")
    window = desk.window()
    window.shows("idle")
    window.run(0)
    window.save()
    come(desk, window)
    alive(window)
    moved = window.slider("depth").click(0.5)
    assert window.value("depth.value") == str(moved), "the one made meanwhile as well"
    window.has_no_failed_widgets()
    window.shows("idle")
