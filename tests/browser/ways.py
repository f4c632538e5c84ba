"""The ways in which JupyterLab's server gets at a shared kernel. A further one is an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.frontends.kmux_process import Daemon
from tests.frontends.managed import IN_DAEMON


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a server is started, and what a notebook names as its kernel."""

    arguments: Callable[[Daemon], tuple[str, ...]] = lambda daemon: ()
    """Of ``jupyter lab``."""
    kernel: str = "{}-shared"
    """The kernelspec that stands for one of the machine."""
    auto: str = "auto-shared"
    """The one with which the notebook chooses."""
    binary: bool = True
    """Whether binary buffers get through. Those of a gateway kill jupyter_server's client of it."""


def gateway(daemon: Daemon) -> tuple[str, ...]:
    """Have the server ask kmux for its kernels, and say for which notebook each is."""
    web = daemon.json("web")
    return (
        f"--gateway-url={web['url']}",
        f"--GatewayClient.auth_token={web['token']}",
        "--GatewayClient.allowed_envs=JPY_SESSION_NAME",
    )


WAYS = {
    "shim": Way(),
    "provisioner": Way(
        arguments=lambda daemon: (
            "--KernelProvisionerFactory.default_provisioner_name=kmux-provisioner",
        ),
        kernel="{}",
    ),
    "gateway": Way(arguments=gateway, kernel="{}", auto="auto", binary=False),
}

ENVIRONMENT = IN_DAEMON
