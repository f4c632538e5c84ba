"""A certificate and its key, from files, for a port that speaks TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.errors import ConfigError


def tls_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Read a certificate (PEM, with what leads to its authority) and its key, of the same file
    where none is given.

    Raises :class:`ConfigError` where they cannot be used.
    """
    where = str(certificate) if key is None else f"{certificate} with the key {key}"

    def no_password() -> str:  # without it, OpenSSL would ask on the terminal
        raise ConfigError(f"the key for {certificate} has a password; give one without")

    for file in (certificate, key or certificate):
        try:
            file.open("rb").close()  # OpenSSL does not say which of the two it could not open
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror or error}") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError as error:
        raise ConfigError(f"cannot use the certificate {where}: {_why(error)}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _why(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key belongs to another one"
    if error.reason in ("NO_START_LINE", None):
        return "PEM is wanted, a certificate and its key"
    return error.reason.lower().replace("_", " ")
