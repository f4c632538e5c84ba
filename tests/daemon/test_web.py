"""The daemon's HTTP port as such: where it is, and when there is none."""

from __future__ import annotations

import socket
from pathlib import Path

import trustme

from tests.frontends.kmux_process import Daemon, Workplace, until
from tests.frontends.web_client import api_of


def problem(daemon: Daemon) -> str:
    return str(until(lambda: daemon.json("daemon", "status")["problem"], "it says what is wrong"))


def test_its_place_is_kept_and_the_settings_come_first(workplace: Workplace) -> None:
    with workplace.daemon() as daemon:
        first = api_of(daemon).url
        daemon.kmux("daemon", "stop")
        with socket.create_server(("127.0.0.1", 0)) as other:
            wanted = other.getsockname()[1]
        workplace.environment["KMUX_WEB_PORT"] = str(wanted)
        second = api_of(daemon).url
        assert first != second == f"http://127.0.0.1:{wanted}/"


def test_a_port_that_somebody_else_has_by_now_is_another_one(daemon: Daemon) -> None:
    first = daemon.json("web")
    daemon.kmux("daemon", "stop")
    with socket.create_server(("127.0.0.1", int(first["url"][:-1].rpartition(":")[2]))):
        second = daemon.json("web")
    assert second["url"] != first["url"]
    assert second["token"] == first["token"]
    assert "web.port_lost" in daemon.kmux("daemon", "logs", "-n", "100")


def test_a_port_that_was_asked_for_and_is_taken_is_a_problem(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, workplace.daemon() as daemon:
        workplace.environment["KMUX_WEB_PORT"] = str(other.getsockname()[1])
        said = daemon.refused("web")
        assert "cannot listen on 127.0.0.1" in said
        assert problem(daemon) == said
        assert daemon.json("new", "work")["name"] == "work", "the daemon goes on without it"


def test_other_machines_come_by_tls_or_not_at_all(workplace: Workplace, tmp_path: Path) -> None:
    workplace.environment["KMUX_WEB_ADDRESS"] = "0.0.0.0"
    with workplace.daemon() as daemon:
        assert "set tls_certificate" in daemon.refused("web")
        daemon.kmux("daemon", "stop")
        file = tmp_path / "server.pem"
        certificate = trustme.CA().issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(file)
        workplace.environment["KMUX_TLS_CERTIFICATE"] = str(file)
        assert daemon.json("web")["url"].startswith("https://0.0.0.0:")
        daemon.kmux("daemon", "stop")
        workplace.environment["KMUX_TLS_CERTIFICATE"] = str(tmp_path / "nothing.pem")
        assert "cannot read" in daemon.refused("web")


def test_a_damaged_place_is_a_problem_in_one_line(daemon: Daemon) -> None:
    daemon.json("web")
    file = daemon.workplace.root / "data" / "web.json"
    assert file.stat().st_mode & 0o777 == 0o600
    daemon.kmux("daemon", "stop")
    file.write_text('{"url": 7}')
    said = daemon.refused("web", status=2)
    assert said.startswith(f"cannot read {file}: ")
    assert said.endswith("; remove it, and restart the daemon")
    assert problem(daemon) == said
    assert daemon.json("new", "work")["name"] == "work", "the daemon goes on without it"
    file.unlink()
    daemon.kmux("daemon", "restart")
    assert api_of(daemon).get("api/status")["kernels"] == 1
