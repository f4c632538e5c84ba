"""A page is reloaded while a cell runs: nothing is lost, and it is there again at once."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk

pytestmark = [pytest.mark.timeout(120), pytest.mark.thorough]

SLIDER = "import ipywidgets as W\nspeed = W.IntSlider(3, description='speed')\nspeed"
LINES = 30
COUNTING = f"""\
import time
for number in range({LINES}):
    print('line', number, flush=True)
    time.sleep(0.2)
speed.value = 99"""


def test_a_reload_while_a_cell_runs(desk: Desk) -> None:
    desk.write(SLIDER, COUNTING)
    window = desk.window()
    window.shows("idle")
    window.run(0)
    moved = window.slider("speed").click(0.5)
    window.save()
    window.start(1)
    expect(window.output(1)).to_contain_text("line 3")

    window.reload()
    window.slider("speed").shows(moved)
    window.shows("busy")
    desk.photograph("busy")
    window.has_no_failed_widgets()
    # The cell goes on, and what it does reaches the widget; what it prints is in the record.
    window.slider("speed").shows(99)
    window.shows("idle")
    name = desk.session["name"]
    printed = desk.lab.daemon.kmux("outputs", name)
    exported = desk.file.with_name("exported.ipynb")
    desk.lab.daemon.kmux("export", name, "-o", str(exported))
    whole = "".join(f"line {number}\n" for number in range(LINES))
    assert whole in printed
    cells = nbformat.read(exported, 4).cells
    assert [output.text for output in cells[1].outputs] == [whole]

    # And back into the notebook.
    desk.lab.daemon.kmux("export", name, "--into", str(desk.file))
    window.reload()
    expect(window.output(1)).to_contain_text(f"line {LINES - 1}")
