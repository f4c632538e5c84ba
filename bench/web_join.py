"""Late joiners in a real browser: how long until JupyterLab shows another window's sliders?

With kmux the late joiner is another JupyterLab server, which finds the notebook's kernel. Without
it that is not possible, so there it is a second window of the same server.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Error, Page

from bench.effort import Effort
from bench.errors import BenchError
from bench.report import Result, Target, median_and_range
from bench.workspace import Workspace
from tests.browser.chromium import chromium
from tests.browser.lab import Desk, Lab
from tests.browser.ways import WAYS, Way
from tests.browser.window import SIZE, Slider
from tests.frontends.kmux_process import Workplace
from tests.frontends.lab_server import TOKEN, LabServer

KMUX, SAME_SERVER, PLAIN = "kmux, another server", "kmux, the same server", "jupyter_server"
IDLE, BUSY = "idle", "busy"
BUSY_SECONDS = 20
LIMIT_SECONDS = 2.0
"""From the notebook to its widgets, while a cell runs."""
_PATIENCE_MILLISECONDS = 90_000
_OFFSET = 500
_MADE = """\
import ipywidgets as W
sliders = [W.IntSlider(n, max=1000, description=f"s{{n}}") for n in range({sliders})]
W.VBox(sliders)"""
_MOVED = f"""\
for n, slider in enumerate(sliders):
    slider.value = n + {_OFFSET}"""
_BUSY = f"import time\nprint('begun', flush=True)\ntime.sleep({BUSY_SECONDS})"
_MAKE_CELL, _MOVE_CELL, _BUSY_CELL = range(3)
_WATCH = """(() => {
  const marks = window.benchMarks = {};
  const look = () => {
    const now = performance.now();
    if (!marks.notebook && document.querySelector(".jp-Notebook-cell .cm-content"))
      marks.notebook = now;
    const shown = document.querySelectorAll(".widget-slider .widget-readout");
    const is = (readout, n) => readout.offsetParent && readout.textContent === String(n + OFFSET);
    if (shown.length === SLIDERS && [...shown].every(is))
      marks.widgets = now;
    else
      requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
"""Runs in the page from its start. Times are milliseconds since the navigation began."""
_SEEN = """() => {
  const marks = window.benchMarks;
  const [navigation] = performance.getEntriesByType("navigation");
  return marks.widgets && [navigation.loadEventEnd, marks.notebook, marks.widgets];
}"""


@dataclass(frozen=True)
class _Joined:
    """Seconds since the navigation began."""

    loaded: float
    """The page; JupyterLab then begins to build itself."""
    notebook: float
    """Its first cell is shown."""
    widgets: float
    """All are shown, with the values that they have now."""
    in_time: bool = True
    """Whether the kernel was still as it was when the page was opened."""


class _Notebook:
    """A notebook with sliders that are shown in one window, and who opens it later."""

    def __init__(self, desk: Desk, sliders: int) -> None:
        self.desk = desk
        self._sliders = sliders
        desk.write(_MADE.format(sliders=sliders), _MOVED, _BUSY)
        self._first = desk.window()
        self._first.shows("idle")
        self._first.run(_MAKE_CELL, _MOVE_CELL)
        self._first.slider(f"s{sliders - 1}").shows(sliders - 1 + _OFFSET)
        self._first.save()

    def join(self, server: LabServer, browser: Browser, state: str) -> _Joined:
        """Have it opened in a window of a server, which has not opened it before."""
        if state == BUSY:
            self._first.start(_BUSY_CELL)
            self._first.shows("busy")
        with self._opened(server, browser) as page:
            page.wait_for_function(_SEEN, timeout=_PATIENCE_MILLISECONDS)
            loaded, notebook, widgets = (each / 1000 for each in page.evaluate(_SEEN))
            in_time = self._first.prompt(_BUSY_CELL).inner_text() == "[*]:"
            if state == BUSY:
                if in_time:
                    self._first.press("interrupt")
                self._first.has_run(_BUSY_CELL)
            self._first.shows("idle")
            self._is_alive(page)
        if server is not self._first.server:
            for session in server.request("GET", "api/sessions"):
                server.request("DELETE", f"api/sessions/{session['id']}")
        return _Joined(loaded, notebook, widgets, in_time or state == IDLE)

    @contextmanager
    def _opened(self, server: LabServer, browser: Browser) -> Iterator[Page]:
        context = browser.new_context(viewport=SIZE)  # type: ignore[arg-type]
        try:
            script = _WATCH.replace("OFFSET", str(_OFFSET)).replace("SLIDERS", str(self._sliders))
            context.add_init_script(script)
            page = context.new_page()
            page.goto(
                f"{server.url}lab/workspaces/late/tree/{self.desk.notebook}?token={TOKEN}&reset"
            )
            yield page
        finally:
            context.close()

    def _is_alive(self, page: Page) -> None:
        """Expect a slider that moves the first window's, and is moved by the kernel."""
        late = Slider(page, page.locator(".widget-slider", has_text="s0").first)
        moved = late.click(0.9)
        self._first.slider("s0").shows(moved)
        self._first.value(f"sliders[0].value = {_OFFSET}; 'as before'")
        late.shows(_OFFSET)


def web_join(workspace: Workspace, effort: Effort) -> Result:
    """Windows that come one after the other, while the kernel is idle and while it is busy."""
    executable = shutil.which("chromium")
    if executable is None:
        raise BenchError("there is no chromium; on Debian: sudo apt-get install chromium")
    joined: dict[tuple[str, str], list[_Joined]] = defaultdict(list)
    try:
        with ExitStack() as stack:
            browser = stack.enter_context(chromium(executable))
            sides: dict[str, tuple[_Notebook, LabServer]] = {}
            for name, way in ((KMUX, WAYS["shim"]), (PLAIN, Way(kernel="{}"))):
                lab = stack.enter_context(_lab(workspace, way))
                notebook = stack.enter_context(_notebook(lab, browser, effort.web_join_sliders))
                sides[name] = notebook, lab.server("second" if name == KMUX else "first")
                if name == KMUX:
                    sides[SAME_SERVER] = notebook, lab.server("first")
            for notebook, server in sides.values():
                notebook.join(server, browser, IDLE)  # warm up
            rounds = {IDLE: effort.web_join_rounds, BUSY: effort.web_join_busy_rounds}
            for state, count in rounds.items():
                for _ in range(count):
                    for name, (notebook, server) in sides.items():
                        joined[state, name].append(notebook.join(server, browser, state))
    except (AssertionError, Error) as error:
        raise BenchError(f"JupyterLab does not do as it should: {error}") from error
    return _result(joined, effort.web_join_sliders)


@contextmanager
def _lab(workspace: Workspace, way: Way) -> Iterator[Lab]:
    """Have a machine with JupyterLab's servers, and a daemon (which only kmux's way needs)."""
    root = Path(tempfile.mkdtemp(dir=workspace.directory))
    runtime = Path(tempfile.mkdtemp(dir=workspace.directory))
    workplace = Workplace(root, runtime)
    with workplace.daemon() as daemon, ExitStack() as stack:
        lab = Lab(workplace, daemon, way, stack)
        try:
            yield lab
        finally:
            lab.end_sessions()


@contextmanager
def _notebook(lab: Lab, browser: Browser, sliders: int) -> Iterator[_Notebook]:
    desk = Desk(lab, browser, "sliders")
    try:
        yield _Notebook(desk, sliders)
    finally:
        for window in desk.windows:
            window.close()


def _result(joined: dict[tuple[str, str], list[_Joined]], sliders: int) -> Result:
    rows = [
        (
            f"{name}, {state}",
            median_and_range([each.widgets for each in those], 2),
            f"{median(each.loaded for each in those):.2f}",
            f"{median(each.notebook for each in those):.2f}",
            median_and_range([each.widgets - each.notebook for each in those], 2),
            "no" if all(each.in_time for each in those) else "yes",
        )
        for (state, name), those in joined.items()
    ]
    busy = joined[BUSY, KMUX]
    ours = [each for (_, name), those in joined.items() if name != PLAIN for each in those]
    return Result(
        title=f"web-join: JupyterLab in Chromium opens a notebook with {sliders} sliders that are "
        f"shown elsewhere, {3 * sliders + 2} widget models",
        columns=(
            "late joiner, kernel",
            "s to live widgets",
            "page loaded",
            "notebook shown",
            "from notebook to widgets",
            "waited for the cell",
        ),
        rows=rows,
        targets=[
            Target(
                text=f"{KMUX}, {BUSY}: s from the notebook to its widgets",
                measured=median(each.widgets - each.notebook for each in busy),
                limit=LIMIT_SECONDS,
            ),
            Target(
                text="windows that kmux let wait for the cell",
                measured=sum(not each.in_time for each in ours),
                limit=0,
            ),
        ],
        notes=[
            "seconds since the navigation began; a profile of its own each time, so nothing is "
            "in the browser's cache",
            f"{PLAIN}: a second window of the same server; another server cannot join",
            f"{KMUX}: it has not had this notebook before, and starts what stands for the kernel",
            f"{BUSY}: a cell sleeps for {BUSY_SECONDS} s, begun just before",
        ],
        raw={
            f"{state} {name}": [(each.loaded, each.notebook, each.widgets) for each in those]
            for (state, name), those in joined.items()
        },
    )
