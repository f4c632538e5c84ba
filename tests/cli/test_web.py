"""``kmux web``: where the page is."""

from __future__ import annotations

import urllib.request

from tests.frontends.kmux_process import Daemon, Workplace
from tests.frontends.web_client import WebApi


def test_it_prints_an_address_that_lets_one_in(daemon: Daemon) -> None:
    """It starts the daemon, as other commands do."""
    page = daemon.kmux("web").strip()
    found = daemon.json("web")
    assert page == found["page"] == f"{found['url']}?token={found['token']}"
    with urllib.request.urlopen(f"{found['url']}api?token={found['token']}", timeout=10) as answer:
        assert answer.status == 200
    look = daemon.json("web", "--read-only")
    assert look["token"] != found["token"]
    assert WebApi(look["url"], look["token"]).ask("POST", "api/kernels", {})[0] == 403


def test_the_address_stays(daemon: Daemon) -> None:
    before = daemon.json("web")
    daemon.kmux("daemon", "restart")
    assert daemon.json("web") == before
    daemon.kmux("daemon", "stop")
    assert daemon.json("web") == before


def test_who_wants_none_is_told(workplace: Workplace) -> None:
    workplace.environment["KMUX_WEB"] = "false"
    with workplace.daemon() as daemon:
        assert daemon.refused("web") == "the daemon serves no HTTP; set web = true, and restart it"
        assert daemon.json("daemon", "status")["url"] == ""
