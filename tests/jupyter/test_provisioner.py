"""``kmux-provisioner``: an application on jupyter_client, with all its kernels under the daemon."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from jupyter_client import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from proxy.errors import NotFound
from proxy.jupyter.provisioner import KmuxProvisioner
from tests.frontends.kmux_process import Daemon, Workplace, until
from tests.frontends.managed import IN_DAEMON, started

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def application(
    daemon: Daemon, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """This process is the application, with the one line of configuration that it takes."""
    for name in ("HOME", "JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "KMUX_RUNTIME_DIR"):
        monkeypatch.setenv(name, workplace.environment[name])
    monkeypatch.setenv("KMUX_DATA_DIR", workplace.environment["KMUX_DATA_DIR"])
    factory = KernelProvisionerFactory.instance()
    former, factory.default_provisioner_name = factory.default_provisioner_name, "kmux-provisioner"
    yield
    factory.default_provisioner_name = former


def sessions(daemon: Daemon) -> dict[str, dict[str, Any]]:
    return {session["name"]: session for session in daemon.json("ps")}


def test_its_life_as_the_manager_sees_it(daemon: Daemon, workplace: Workplace) -> None:
    notebook = workplace.root / "work.ipynb"
    notebook.touch()
    with started(workplace, "python3", notebook=notebook, cwd=str(workplace.root)) as frontend:
        manager = frontend.manager
        assert isinstance(manager.provisioner, KmuxProvisioner)
        assert manager.is_alive()
        assert frontend.value("__import__('os').getcwd()") == str(workplace.root)
        assert manager.resolve_path("work.ipynb") == str(notebook)
        first = sessions(daemon)["work"]
        assert str(first["pid"]) == frontend.value("__import__('os').getpid()")

        cell = frontend.client.start_loop()
        manager.interrupt_kernel()
        assert frontend.client.finish(cell)["ename"] == "KeyboardInterrupt"

        other = daemon.attach(first["connection_file"])
        for now in (False, True):
            frontend.client.run("x = 1")
            manager.restart_kernel(now=now)
            assert manager.is_alive()
            other.hear_status("restarting")
            if now:  # its connections broke; else it has not noticed anything
                frontend.client.attach()
            assert frontend.value("'x' in dir()") == "False", f"now={now}"
        other.run("x = 2")
        assert list(sessions(daemon)) == ["work"]
        ports = manager.ports
        manager.shutdown_kernel()
        assert not manager.is_alive()
        assert not manager.has_kernel
        assert other.run("x")["status"] == "ok", "the kernel goes on"
    with started(workplace, "python3", notebook=notebook) as frontend:
        assert frontend.value("x") == "2"
        assert frontend.manager.ports != ports


@pytest.mark.parametrize("now", [False, True], ids=["asked", "killed"])
def test_the_interrupt_of_a_shutdown_hits_nobodys_cell(
    daemon: Daemon, workplace: Workplace, now: bool
) -> None:
    with started(workplace, "python3") as frontend:
        other = daemon.attach(sessions(daemon)["python3"]["connection_file"])
        cell = other.execute("print('begun', flush=True)\nimport time; time.sleep(1); print('ok')")
        other.hear_stream(cell)
        frontend.manager.shutdown_kernel(now=now)
        assert other.finish(cell)["status"] == "ok"
        assert other.text() == "ok\n"


@pytest.mark.alone
def test_the_application_notices_no_change_of_daemons(daemon: Daemon, workplace: Workplace) -> None:
    with started(workplace, "python3") as frontend:
        frontend.client.run("x = 1")
        cell = frontend.client.execute(
            "print('begun', flush=True)\nimport time; time.sleep(2); x += 1"
        )
        frontend.client.hear_stream(cell)
        psutil.Process(daemon.pid).kill()
        assert frontend.manager.is_alive()
        assert frontend.client.finish(cell)["status"] == "ok"
        daemon.kmux("daemon", "restart")
        assert frontend.value("x") == "2"
        assert frontend.manager.is_alive()
        daemon.kmux("daemon", "stop", "--all")
        until(lambda: not frontend.manager.is_alive(), "it is over")


def test_it_knows_what_the_kernelspecs_of_kmux_stand_for(
    daemon: Daemon, workplace: Workplace
) -> None:
    (workplace.root / "share").mkdir()
    (workplace.root / "share" / "jupyter").symlink_to(workplace.root / "jupyter")
    daemon.kmux("new", "analysis")
    into = ["--prefix", str(workplace.root)]
    daemon.kmux("kernelspec", "install", "--attach", "analysis", *into)
    daemon.kmux("kernelspec", "install", *into, **IN_DAEMON)
    with started(workplace, "shared-analysis") as frontend:
        frontend.client.run("x = 1")
        assert sessions(daemon)["analysis"]["clients"] == 1
    with started(workplace, "python3-shared") as frontend:
        assert frontend.value("'x' in dir()") == "False"
    assert set(sessions(daemon)) == {"analysis", "python3"}


def test_one_line_says_why_there_is_no_kernel(
    daemon: Daemon, workplace: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    workplace.kernelspec("broken", [sys.executable, "-c", "import sys; sys.exit('no luck')"], "x")
    manager = KernelManager(kernel_name="broken")
    manager.start_kernel(env=workplace.environment)
    with caplog.at_level(logging.ERROR):
        until(lambda: not manager.is_alive(), "it has failed")
        until(lambda: "kernel 'broken' did not start" in caplog.text, "it says so")
    manager.shutdown_kernel()
    workplace.kernelspec("away", ["/nonexistent/python", "-f"], "x", metadata={"kmux": {}})
    manager = KernelManager(kernel_name="away")
    manager.kernel_spec.metadata = {"kmux": {"session": "nothing"}}
    with pytest.raises(NotFound, match="no session 'nothing' runs"):
        manager.start_kernel(env=workplace.environment)
    manager.cleanup_resources()


def test_another_process_of_the_application_can_go_on(daemon: Daemon, workplace: Workplace) -> None:
    """By what jupyter_client has for that. It has the same ports, and the first one is told."""
    with started(workplace, "python3") as frontend:
        frontend.client.run("x = 1")
        former = frontend.manager.provisioner
        successor = KernelManager(kernel_name="python3", connection_file=frontend.file)
        successor.load_connection_file()
        successor.provisioner = KmuxProvisioner(
            kernel_id="1", kernel_spec=successor.kernel_spec, parent=successor
        )
        information = asyncio.run(former.get_provisioner_info())
        asyncio.run(successor.provisioner.load_provisioner_info(information))
        until(lambda: not frontend.manager.is_alive(), "the first one is told")
        assert successor.is_alive()
        assert frontend.value("x") == "1"
        successor.shutdown_kernel()
        assert sessions(daemon)["python3"]["status"] == "idle"
