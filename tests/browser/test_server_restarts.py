"""JupyterLab's server is killed and started again: the kernel has not noticed."""

from __future__ import annotations

from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.lab import Desk

pytestmark = [pytest.mark.timeout(120), pytest.mark.thorough]

SLIDER = "import ipywidgets as W\nspeed = W.IntSlider(3, description='speed')\nspeed"
COUNTING = """\
import time
print('begun', flush=True)
time.sleep(4)
speed.value = 77"""


def test_a_killed_server_comes_back(desk: Desk) -> None:
    desk.write("import os; os.getpid()", SLIDER, COUNTING)
    with desk.lab.start() as server:
        window = desk.window(server)
        window.shows("idle")
        window.run(0, 1)
        pid = desk.session["pid"]
        expect(window.output(0)).to_contain_text(str(pid))
        window.slider("speed").click(0.5)
        window.save()
        window.start(2)
        expect(window.output(2)).to_contain_text("begun")
        psutil.Process(server.process.pid).kill()
        server.process.wait()
    desk.photograph("without-a-server")
    with desk.lab.start(port=urlsplit(server.url).port or 0) as again:
        assert again.url == server.url
        window.reload()
        window.slider("speed").shows(77)
        window.shows("idle")
        window.has_no_failed_widgets()
        assert window.value("os.getpid()") == str(pid)
        moved = window.slider("speed").click(0.2)
        assert window.value("speed.value") == str(moved)
        assert desk.session["pid"] == pid
        desk.photograph("with-the-next-one")
        for session in again.request("GET", "api/sessions"):
            again.request("DELETE", f"api/sessions/{session['id']}")
