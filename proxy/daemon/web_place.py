"""Where the daemon's HTTP port is, and the tokens for it: kept, so that URLs stay what they are."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from proxy.errors import NotFound, StoreError
from proxy.settings import data_dir


class WebPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has to know."""

    url: str = ""
    """``http://127.0.0.1:PORT/``; empty where there was none yet."""
    port: int = 0
    token: str
    """For everything."""
    read_only_token: str
    """For looking, and not touching."""

    @property
    def page(self) -> str:
        """The status page, for a browser."""
        return f"{self.url}?token={self.token}"

    @property
    def read_only_page(self) -> str:
        """The same, for somebody else's."""
        return f"{self.url}?token={self.read_only_token}"


def web_file() -> Path:
    """Return where it is kept, with mode 0600."""
    return data_dir() / "web.json"


def read() -> WebPlace:
    """Return it. Raises :class:`NotFound` where there is none, :class:`StoreError`."""
    file = web_file()
    try:
        return msgspec.json.decode(file.read_bytes(), type=WebPlace)
    except FileNotFoundError:
        raise NotFound("the daemon has not served HTTP yet; kmux daemon start") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            f"cannot read {file}: {error}; remove it, and restart the daemon"
        ) from None


def keep(place: WebPlace) -> None:
    """Keep it, for this user alone. Raises :class:`StoreError`."""
    file = web_file()
    new = file.with_suffix(".new")
    try:
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(place)))
        new.replace(file)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}") from None


def fresh() -> WebPlace:
    """Make tokens that nobody can guess."""
    return WebPlace(token=secrets.token_urlsafe(), read_only_token=secrets.token_urlsafe())
