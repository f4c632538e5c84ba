"""Whether kmux can run here at all."""

from __future__ import annotations

import os
import platform
import select
import sys

from proxy import __version__
from proxy.doctor.findings import Finding, error, ok
from proxy.doctor.processes import PROC
from proxy.doctor.surroundings import Surroundings

PYTHON = (3, 11)


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at Python and the operating system."""
    return judge(
        python=sys.version_info[:3],
        system=sys.platform,
        release=platform.release(),
        has_epoll=hasattr(select, "epoll"),
        has_pidfd=_has_pidfd(),
        has_proc=(PROC / "self" / "stat").exists(),
    )


def judge(
    *,
    python: tuple[int, ...],
    system: str,
    release: str,
    has_epoll: bool,
    has_pidfd: bool,
    has_proc: bool,
) -> list[Finding]:
    """Say what is missing."""
    version = ".".join(map(str, python))
    found = []
    if python < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        found.append(
            error(f"this is Python {version}", f"install kmux with Python {wanted} or later")
        )
    if system != "linux" or not has_epoll:
        found.append(error(f"this is {system}, without epoll", "run kmux on Linux"))
    elif not has_pidfd:
        found.append(
            error(f"Linux {release} has no pidfd_open", "update it: Linux has it since 5.3")
        )
    elif not has_proc:
        found.append(
            error("/proc is not there", "mount it: kmux finds kernels and their owners there")
        )
    return found or [ok(f"kmux {__version__}, Python {version}, Linux {release}")]


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
