"""What the status page asks a real daemon for."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import nbformat
import psutil
import pytest
import websocket

from tests.frontends.kmux_process import DEADLINE, Client, Daemon
from tests.record.repo_peer import open_python_peer

pytestmark = pytest.mark.timeout(120)

PICTURE = """
import base64
from IPython.display import display
display({"image/png": base64.b64encode(b"\\x89PNG and so on").decode(), "text/plain": "a picture"},
        raw=True)
display({"text/html": "<script>alert(1)</script>"}, raw=True)
"""


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """The daemon's port."""

    def __init__(self, daemon: Daemon, *options: str) -> None:
        place = daemon.json("web", *options)
        self.url, self.token = place["url"], place["token"]

    def ask(self, path: str, method: str = "GET", token: str | None = None) -> Answer:
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    @contextmanager
    def watch(self) -> Iterator[websocket.WebSocket]:
        url = f"{self.url.replace('http', 'ws', 1)}kmux/watch?token={self.token}"
        socket = websocket.create_connection(url, timeout=DEADLINE)
        try:
            yield socket
        finally:
            socket.close()


@pytest.fixture
def alice(daemon: Daemon) -> Client:
    daemon.kmux("new", "work")
    return daemon.attach(daemon.kmux("attach", "work").strip())


def test_who_watches_is_told_what_there_is_and_what_changes(daemon: Daemon, alice: Client) -> None:
    with Web(daemon).watch() as socket:
        first = json.loads(socket.recv())
        ((ident, watched),) = first["sessions"].items()
        assert first["order"] == [ident]
        assert first["read_only"] is False
        assert watched["info"]["name"] == "work"
        assert [client["kind"] for client in watched["clients"]] == ["shared"]
        loop = alice.start_loop()
        seen: dict[str, Any] = {}

        def tell() -> None:
            news = json.loads(socket.recv())
            for part in ("sessions", "cells", "loads"):
                if ident in news.get(part, {}):
                    seen[part] = news[part][ident]

        def runs() -> bool:
            return bool(seen.get("cells") and seen["cells"][-1].get("outputs"))

        while not (runs() and (seen.get("loads") or {}).get("cpu_percent")):
            tell()
        assert seen["sessions"]["info"]["status"] == "busy"
        (entry,) = seen["sessions"]["queue"]
        assert (entry["state"], entry["code"][:5], entry["client"]) == (
            "executing",
            "print",
            alice.session.session,
        )
        assert entry["since"].endswith("Z")
        assert seen["sessions"]["queued"] == 1
        assert seen["cells"][-1]["outputs"] == [
            {"kind": "stream", "text": "begun\n", "name": "stdout"}
        ]
        kernel = psutil.Process(watched["info"]["pid"])
        assert seen["loads"]["memory_bytes"] == pytest.approx(kernel.memory_info().rss, rel=0.1)
        daemon.kmux("interrupt", "work")
        alice.finish(loop)
        while seen["cells"][-1]["state"] != "complete":
            tell()
        assert seen["cells"][-1]["end"] in ("error", "interrupted")


def test_who_says_something_is_hung_up_on(daemon: Daemon, alice: Client) -> None:
    with Web(daemon).watch() as socket:
        socket.send("hello")
        while (frame := socket.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
            pass
        assert frame.data[2:] == b"nothing is to be said here"


def test_the_latest_cells_are_told_for_scripts(daemon: Daemon, alice: Client) -> None:
    web = Web(daemon)
    for number in range(6):
        alice.run(f"print({number})")
    daemon.kmux("outputs", "work")  # all is recorded then
    cells = web.ask("kmux/sessions/work/outputs").json
    assert [cell["code"] for cell in cells] == [f"print({n})" for n in range(2, 6)]
    assert [cell["count"] for cell in web.ask("kmux/sessions/work/outputs?cells=2").json] == [5, 6]
    for bad in ("0", "51", "-1", "x", "", "²"):
        answer = web.ask(f"kmux/sessions/work/outputs?cells={urllib.parse.quote(bad)}")
        assert (answer.status, answer.json["reason"]) == (400, "ConfigError"), bad
    assert web.ask("kmux/sessions/other/outputs").status == 404


def test_pictures_are_blobs_of_the_daemons_port(daemon: Daemon, alice: Client) -> None:
    web = Web(daemon)
    alice.run(PICTURE)
    daemon.kmux("outputs", "work")
    (cell,) = web.ask("kmux/sessions/work/outputs").json
    picture, html = cell["outputs"]
    assert (picture["kind"], picture["text"]) == ("picture", "a picture")
    assert html == {"kind": "other", "media_type": "text/html", "bytes": 25}
    path = f"kmux/sessions/work/blobs/{picture['blob']}"
    answer = web.ask(path)
    assert answer.body == b"\x89PNG and so on"
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert web.ask(path, token="wrong").status == 403
    assert web.ask(f"kmux/sessions/work/blobs/{'0' * 64}").status == 404


def test_a_session_is_a_notebook_by_http(daemon: Daemon, alice: Client) -> None:
    alice.run("print('hello')")
    answer = Web(daemon, "--read-only").ask("kmux/sessions/work/export")
    assert answer.headers["Content-Type"] == "application/x-ipynb+json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="work.ipynb"'
    notebook = nbformat.reads(answer.body.decode(), as_version=4)
    assert [cell.source for cell in notebook.cells] == ["print('hello')"]
    assert answer.body.decode() == daemon.kmux("export", "work", "-o", "-")


async def test_the_record_is_followed_on_the_daemons_port(daemon: Daemon) -> None:
    daemon.kmux("new", "work")
    web = Web(daemon, "--read-only")
    (session,) = daemon.json("ps")
    address = f"{web.url.replace('http', 'ws', 1)}kmux/sessions/work/record?token={web.token}"
    async with open_python_peer() as peer:
        await peer.connect(address)
        assert (await peer.find(session["document"]))["doc"]


def test_what_is_not_recorded_is_told_so(daemon: Daemon) -> None:
    daemon.kmux("new", "work", "--no-record")
    web = Web(daemon)
    assert web.ask("kmux/sessions/work/outputs").json == []
    for path in ("export", f"blobs/{'0' * 64}"):
        answer = web.ask(f"kmux/sessions/work/{path}")
        assert (answer.status, "not recorded" in answer.json["message"]) == (404, True)
    address = f"{web.url.replace('http', 'ws', 1)}kmux/sessions/work/record?token={web.token}"
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        websocket.create_connection(address, timeout=DEADLINE)


def test_who_may_only_look_looks(daemon: Daemon, alice: Client) -> None:
    web = Web(daemon, "--read-only")
    with web.watch() as socket:
        assert json.loads(socket.recv())["read_only"] is True
    for method, path in (("POST", "/interrupt"), ("POST", "/restart"), ("DELETE", "")):
        answer = web.ask(f"kmux/sessions/work{path}", method)
        assert (answer.status, answer.json["message"]) == (
            403,
            "this token may look, and not touch",
        )
    assert web.ask("", token="").status == 200, "the page is for everybody"
    assert web.ask("kmux/sessions", token="").status == 403
