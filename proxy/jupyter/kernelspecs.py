"""Kernelspecs whose argv runs kmux, so that every frontend that knows kernelspecs can share.

``interrupt_mode`` is "message": JupyterLab then sends interrupt_request to kmux, which knows how
the real kernel wants to be interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_core.paths import ENV_JUPYTER_PATH, jupyter_data_dir, jupyter_path

from proxy.daemon.vocabulary import AUTO, AUTO_DISPLAY_NAME, AUTO_METADATA
from proxy.errors import ConfigError
from proxy.kernels.specs import SHARED_METADATA, SHARED_PREFIX, find

SUFFIX = "-shared"
"""Of the kernelspec of a kernel that is shared: ``python3-shared``."""


def directory(*, user: bool, sys_prefix: bool, prefix: Path | None) -> Path:
    """Return the directory of kernelspecs that the options name; by default the user's."""
    if user + sys_prefix + (prefix is not None) > 1:
        raise ConfigError("--user, --sys-prefix and --prefix exclude each other; choose one")
    if prefix is not None:
        return prefix / "share" / "jupyter" / "kernels"
    if sys_prefix:
        return Path(ENV_JUPYTER_PATH[0]) / "kernels"
    return Path(jupyter_data_dir()) / "kernels"


def install(kernel: str, into: Path, *, in_daemon: bool = True) -> Path:
    """Write the shared kernelspec of a kernel, whole or not at all. Returns its directory.

    ``kernel`` is a kernelspec's name, or "auto". ``in_daemon`` is whether it runs there, or within
    what the frontend starts. Raises
    :class:`ConfigError` where there is no such kernel, or the directory cannot be written.
    """
    command = "shim" if in_daemon else "run"
    if kernel == AUTO:
        written = _describe(
            argv=[command, "--kernel", AUTO],
            display_name=f"{AUTO_DISPLAY_NAME} (shared)",
            language="python",  # of nearly all; a notebook of Deno says so itself
            metadata={**AUTO_METADATA, SHARED_METADATA: {"kernel": AUTO}},
        )
        return _write(into / f"{AUTO}{SUFFIX}", written, None)
    spec = find(kernel)
    plain_name = "Python 3" if kernel == "python3" else str(spec.display_name)
    written = _describe(
        argv=[command, "--kernel", kernel],
        display_name=f"{plain_name} (shared)",
        language=spec.language,
        metadata={**spec.metadata, SHARED_METADATA: {"kernel": kernel}},
    )
    return _write(into / f"{kernel}{SUFFIX}", written, spec)


def install_session(name: str, kernel: str, language: str, into: Path) -> Path:
    """Write a kernelspec that attaches to a session. Returns its directory.

    ``kernel`` is the session's kernelspec, where it has one. Raises :class:`ConfigError` where the
    directory cannot be written.
    """
    try:
        spec = find(kernel)
    except ConfigError:  # somebody else started its kernel
        spec = None
    written = _describe(
        argv=["shim", "--attach", name],
        display_name=f"Shared: {name}",
        language=language,
        metadata={**(spec.metadata if spec else {}), SHARED_METADATA: {"session": name}},
    )
    return _write(into / f"{SHARED_PREFIX}{name}", written, spec)


def _describe(
    *, argv: list[str], display_name: str, language: str, metadata: dict[str, Any]
) -> dict[str, Any]:
    metadata.pop("kernel_provisioner", None)  # it starts the real kernel, not kmux
    return {
        # -P: the notebook's directory may have a proxy.py, or a select.py
        "argv": [sys.executable, "-P", "-m", "proxy", *argv, "-f", "{connection_file}"],
        "display_name": display_name,
        "language": language,
        "interrupt_mode": "message",
        "metadata": {**metadata, "supported_encryption": ["curve"]},
    }


def _write(target: Path, written: dict[str, Any], spec: KernelSpec | None) -> Path:
    """Write a kernelspec, with the logos of another one."""
    if target.exists() and not is_shared(target):
        raise ConfigError(f"{target} is a kernelspec that kmux did not write; remove it yourself")
    building = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        building.mkdir(parents=True)
        try:
            if spec is not None:
                _copy_logos(spec, building)
            (building / "kernel.json").write_text(json.dumps(written, indent=1))
            if target.exists():
                shutil.rmtree(target)
            building.rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}; try --prefix") from None
    return target


def _copy_logos(spec: KernelSpec, into: Path) -> None:
    for logo in Path(spec.resource_dir).glob("logo-*"):
        shutil.copyfile(logo, into / logo.name)


def is_shared(kernelspec: Path) -> bool:
    """Whether kmux wrote the kernelspec in this directory."""
    try:
        metadata = json.loads((kernelspec / "kernel.json").read_bytes()).get("metadata", {})
        return SHARED_METADATA in metadata
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def installed() -> list[Path]:
    """Return the directories of the shared kernelspecs in Jupyter's path, in its order."""
    return [
        candidate
        for directory_ in jupyter_path("kernels")
        for candidate in sorted(Path(directory_).glob("*/"))
        if is_shared(candidate)
    ]


def remove(name: str) -> list[Path]:
    """Remove the shared kernelspecs of this name, or of the kernel or session of this name.

    Raises :class:`ConfigError` where there is none.
    """
    names = {name, f"{name}{SUFFIX}", f"{SHARED_PREFIX}{name}"}
    found = [path for path in installed() if path.name in names]
    if not found:
        have = ", ".join(sorted({path.name for path in installed()})) or "none is installed"
        raise ConfigError(f"no shared kernelspec {name!r}; installed: {have}")
    for path in found:
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise ConfigError(f"cannot remove {path}: {error.strerror}") from None
    return found
