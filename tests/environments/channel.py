"""A conda channel on this machine, made of what is installed: no channel of the network is needed.

Its Python is the one that the tests run with, its ipykernel and what that needs are those of the
tests' environment, and ``toy`` is a package of nothing but a version.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from proxy.environments.uv_environments import own_python

SUBDIR = "linux-64"
_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
_SITE = f"lib/python{_VERSION}/site-packages"

# Debian's Python looks for packages elsewhere, where it is no virtual environment.
_SITECUSTOMIZE = f"""
import os, site, sys
site.addsitedir(os.path.join(sys.prefix, "{_SITE}"))
"""
_NOT_NEEDED = {"debugpy", "jedi", "psutil"}
"""What a kernel does without, and takes long to pack."""
_LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__")


def make_channel(directory: Path, *more: str) -> str:
    """Make the channel, with ``more`` of what is installed. Returns its URL."""
    platform = directory / SUBDIR
    platform.mkdir(parents=True)
    (directory / "noarch").mkdir()
    packages = {}
    for name, version, depends, files in _all(more):
        file = f"{name}-{version}-0.tar.bz2"
        index = {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "depends": depends,
            "subdir": SUBDIR,
        }
        raw = _packed(index, files)
        (platform / file).write_bytes(raw)
        packages[file] = {**index, "sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    for subdir, listed in ((SUBDIR, packages), ("noarch", {})):
        data = {"info": {"subdir": subdir}, "packages": listed, "packages.conda": {}}
        (directory / subdir / "repodata.json").write_text(json.dumps(data))
    return directory.as_uri()


Package = tuple[str, str, list[str], dict[str, bytes]]


def _all(more: Iterable[str]) -> Iterator[Package]:
    yield "python", ".".join(map(str, sys.version_info[:3])), [], _python()
    for version in ("1.0", "2.0"):
        yield "toy", version, ["python"], {f"{_SITE}/toy.py": f"version = {version!r}\n".encode()}
    for name in sorted(set().union(*map(_closure, ("ipykernel", *more)))):
        found = importlib.metadata.distribution(name)
        files = {
            f"{_SITE}/{file}": Path(str(found.locate_file(file))).read_bytes()
            for file in found.files or ()
            if ".." not in file.parts and "__pycache__" not in file.parts
        }
        needs = ["python", *sorted(_needs(name))]
        yield name, found.version, needs, files


def _closure(name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _needs(one)
    return found


def _needs(name: str) -> set[str]:
    listed = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    wanted = (each for each in listed if each.marker is None or each.marker.evaluate({"extra": ""}))
    names = {re.sub("[-_.]+", "-", each.name).lower() for each in wanted}
    return names - _NOT_NEEDED


def _python() -> dict[str, bytes]:
    library = Path(sysconfig.get_path("stdlib"))
    at = f"lib/python{_VERSION}"
    files = {"bin/python": Path(own_python()).resolve().read_bytes()}
    for path in library.rglob("*"):
        inside = path.relative_to(library)
        if any(part in _LEFT_OUT or part.endswith("-packages") for part in inside.parts):
            continue
        if path.is_file() and not path.name.startswith(("libpython", "EXTERNALLY")):
            files[f"{at}/{inside}"] = path.read_bytes()
    files[f"{at}/sitecustomize.py"] = _SITECUSTOMIZE.encode()
    return files


def _packed(index: dict[str, object], files: dict[str, bytes]) -> bytes:
    paths = [
        {
            "_path": name,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(raw).hexdigest(),
            "size_in_bytes": len(raw),
        }
        for name, raw in files.items()
    ]
    about = {
        "info/index.json": json.dumps(index).encode(),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2", compresslevel=1) as archive:
        for name, raw in {**about, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            entry.mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(raw))
    return buffer.getvalue()
