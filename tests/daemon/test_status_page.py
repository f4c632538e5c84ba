"""The page's files as they are served."""

from __future__ import annotations

import re

import pytest

from proxy.daemon import status_page
from proxy.daemon.status_page import DIRECTORY, page_routes
from tests.endpoints.http_client import open_front


async def test_it_is_for_everybody_and_says_what_may_run_on_it() -> None:
    async with open_front(*page_routes()) as scene, scene.client() as client:
        answer = await client.get("/", authorization="")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.body == (DIRECTORY / "index.html").read_bytes()
        policy = dict(
            part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/", authorization="", host="evil.example")).status == 403


async def test_all_its_parts_are_here_and_nothing_comes_from_elsewhere() -> None:
    async with open_front(*page_routes()) as scene, scene.client() as client:
        index = (await client.get("/", authorization="")).body.decode()
        wanted = re.findall(r'(?:href|src)="([^"]+)"', index)
        assert "/page/page.js" in wanted
        for path in wanted:
            answer = await client.get(path, authorization="")
            assert answer.status == 200, path
            for other in re.findall(r'from "\./([^"]+)"', answer.body.decode()):
                assert (await client.get(f"/page/{other}", authorization="")).status == 200, other
    for path in DIRECTORY.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|innerHTML|insertAdjacentHTML|eval\(", text), path


async def test_who_has_a_file_is_not_sent_it_again() -> None:
    async with open_front(*page_routes()) as scene, scene.client() as client:
        answer = await client.get("/page/page.css", authorization="")
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(
            "/page/page.css", authorization="", if_none_match=answer.headers["etag"]
        )
        assert (again.status, again.body) == (304, b"")
        other = await client.get("/page/page.css", authorization="", if_none_match='"other"')
        assert (other.status, other.body) == (200, answer.body)


@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2Fweb.py", "/page/%2e%2e", "/page/"])
async def test_other_files_are_not_served(path: str) -> None:
    async with open_front(*page_routes()) as scene, scene.client() as client:
        assert (await client.get(path)).status == 404


def test_each_file_is_of_a_known_kind() -> None:
    assert {path.suffix for path in DIRECTORY.iterdir()} <= status_page.MEDIA_TYPES.keys()
