"""Signatures: HMAC over header, parent header, metadata and content (Jupyter messaging, "The wire
protocol"). Buffers are not signed."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from proxy.errors import ConfigError
from proxy.message import Part

JOIN_LIMIT_BYTES = 64 * 1024
"""Below this one joined update is faster than four; above it the copy costs more."""


class Signer:
    """Sign and verify with one key. An empty key means unsigned: the signature is empty.

    Get it from :func:`signer`, so that equal keys are one object: a signature that one signer
    verified need not be made again by the same one.
    """

    __slots__ = ("_fresh",)

    def __init__(self, key: bytes, digest: str) -> None:
        self._fresh = hmac.new(key, digestmod=digest) if key else None

    def sign(self, header: Part, parent: Part, metadata: Part, content: Part) -> bytes:
        """Return the signature as hexadecimal digits."""
        if self._fresh is None:
            return b""
        mac = self._fresh.copy()
        if len(content) < JOIN_LIMIT_BYTES:
            mac.update(b"".join((header, parent, metadata, content)))
        else:
            for part in (header, parent, metadata, content):
                mac.update(part)
        return mac.hexdigest().encode()

    def verify(
        self, signature: Part, header: Part, parent: Part, metadata: Part, content: Part
    ) -> bool:
        """Whether the signature is right, compared in constant time."""
        if self._fresh is None:
            return True
        return hmac.compare_digest(self.sign(header, parent, metadata, content), signature)


@lru_cache(maxsize=1024)
def signer(key: bytes, scheme: str = "hmac-sha256") -> Signer:
    """Return the signer of a connection file's ``key`` and ``signature_scheme``.

    Raises :class:`ConfigError` for a scheme that is not ``hmac-`` and a hashlib name.
    """
    kind, _, digest = scheme.partition("-")
    if kind != "hmac" or digest not in hashlib.algorithms_available:
        raise ConfigError(
            f"signature_scheme {scheme!r} is not known; use hmac-sha256 in the connection file"
        )
    try:
        return Signer(key, digest)
    except (ValueError, TypeError):  # shake_128 and the like have no fixed length
        raise ConfigError(
            f"signature_scheme {scheme!r} cannot sign; use hmac-sha256 in the connection file"
        ) from None
