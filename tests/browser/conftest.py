"""One browser for all tests here; for each way to attach one machine with JupyterLab's servers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import chromium
from tests.browser.lab import Desk, Lab
from tests.browser.ways import WAYS
from tests.frontends.kmux_process import Workplace
from tests.required import needs_chromium

IN_EVERY_WAY = ("test_cells_and_the_toolbar",)
"""What is always tested in each way to attach. All else takes minutes for each: --thorough."""
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.thorough:
        return
    others = [item for item in items if _is_of_another_way(item)]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)


def _is_of_another_way(item: pytest.Item) -> bool:
    way = item.callspec.params.get("lab") if hasattr(item, "callspec") else None
    return way not in (None, next(iter(WAYS))) and item.originalname not in IN_EVERY_WAY


# Of the package, not of the session: while Playwright is there, an asyncio loop runs.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium(needs_chromium()) as browser:
        yield browser


@pytest.fixture(scope="package", params=WAYS)
def lab(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """The machine; its servers start when a test wants them."""
    root = tmp_path_factory.mktemp(request.param)
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        workplace = Workplace(root, Path(runtime))
        with workplace.daemon() as daemon, ExitStack() as stack:
            yield Lab(workplace, daemon, WAYS[request.param], stack)


@pytest.fixture
def desk(request: pytest.FixtureRequest, lab: Lab, browser: Browser) -> Iterator[Desk]:
    """A notebook and windows of the test's own. What they show at its end is kept."""
    test = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
    desk = Desk(lab, browser, test)
    try:
        yield desk
        if request.node.stash.get(FAILED, True):
            desk.keep_logs()
        else:
            desk.photograph("end")
        elsewhere = [url for window in desk.windows for url in window.traffic.elsewhere]
        assert not elsewhere, "pages ask nobody but this machine"
    finally:
        for window in desk.windows:
            window.close()
        lab.end_sessions()
