"""A second JupyterLab, of a server of its own, opens a notebook that is open elsewhere: it shows
every widget as it is now, also while the kernel is busy.
"""

from __future__ import annotations

import pytest

from tests.browser.gallery import GALLERY, make_gallery, shows_gallery
from tests.browser.lab import Desk

pytestmark = pytest.mark.timeout(150)

BUSY = "import time\nprint('begun', flush=True)\ntime.sleep(30)"
LAST = len(GALLERY)


def test_a_late_joiner_shows_all_widgets(desk: Desk) -> None:
    desk.write(*GALLERY, BUSY)
    first = desk.window()
    first.shows("idle")
    make_gallery(first)
    first.save()

    late = desk.window("second")
    shows_gallery(late)
    late.shows("idle")
    idle_seconds = late.seconds_since_load()
    moved = late.slider("speed").click(0.9)
    first.slider("speed").shows(moved)
    assert first.value("speed.value = 42; 'as before'") == "'as before'"
    late.close()

    first.start(LAST)
    first.shows("busy")
    later = desk.window("second")
    # ipympl keeps no picture of what it draws once a window is there: that is for the kernel.
    shows_gallery(later, ["red"])
    busy_seconds = later.seconds_since_load()
    later.shows("busy")
    desk.photograph("busy")
    first.press("interrupt")
    later.shows("idle")
    shows_gallery(later)
    print(f"seconds after load: {idle_seconds:.2f} idle, {busy_seconds:.2f} busy")
