"""Who launches a kernel of kmux's: whom its kernelspec or the configuration names, but never kmux.

kmux has a provisioner of its own, which has the daemon launch what another application starts.
Where that is the default for all kernels, the daemon would ask itself for ever.
"""

from __future__ import annotations

import functools
import uuid

from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase


class AsksKmux:
    """A provisioner that has kmux launch the kernel, by whatever name it is found."""


@functools.cache
def _factory() -> KernelProvisionerFactory:
    return KernelProvisionerFactory()


def provisioner_of(manager: KernelManager) -> KernelProvisionerBase:
    """Make the provisioner of a kernel that is about to be launched.

    Raises ``ModuleNotFoundError`` where its kernelspec names one that is not installed.
    """
    if not manager.kernel_id:
        manager.kernel_id = str(uuid.uuid4())
    spec = manager.kernel_spec
    made = _factory().create_provisioner_instance(manager.kernel_id, spec, parent=manager)
    if not isinstance(made, AsksKmux):
        return made
    return LocalProvisioner(kernel_id=manager.kernel_id, kernel_spec=spec, parent=manager)
