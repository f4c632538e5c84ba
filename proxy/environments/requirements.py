"""One package that is asked for: what it is called, and whether it comes from where packages do.

A list of them in a notebook is somebody else's text. A line of it may be a URL, a path or an option
of the installer as well as a name: those are allowed, and shown for what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec
from packaging import requirements as packaging
from packaging.utils import canonicalize_name

from proxy.errors import ConfigError

Kind = Literal["name", "channel", "url", "path", "option"]
"""``channel`` is conda's: a name that is to come from a channel of its own."""

IN_WORDS = {
    "name": "",
    "channel": "from a channel of its own",
    "url": "from a URL, not from the package index",
    "path": "from a path on this machine",
    "option": "an option of the installer",
}

_URL = re.compile(r"(?i)^([a-z][a-z0-9]*\+)?(https?|ssh|ftp|git|s3)://|^git@")
_PATH = re.compile(
    r"(?i)^([./~\\]|file:|[a-z]:\\)|^[^\s@<>=!~;\[]+\.(whl|tar\.gz|zip|conda|tar\.bz2)$"
)
_CONDA_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(?=$|[\s=<>!~\[*])")


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list."""

    text: str
    """As it was written."""
    name: str
    """The package's, in lower case and with dashes; empty where the line does not say."""
    kind: Kind

    @property
    def note(self) -> str:
        """What there is to say of one that is no mere name, in words."""
        return IN_WORDS[self.kind]


def for_uv(texts: Iterable[str], where: str) -> tuple[Requirement, ...]:
    """Read requirements as pip and uv write them (PEP 508).

    Raises :class:`ConfigError` for one that is none.
    """
    return tuple(_for_uv(_one_line(text, where), where) for text in texts)


def for_conda(texts: Iterable[str], where: str) -> tuple[Requirement, ...]:
    """Read conda's match specifications, as far as to know the name; the solver does the rest.

    Raises :class:`ConfigError` for one that is none.
    """
    return tuple(_for_conda(_one_line(text, where), where) for text in texts)


def _for_uv(text: str, where: str) -> Requirement:
    if text.startswith("-"):
        return Requirement(text=text, name="", kind="option")
    if _URL.match(text):
        return Requirement(text=text, name="", kind="url")
    if _PATH.match(text):
        return Requirement(text=text, name="", kind="path")
    try:
        read = packaging.Requirement(text)
    except packaging.InvalidRequirement as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"{where}: {text!r} is no requirement ({why})") from None
    kind: Kind = "name"
    if read.url:
        kind = "path" if read.url.startswith("file:") else "url"
    return Requirement(text=text, name=canonicalize_name(read.name), kind=kind)


def _for_conda(text: str, where: str) -> Requirement:
    if _URL.match(text):
        return Requirement(text=text, name="", kind="url")
    if _PATH.match(text):
        return Requirement(text=text, name="", kind="path")
    channel, separator, spec = text.rpartition("::")
    named = _CONDA_NAME.match(spec.strip())
    if named is None or (separator and not channel.strip()):
        raise ConfigError(f"{where}: {text!r} names no package")
    kind: Kind = "channel" if separator else "name"
    return Requirement(text=text, name=named[0].lower(), kind=kind)


def _one_line(text: str, where: str) -> str:
    """A line break would be the beginning of another requirement, which nobody has looked at."""
    if not text.isprintable():
        raise ConfigError(f"{where}: {text!r} has characters that are none of a requirement")
    return text.strip()
