"""The settings in force: what the caller was told, else the environment, the file, the default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from proxy.errors import ConfigError
from proxy.settings.directories import config_file
from proxy.settings.table import Description, Settings, Value, descriptions, shown


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting in force. The field names are the keys of ``kmux config --json``."""

    name: str
    value: Value
    origin: str
    """The environment variable or the file that says so, or "option" or "default"."""
    default: Value
    variable: str
    description: str


def load(**given: object) -> Settings:
    """Return the settings in force. ``given`` is what the command line said; None: nothing.

    Raises :class:`ConfigError` where a value is none of the allowed ones, where the file names a
    setting that there is not, or cannot be read.
    """
    return Settings(**{each.name: each.value for each in in_force(given)})  # type: ignore[arg-type]


def in_force(given: Mapping[str, object] = {}) -> list[Setting]:
    """Return all settings with their values and where each comes from. Raises as :func:`load`."""
    known = descriptions()
    path, text, written = _file(known)
    return [_resolve(each, given, path, text, written) for each in known.values()]


def find(name: str) -> Setting:
    """Return one setting. Raises as :func:`load`, and where there is none of this name."""
    found = {each.name: each for each in in_force()}
    if name not in found:
        raise ConfigError(_unknown(name, found))
    return found[name]


def _resolve(
    about: Description,
    given: Mapping[str, object],
    path: Path | None,
    text: str,
    written: Mapping[str, object],
) -> Setting:
    """Find what is in force of one setting."""
    origin, value = "default", about.default
    if given.get(about.name) is not None:
        origin, value = "option", _checked(about, given[about.name], about.name)
    elif from_environment := os.environ.get(about.variable):
        origin = about.variable
        value = _checked(about, from_environment, origin, strict=False)
    elif about.name in written:
        origin = str(path)
        value = _checked(
            about, written[about.name], f"{_place(path, text, about.name)}: {about.name}"
        )
    return Setting(
        name=about.name,
        value=value,
        origin=origin,
        default=about.default,
        variable=about.variable,
        description=about.text,
    )


def _checked(about: Description, value: object, what: str, *, strict: bool = True) -> Any:
    """Return a value as one of the setting's type. Not strict: it may be a text that says it."""
    try:
        return msgspec.convert(value, about.type, strict=strict)
    except msgspec.ValidationError:
        said = repr(value) if isinstance(value, str) else shown(value)
        raise ConfigError(f"{what} must be {about.allowed}, not {said}") from None


def _file(known: Mapping[str, Description]) -> tuple[Path | None, str, dict[str, object]]:
    """Return where the file is, its text, and what it sets: nothing, where there is none."""
    path = config_file()
    if path is None:
        return None, "", {}
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if os.environ.get("KMUX_CONFIG"):
            raise ConfigError(f"there is no {path}; write it, or unset KMUX_CONFIG") from None
        return path, "", {}
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}; make it readable, or set KMUX_CONFIG to "
            "another file"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error.reason}; write it in UTF-8") from None
    if not text:
        return path, "", {}
    written = _parse(path, text)
    for key in written:
        if key not in known:
            raise ConfigError(f"{_place(path, text, key)}: {_unknown(key, known)}")
    return path, text, written


def _parse(path: Path, text: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f'{path} is not TOML: {error}; a line of it looks like: restart = "owner"'
        ) from None


def _place(path: Path | None, text: str, key: str) -> str:
    """Say where in the file a key is, as far as that can be told without TOML's own parser."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.partition("=")[0].strip(" \t[]\"'") == key:
            return f"{path}, line {number}"
    return str(path)


def _unknown(name: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches

    nearest = [each for each in known if name in each] or get_close_matches(name, known, 1)
    meant = f"did you mean {nearest[0]}?" if nearest else "kmux config --help lists them"
    return f"there is no setting {name!r}; {meant}"
