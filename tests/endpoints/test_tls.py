"""Certificates that are good, and those that are not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.endpoints.tls import tls_context
from proxy.errors import ConfigError


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_a_certificate_with_its_key(files: tuple[Path, Path], certificate: Path) -> None:
    for context in (tls_context(*files), tls_context(certificate)):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def refused(*files: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        tls_context(*files)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_files_that_are_not_there(files: tuple[Path, Path]) -> None:
    certificate, key = files
    missing = key.with_name("missing.pem")
    assert refused(certificate, missing) == f"cannot read {missing}: No such file or directory"
    assert refused(missing, key) == f"cannot read {missing}: No such file or directory"
    assert "Is a directory" in refused(certificate.parent)


def test_files_that_are_something_else(files: tuple[Path, Path]) -> None:
    certificate, key = files
    other = key.with_name("other.pem")
    other.write_bytes(b"\x00hello")
    assert "PEM is wanted" in refused(other)
    assert "PEM is wanted" in refused(certificate, other)
    assert "PEM is wanted" in refused(certificate), "without a key"
    assert "PEM is wanted" in refused(key, certificate)
    other.write_text(
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n" + key.read_text()
    )
    assert "cannot use the certificate" in refused(other)


def test_a_key_of_another_certificate(files: tuple[Path, Path], authority: trustme.CA) -> None:
    certificate, key = files
    authority.issue_cert("localhost").private_key_pem.write_to_path(key)
    assert refused(certificate, key).endswith("the key belongs to another one")


def test_a_key_with_a_password_is_not_asked_for_on_the_terminal(files: tuple[Path, Path]) -> None:
    certificate, key = files
    secret = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        secret.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")
        )
    )
    assert "has a password" in refused(certificate, key)
