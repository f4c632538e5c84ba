"""A JupyterLab window, as a person has it: notebooks are opened, cells run, buttons pressed.

Whatever is asked for is waited for, as long as Playwright's expectations have patience.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.chromium import PATIENCE_MILLISECONDS, Traffic
from tests.frontends.lab_server import TOKEN, LabServer

SIZE = {"width": 1200, "height": 1800}
RAN = re.compile(r"\[\d+\]:")
FAILED_WIDGETS = re.compile("Loading widget|Error displaying widget|Click to show javascript error")


class Window:
    """One window on one notebook. It has a browser profile of its own."""

    def __init__(self, server: LabServer, context: BrowserContext, name: str) -> None:
        self.server = server
        self.name = name
        self.page: Page = context.new_page()
        self.traffic = Traffic(self.page)
        self._context = context
        self._url = ""

    def open(self, notebook: str) -> None:
        """Open a notebook by its address, and return when the page is loaded."""
        there = f"lab/workspaces/{self.name}/tree/{notebook}?token={TOKEN}&reset"
        self._url = self.server.url + there
        self.page.goto(self._url)

    def reload(self) -> None:
        """Press F5."""
        self.page.reload()

    def close(self) -> None:
        """Close it, as a person does: nothing is asked."""
        self._context.close()

    def photograph(self, file: Path) -> None:
        self.page.screenshot(path=file)

    # The kernel

    def shows(self, state: str) -> None:
        """Expect a kernel in this state, in the words and in the sign of the notebook."""
        words = self.page.locator("#jp-main-statusbar [role=button]", has_text=" | ")
        expect(words).to_have_text(re.compile(rf"\| {state}$", re.IGNORECASE))
        sign = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) [data-status]").first
        expect(sign).to_have_attribute("data-status", state)

    def press(self, button: str) -> None:
        """Press a button of the notebook's toolbar: run, interrupt, restart, restart-and-run."""
        self.page.locator(f".jp-NotebookPanel-toolbar [data-jp-item-name='{button}']").click()

    def confirm(self) -> None:
        """Press the button of the dialog that does what it asks about."""
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def restart(self) -> None:
        self.press("restart")
        self.confirm()

    def restart_and_run_all(self) -> None:
        self.press("restart-and-run")
        self.confirm()

    def run_all(self) -> None:
        self.choose("Run", "Run All Cells")

    def choose(self, menu: str, item: str) -> None:
        """Choose from a menu."""
        self.page.locator("#jp-top-bar, #jp-menu-panel").get_by_text(menu, exact=True).first.click()
        self.page.locator(".lm-Menu").get_by_text(item, exact=True).click()

    def save(self) -> None:
        """Press Save, and wait until it is done."""
        with self.page.expect_response(
            lambda response: response.request.method == "PUT" and "/contents/" in response.url
        ) as saved:
            self.press("save")
        assert saved.value.ok, saved.value.text()

    # Cells

    def cell(self, number: int) -> Locator:
        return self.page.locator(f".jp-Notebook-cell[data-windowed-list-index='{number}']")

    def editor(self, number: int) -> Locator:
        return self.cell(number).locator(".cm-content")

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea").first

    def has_no_dialog(self) -> None:
        """Expect that nothing is asked or said in front of the notebook."""
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def type(self, number: int, code: str) -> None:
        """Replace a cell's code."""
        self.editor(number).click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)

    def start(self, number: int) -> None:
        """Run a cell, and return at once."""
        self.editor(number).click()
        self.page.keyboard.press("Control+Enter")

    def run(self, *numbers: int) -> None:
        """Run cells, one after the other."""
        for number in numbers:
            before = self.prompt(number).inner_text()
            self.start(number)
            expect(self.prompt(number)).not_to_have_text(before)
            self.has_run(number)

    def prompt(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-InputPrompt")

    def has_run(self, *numbers: int) -> None:
        """Expect that cells have run."""
        for number in numbers:
            expect(self.prompt(number)).to_have_text(RAN)

    def waits(self, number: int) -> None:
        """Expect that a cell runs, or waits for its turn."""
        expect(self.prompt(number)).to_have_text("[*]:")

    def was_aborted(self, number: int) -> None:
        """Expect that a cell has been started and did not run."""
        expect(self.prompt(number)).to_have_text("[ ]:")

    def value(self, expression: str) -> str:
        """Evaluate in the kernel, in the notebook's last cell."""
        last = self.page.locator(".jp-Notebook-cell").count() - 1
        self.type(last, expression)
        self.run(last)
        shown: str = self.output(last).locator(".jp-OutputArea-output").inner_text()
        return shown.strip()

    # Widgets

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that the page does not show; it goes on meanwhile."""
        deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
        while not condition():
            assert time.monotonic() < deadline, f"not in time: {what}"
            self.page.wait_for_timeout(20)

    def slider(self, label: str) -> Slider:
        return Slider(self.page, self.page.locator(".widget-slider", has_text=label).first)

    def has_no_failed_widgets(self) -> None:
        """Expect none that is still, or for ever, not there."""
        expect(self.page.locator(".jp-Notebook").get_by_text(FAILED_WIDGETS)).to_have_count(0)

    def seconds_since_load(self) -> float:
        """How long ago the page was loaded."""
        script = "performance.now() - performance.getEntriesByType('navigation')[0].loadEventEnd"
        milliseconds: Any = self.page.evaluate(script)
        return float(milliseconds) / 1000


class Slider:
    """A slider, and the mouse on it."""

    def __init__(self, page: Page, box: Locator) -> None:
        self._page = page
        self.box = box
        self.readout = box.locator(".widget-readout")

    def shows(self, value: int) -> None:
        """Expect a value, in its number and where its handle is."""
        expect(self.readout).to_have_text(str(value))
        handle = self.box.get_by_role("slider")
        expect(handle).to_have_attribute("aria-valuenow", f"{value}.0")

    def value(self) -> int:
        return int(self.readout.inner_text())

    def click(self, fraction: float) -> int:
        """Click somewhere on it. Returns the value that it has then."""
        track = self.box.locator(".noUi-base").bounding_box()
        assert track is not None
        before = self.readout.inner_text()
        self._page.mouse.click(
            track["x"] + fraction * track["width"], track["y"] + track["height"] / 2
        )
        expect(self.readout).not_to_have_text(before)
        return self.value()

    def drag(self, fractions: list[float]) -> int:
        """Drag its handle along these places, as fast as it goes. Returns the last value."""
        track = self.box.locator(".noUi-base").bounding_box()
        handle = self.box.locator(".noUi-handle").bounding_box()
        assert track is not None
        assert handle is not None
        mouse, middle = self._page.mouse, handle["y"] + handle["height"] / 2
        mouse.move(handle["x"] + handle["width"] / 2, middle)
        mouse.down()
        for fraction in fractions:
            mouse.move(track["x"] + fraction * track["width"], middle)
        mouse.up()
        return self.value()
