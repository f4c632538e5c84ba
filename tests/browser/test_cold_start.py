"""A notebook is opened whose environment is yet to be made: JupyterLab shows what is done."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk
from tests.frontends.kmux_process import BIN
from tests.frontends.slow_package import SlowPackage

pytestmark = [pytest.mark.timeout(180), pytest.mark.thorough]

PATIENT_MS = 60_000


def test_a_cell_shows_what_is_done_until_it_runs(desk: Desk) -> None:
    workplace = desk.lab.workplace
    slow = SlowPackage(workplace.root / f"slow-{desk.file.stem}")
    listed = {"uv": {"dependencies": [slow.requirement]}}
    desk.write("import slow; slow.answer", kernel="auto", runt=listed)
    workplace.run_python(BIN / "jupyter", "trust", str(desk.file))
    window = desk.window()
    # JupyterLab takes no cell before its session is there: its server gives it once the kernel has
    # answered kernel_info.
    window.shows("starting")
    window.start(0)
    expect(window.output(0)).to_contain_text("kmux: building slow", timeout=PATIENT_MS)
    desk.photograph("cold")
    assert desk.session["status"] == "starting"
    slow.may_go_on()
    expect(window.output(0)).to_contain_text("42", timeout=PATIENT_MS)
    expect(window.output(0)).not_to_contain_text("kmux")
    window.shows("idle")
    window.has_no_dialog()
    assert desk.session["env_source"] == "uv:inline"
    assert window.value("slow.answer + 1") == "43"
