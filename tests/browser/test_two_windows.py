"""Two windows on one kernel: each has its own queue, and its own errors."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk

pytestmark = pytest.mark.timeout(120)

FAILING = "import time\nprint('begun', flush=True)\ntime.sleep(2.5)\n1 / 0"


def test_an_error_in_one_leaves_the_others_queue(desk: Desk) -> None:
    desk.write(FAILING, "'after the error'", "mine = 1; 'B1'", "'B2'", "print('B3', mine)")
    first, second = desk.window(), desk.window("second")
    first.shows("idle")
    second.shows("idle")
    first.start(0)
    expect(first.output(0)).to_contain_text("begun")
    first.start(1)
    for cell in (2, 3, 4):
        second.start(cell)
    for window, cell in ((first, 1), (second, 2), (second, 4)):
        window.waits(cell)
    second.shows("busy")
    desk.photograph("waiting")

    first.has_run(0)
    expect(first.output(0)).to_contain_text("ZeroDivisionError")
    first.was_aborted(1)
    second.has_run(2, 3, 4)
    expect(second.output(2)).to_have_text("[2]:'B1'")
    expect(second.output(4)).to_contain_text("B3 1")
    first.run(1)
    expect(first.output(1)).to_contain_text("after the error")
    first.shows("idle")
    second.shows("idle")
