"""Jupyter Server's API of kernelspecs on the daemon's port."""

from __future__ import annotations

import urllib.request

from tests.frontends.kmux_process import Daemon
from tests.frontends.web_client import api_of


def test_installed_kernels_and_sessions_are_kernelspecs(daemon: Daemon) -> None:
    daemon.json("new", "work")
    api = api_of(daemon)
    found = api.get("api/kernelspecs")
    assert found["default"] == "python3"
    specs = found["kernelspecs"]
    assert {"python3", "bash", "deno", "shared-work"} <= set(specs)
    assert specs["auto"]["spec"]["metadata"]["debugger"], "JupyterLab has none without it"
    shared = specs["shared-work"]
    assert shared["spec"]["display_name"] == "Shared: work"
    assert shared["spec"]["language"] == "python"
    for name, model in specs.items():
        assert model["name"] == name
        assert isinstance(model["resources"], dict), "JupyterLab wants it"
        assert {"argv", "display_name", "language"} <= set(model["spec"])
    assert api.get("api/kernelspecs/python3") == specs["python3"]
    assert api.ask("GET", "api/kernelspecs/nothing")[0] == 404


def test_logos_are_served_and_nothing_else_of_the_directory(daemon: Daemon) -> None:
    daemon.json("new", "work")
    api = api_of(daemon)
    specs = api.get("api/kernelspecs")["kernelspecs"]
    logo = specs["shared-work"]["resources"]["logo-64x64"]
    assert logo == specs["python3"]["resources"]["logo-64x64"]
    request = urllib.request.Request(
        api.url + logo.lstrip("/"), headers={"Authorization": f"token {api.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["content-type"] == "image/png"
        assert response.read().startswith(b"\x89PNG")
    for path in ("python3/kernel.json", "python3/..%2Fkernel.json", "nothing/logo-64x64.png"):
        assert api.ask("GET", f"kernelspecs/{path}")[0] == 404


def test_a_kernelspec_that_is_damaged_is_nobodys_kernel(daemon: Daemon) -> None:
    directory = daemon.workplace.root / "jupyter" / "kernels" / "broken"
    directory.mkdir()
    (directory / "kernel.json").write_text('{"argv": 7, "display_name": [], "language": 1}')
    assert "broken" not in api_of(daemon).get("api/kernelspecs")["kernelspecs"]
