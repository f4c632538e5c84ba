"""The ways in which JupyterLab's server gets at a shared kernel. A further one is an entry here."""

from __future__ import annotations

from dataclasses import dataclass

from tests.frontends.managed import IN_DAEMON


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a server is started, and what a notebook names as its kernel."""

    arguments: tuple[str, ...] = ()
    """Of ``jupyter lab``."""
    kernel: str = "{}-shared"
    """The kernelspec that stands for one of the machine."""


WAYS = {
    "shim": Way(),
    "provisioner": Way(
        arguments=("--KernelProvisionerFactory.default_provisioner_name=kmux-provisioner",),
        kernel="{}",
    ),
}

ENVIRONMENT = IN_DAEMON
