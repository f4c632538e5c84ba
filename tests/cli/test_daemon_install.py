"""``kmux daemon install``: a unit that systemd takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.frontends.kmux_process import DEADLINE, Daemon
from tests.required import lacks


def test_a_unit_for_systemd(daemon: Daemon) -> None:
    unit = daemon.workplace.root / ".config" / "systemd" / "user" / "kmux.service"
    assert daemon.kmux("daemon", "install").splitlines() == [
        f"{unit} written",
        "have systemd take it up with",
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now kmux.service",
    ]
    lines = unit.read_text().splitlines()
    assert f'ExecStart="{sys.executable}" -m proxy daemon serve' in lines
    assert {"KillMode=process", "Restart=on-failure"} <= set(lines)
    runtime = daemon.workplace.environment["KMUX_RUNTIME_DIR"]
    assert f'Environment="KMUX_RUNTIME_DIR={runtime}"' in lines
    assert not any("DAEMON_EXECUTION" in line for line in lines), "no place, and not systemd's"

    wants = unit.parent / "default.target.wants" / unit.name
    wants.parent.mkdir()
    wants.symlink_to(unit)
    assert daemon.kmux("daemon", "uninstall").startswith(f"{unit} removed")
    assert not unit.exists()
    assert not wants.is_symlink()
    assert daemon.refused("daemon", "uninstall") == f"there is no {unit}"


def test_systemd_reads_it_as_it_is_meant(daemon: Daemon, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        lacks("there is no systemd-analyze", "systemd")
    odd = tmp_path / "a b 100%" / "python"
    odd.parent.mkdir()
    odd.symlink_to(sys.executable)
    script = "import sys; sys.executable = sys.argv.pop(1); from proxy.cli.main import main; main()"
    result = daemon.workplace.run_python(
        sys.executable,
        *("-c", script, str(odd), "daemon", "install"),
        JUPYTER_PATH='/a "quoted" \\ path of 100%',
    )
    assert result.returncode == 0, result.stderr
    unit = daemon.workplace.root / ".config" / "systemd" / "user" / "kmux.service"
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        env={**daemon.workplace.environment, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_without_a_systemd(daemon: Daemon) -> None:
    said = daemon.refused("daemon", "install", "--now", PATH="/nonexistent")
    assert said == "there is no systemctl here; kmux starts the daemon when it is needed"
