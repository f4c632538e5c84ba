"""A second JupyterLab, of a server of its own, opens a notebook that is open elsewhere: it shows
every widget as it is now, also while the kernel is busy.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import GALLERY, cells, make_gallery, shows_gallery
from tests.browser.lab import Desk
from tests.browser.window import Window

pytestmark = pytest.mark.timeout(150)

BUSY = "import time\nprint('begun', flush=True)\ntime.sleep(30)"
LAST = len(GALLERY)
SECONDS = 2.0


def joined(desk: Desk, lines: list[str]) -> tuple[Window, float]:
    """Open a window of a second server. Returns it, and how many seconds after the notebook all
    widgets were there. (JupyterLab itself shows the notebook some seconds after the page's load.)
    """
    late = desk.window("second")
    expect(late.cell(0)).to_be_visible()
    opened = late.seconds_since_load()
    shows_gallery(late, lines, binary=desk.lab.way.binary)
    return late, late.seconds_since_load() - opened


def test_a_late_joiner_shows_all_widgets(desk: Desk) -> None:
    binary = desk.lab.way.binary
    desk.write(*cells(binary=binary), BUSY)
    first = desk.window()
    first.shows("idle")
    make_gallery(first, binary=binary)
    first.save()

    late, idle_seconds = joined(desk, [])
    late.shows("idle")
    moved = late.slider("speed").click(0.9)
    first.slider("speed").shows(moved)
    assert first.value("speed.value = 42; 'as before'") == "'as before'"
    late.close()

    first.start(LAST)
    first.shows("busy")
    # ipympl keeps no picture of what it draws once a window is there: that is for the kernel.
    later, busy_seconds = joined(desk, ["red"])
    later.shows("busy")
    desk.photograph("busy")
    desk.note(f"seconds from notebook to widgets: idle {idle_seconds:.2f}, busy {busy_seconds:.2f}")
    first.press("interrupt")
    later.shows("idle")
    shows_gallery(later, ["red"], binary=binary)
    # Where the machine is slow, JupyterLab is as well.
    assert busy_seconds < max(SECONDS, 2 * idle_seconds)
