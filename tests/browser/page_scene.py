"""The status page in a real browser, on a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.chromium import PATIENCE_MILLISECONDS
from tests.frontends.kmux_process import Client, Daemon

PICTURES = Path(__file__).parents[2] / "build" / "browser"
"""Where screenshots are kept, for who wants to look."""


class StatusPage:
    """One tab with the page, and what it has asked for and said."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MILLISECONDS)
        self.console: list[str] = []
        """Its log, with errors that nobody caught."""
        self.elsewhere: list[str] = []
        """What it asked of another place, which it may not."""
        self.frames: list[dict[str, Any]] = []
        """What the daemon told it."""
        self.page.on("console", lambda line: self.console.append(f"{line.type}: {line.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._told))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "blob" and parts.netloc != urlsplit(self.url).netloc:
            self.elsewhere.append(url)

    def _told(self, frame: str | bytes) -> None:
        self.frames.append(json.loads(frame))

    def open(self) -> StatusPage:
        """Open it, and wait until the daemon has told it what there is."""
        self.page.goto(self.url)
        expect(self.page.locator("#connection")).to_contain_text("Live")
        return self

    def session(self, name: str) -> Locator:
        """The session of this name."""
        return self.page.get_by_role("article", name=name, exact=True)

    def names(self) -> list[str]:
        """The sessions that are shown, in this order."""
        return self.page.locator("#sessions h2").all_inner_texts()

    def photograph(self, name: str) -> None:
        """Keep how it looks now."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"page-{name}.png", full_page=True)

    def check(self) -> None:
        """It said nothing that is an error, and asked nobody else."""
        bad = [line for line in self.console if line.startswith(("error", "warning", "uncaught"))]
        assert bad == []
        assert self.elsewhere == []


@contextmanager
def open_page(
    browser: Browser, url: str, *, checked: bool = True, **options: Any
) -> Iterator[StatusPage]:
    """Have a browser window of its own with the page in it. ``options`` are Playwright's."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    page = StatusPage(context, url)
    try:
        yield page
        if checked:
            page.check()
    finally:
        context.close()


def address(daemon: Daemon, *options: str) -> str:
    """The page's address, with the token."""
    return daemon.kmux("web", *options).strip()


def begin(daemon: Daemon, name: str, *options: str) -> Client:
    """Begin a session, and attach a frontend."""
    daemon.kmux("new", name, *options)
    file = daemon.kmux("attach", name).strip()
    return daemon.attach(file)
