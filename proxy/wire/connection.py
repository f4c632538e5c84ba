"""Connection files: the ports and the key with which frontends find a kernel.

The format is Jupyter messaging's "connection files". Keys that kmux does not know (``kernel_name``,
``jupyter_session`` …) are kept and written back.
"""

from __future__ import annotations

import os
import secrets
import struct
import tempfile
from pathlib import Path
from typing import Any, Literal

import msgspec
from zmq.utils import z85

from proxy.errors import ConfigError
from proxy.message import JSON_ERRORS, Channel
from proxy.wire.signing import Signer, signer

Transport = Literal["tcp", "ipc"]


class CurveKeys(msgspec.Struct, frozen=True):
    """A CurveZMQ key pair in Z85 text, 40 characters each (jupyter_client 8.9 and later)."""

    public: str
    secret: str


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection file says. With ``ipc``, ``ip`` is a path prefix and ports are suffixes."""

    transport: Transport = "tcp"
    ip: str = "127.0.0.1"
    shell_port: int = 0
    iopub_port: int = 0
    stdin_port: int = 0
    control_port: int = 0
    hb_port: int = 0
    key: str = ""
    signature_scheme: str = "hmac-sha256"
    curve: CurveKeys | None = None
    extra: dict[str, Any] = {}

    def port(self, channel: Channel) -> int:
        """Return the port (tcp) or path suffix (ipc) of a channel."""
        port: int = getattr(self, f"{channel}_port")
        return port

    def url(self, channel: Channel) -> str:
        """Return the ZMQ endpoint of a channel."""
        if self.transport == "ipc":
            return f"ipc://{self.ip}-{self.port(channel)}"
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"tcp://{host}:{self.port(channel)}"

    def with_ports(self, ports: dict[Channel, int]) -> ConnectionInfo:
        """Return a copy with these ports."""
        return msgspec.structs.replace(self, **{f"{c}_port": p for c, p in ports.items()})

    @property
    def ports(self) -> dict[str, int]:
        """All ports by their names in connection files."""
        return {f"{channel}_port": getattr(self, f"{channel}_port") for channel in Channel}

    def signer(self) -> Signer:
        """Return the signer of this file's key. Raises :class:`ConfigError`, bad scheme."""
        return signer(self.key.encode(), self.signature_scheme)


def new_key() -> str:
    """Make a key of 128 random bits, as text."""
    return secrets.token_hex(16)


def parse(raw: bytes, origin: str) -> ConnectionInfo:
    """Parse the JSON of a connection file; ``origin`` names it in errors.

    Raises :class:`ConfigError` where it is not JSON, or not a connection file.
    """
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Any])
    except JSON_ERRORS as error:
        raise ConfigError(f"{origin} is not a connection file: {error}") from None
    missing = [f"{c}_port" for c in Channel if f"{c}_port" not in fields]
    if missing:
        raise ConfigError(
            f"{origin} is not a connection file of a Jupyter kernel: no {', '.join(missing)}"
        )
    public, secret = fields.pop("curve_publickey", None), fields.pop("curve_secretkey", None)
    own = {f.name for f in msgspec.structs.fields(ConnectionInfo)} - {"extra", "curve"}
    known = {name: fields.pop(name) for name in own & fields.keys()}
    try:
        info = msgspec.convert(known, ConnectionInfo)
        if public and secret:
            info = msgspec.structs.replace(
                info, curve=msgspec.convert({"public": public, "secret": secret}, CurveKeys)
            )
        if info.curve is not None:
            _check_curve_key(info.curve.public)
            _check_curve_key(info.curve.secret)
    except (*JSON_ERRORS, ValueError) as error:
        raise ConfigError(f"{origin} is not a valid connection file: {error}") from None
    for channel in Channel:
        if not 0 <= info.port(channel) <= 65535:
            raise ConfigError(f"{origin}: {channel}_port {info.port(channel)} is not a port")
    info.signer()
    return msgspec.structs.replace(info, extra=fields)


def _check_curve_key(key: str) -> None:
    """Raise :class:`ValueError` for what is not 32 bytes in Z85 (ZMQ RFC 32)."""
    try:
        valid = len(z85.decode(key.encode("ascii"))) == 32
    except (ValueError, KeyError, OverflowError, struct.error):
        valid = False
    if not valid:
        raise ValueError("curve keys are 40 characters of Z85")


def read(path: Path) -> ConnectionInfo:
    """Read a connection file. Raises :class:`ConfigError` where it is missing or foreign."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the connection file {path}: {error.strerror}") from None
    return parse(raw, str(path))


def write(path: Path, info: ConnectionInfo) -> None:
    """Write a connection file with mode 0600, whole or not at all (temporary file and rename).

    Raises :class:`ConfigError` where the directory cannot be written.
    """
    fields = dict(info.extra)
    for field in msgspec.structs.fields(ConnectionInfo):
        if field.name not in ("extra", "curve"):
            fields[field.name] = getattr(info, field.name)
    if info.curve is not None:
        fields["curve_publickey"] = info.curve.public
        fields["curve_secretkey"] = info.curve.secret
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(fields)))
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ConfigError(
            f"cannot write the connection file {path}: {error.strerror}; name another with -f"
        ) from None
