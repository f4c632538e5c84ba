"""The kernel dies: both windows say so; a restart from one, and both work again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk

pytestmark = pytest.mark.timeout(120)

SUICIDE = "import os, signal, time\nos.kill(os.getpid(), signal.SIGKILL); time.sleep(9)"


def test_both_windows_say_so_and_recover(desk: Desk) -> None:
    desk.write("x = 41; x", SUICIDE, "'x' in dir()")
    first, second = desk.window(), desk.window("second")
    first.shows("idle")
    second.shows("idle")
    first.run(0)
    pid = desk.session["pid"]

    first.start(1)
    for window in (first, second):
        expect(window.page.locator(".jp-Dialog")).to_contain_text("appears to have died")
    desk.photograph("died")
    for window in (first, second):
        window.confirm()
        window.has_no_dialog()
        window.shows("idle")
    first.run(2)
    expect(first.output(2)).to_contain_text("False")
    died_and_back = desk.session["pid"]
    assert died_and_back != pid

    second.restart()
    second.shows("idle")
    second.has_no_dialog()
    # The other one has not asked for it, and must know that its variables are gone.
    expect(first.page.locator(".jp-Dialog")).to_contain_text("restart")
    first.confirm()
    first.shows("idle")
    assert desk.session["pid"] not in (pid, died_and_back)
    assert first.value("'x' in dir()") == "False"
    for window in (first, second):
        window.run(0)
        expect(window.output(0)).to_contain_text("41")
        window.has_no_dialog()
        window.shows("idle")
