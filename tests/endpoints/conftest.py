from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import trustme

from proxy.endpoints.tls import tls_context
from tests.endpoints.http_client import OpenFront, open_front
from tests.endpoints.scene import Scene, open_scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """An endpoint on free TCP ports of this machine."""
    async with open_scene() as scene:
        yield scene


@pytest.fixture
def private() -> Iterator[Path]:
    """A directory for sockets, of mode 700. Their paths have 107 bytes: pytest's are too long."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of this run."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        file
    )
    return file


@pytest.fixture(scope="session")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """A client's trust in them."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=["tcp", "unix", "tls"])
def open_anywhere(request: pytest.FixtureRequest) -> OpenFront:
    """``open_front``, on each kind of place in turn."""
    if request.param == "unix":
        private: Path = request.getfixturevalue("private")
        return partial(open_front, path=private / "kmux.sock")
    if request.param == "tls":
        certificate: Path = request.getfixturevalue("certificate")
        trust: ssl.SSLContext = request.getfixturevalue("trust")
        return partial(open_front, tls=tls_context(certificate), trust=trust)
    return open_front


@pytest.fixture(params=["tcp", "unix"])
def open_front_too(request: pytest.FixtureRequest) -> Iterator[OpenFront]:
    """``open_front``, on a place that is another one than that of ``open_anywhere``."""
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        options = {"path": Path(directory) / "too.sock"} if request.param == "unix" else {}
        yield partial(open_front, **options)
