"""Get a suite's source: the source distribution of the version that is installed.

Suites are never copied into this repository. They are unpacked below ``work/``, which git
ignores, and stay there for the next run.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
from pathlib import Path

from conformance.errors import ConformanceError

WORK = Path(__file__).parent / "work"


def version(distribution: str) -> str:
    """Return the installed version. Raises :class:`ConformanceError` where there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ConformanceError(
            f"{distribution} is not installed; install the group with: pip install --group "
            "conformance"
        ) from None


def unpack(distribution: str) -> Path:
    """Return the directory of the installed version's source distribution.

    Raises :class:`ConformanceError` where it cannot be downloaded.
    """
    wanted = version(distribution)
    target = WORK / "sources" / f"{distribution}-{wanted}"
    if not target.exists():
        archive = _archive(distribution, wanted)
        with tarfile.open(archive) as tar:
            tar.extractall(target.parent, filter="data")
        if not target.exists():
            raise ConformanceError(f"{archive.name} does not contain {target.name}/; delete it")
    return target


def _archive(distribution: str, wanted: str) -> Path:
    directory = WORK / "archives"
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"{distribution}-{wanted}.tar.gz"
    if archive.exists():
        return archive
    download = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--no-binary", distribution, "--dest", str(directory)),
            f"{distribution}=={wanted}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if not archive.exists():
        said = [line for line in download.stdout.splitlines() if line.startswith("ERROR")]
        why = said[-1].removeprefix("ERROR: ") if said else f"pip ended with {download.returncode}"
        raise ConformanceError(
            f"cannot download the source of {distribution} {wanted} ({why}); check the network, "
            f"or put {archive.name} into conformance/work/archives"
        )
    return archive
