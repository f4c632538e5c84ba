"""``kmux adopt``: a real kernel that jupyter_client started, and its own frontend."""

from __future__ import annotations

import shutil

import pytest

from tests.frontends.kmux_process import Daemon

pytestmark = pytest.mark.timeout(120)


def test_a_kernel_that_somebody_else_started(daemon: Daemon) -> None:
    runtime = daemon.workplace.root / "runtime"
    with daemon.workplace.kernel() as (file, owner):
        owner.run("import ipywidgets; slider = ipywidgets.IntSlider(value=3); slider")
        shutil.copy(file, runtime / "kernel-12345.json")
        made = daemon.json("adopt", "kernel-12345.json", "borrowed")
        assert (made["name"], made["kernel"], made["daemon"]) == ("borrowed", "python3", True)
        assert made["connection_file"] != str(file)

        client = daemon.attach(made["connection_file"])
        assert client.run("print(slider.value)")["status"] == "ok"
        assert client.text() == "3\n"
        comms = client.reply(client.comm_info())["content"]["comms"]
        assert "jupyter.widget" in {comm["target_name"] for comm in comms.values()}, "it is primed"

        loop = client.start_loop()
        daemon.kmux("interrupt", "borrowed")
        assert client.finish(loop)["ename"] == "KeyboardInterrupt"
        said = daemon.refused("restart", "borrowed")
        assert "not kmux's to restart" in said
        again = daemon.refused("adopt", made["connection_file"], "again")
        assert again == f"{made['connection_file']} is session borrowed, which is shared already"

        daemon.kmux("stop", "borrowed")
        assert owner.run("print('alive', slider.value)")["status"] == "ok"
        assert owner.text() == "alive 3\n"
    said = daemon.refused("adopt", "1234", status=3)  # a part of the name; the kernel has ended
    assert said.startswith("no kernel listens at tcp://127.0.0.1:")


def test_no_such_file(daemon: Daemon) -> None:
    runtime = daemon.workplace.root / "runtime"
    assert daemon.refused("adopt", "kernel-9.json") == (
        f"there is no connection file kernel-9.json, nor one like it in {runtime}"
    )
    (runtime / "kernel-8.json").write_text("{}")
    assert "is not a connection file of a Jupyter kernel" in daemon.refused("adopt", "8")
