"""Whoever launches a kernel of kmux's, it is not kmux."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from proxy.jupyter.provisioner import KmuxProvisioner
from proxy.kernels import provisioners
from proxy.kernels.provisioners import provisioner_of

KMUX = "kmux-provisioner"


def manager_of(metadata: dict[str, object], tmp_path: Path) -> KernelManager:
    manager = KernelManager(kernel_name="", connection_file=str(tmp_path / "kernel.json"))
    manager._kernel_spec = KernelSpec(argv=["kernel"], metadata=metadata)
    return manager


@pytest.fixture(autouse=True)
def _no_factory_of_another_test() -> None:
    provisioners._factory.cache_clear()


def test_a_process_by_default(tmp_path: Path) -> None:
    manager = manager_of({}, tmp_path)
    made = provisioner_of(manager)
    assert type(made) is LocalProvisioner
    assert made.parent is manager
    assert made.kernel_id == manager.kernel_id != ""


def test_a_process_also_where_kmux_launches_all_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", KMUX)
    assert type(provisioner_of(manager_of({}, tmp_path))) is LocalProvisioner


def test_a_process_also_where_the_kernelspec_names_kmux(tmp_path: Path) -> None:
    metadata = {"kernel_provisioner": {"provisioner_name": KMUX, "config": {}}}
    assert type(provisioner_of(manager_of(metadata, tmp_path))) is LocalProvisioner


def test_under_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the class that counts: the entry point may have another name in a later version."""

    class Other(KmuxProvisioner):
        pass

    factory = provisioners._factory()
    monkeypatch.setattr(
        type(factory), "create_provisioner_instance", lambda *args, **more: Other(**more)
    )
    assert type(provisioner_of(manager_of({}, tmp_path))) is LocalProvisioner


def test_another_one_as_the_kernelspec_says(tmp_path: Path) -> None:
    metadata = {"kernel_provisioner": {"provisioner_name": "nobodys-provisioner"}}
    with pytest.raises(ModuleNotFoundError, match="nobodys-provisioner"):
        provisioner_of(manager_of(metadata, tmp_path))
