"""What there is to say of the environments that there are, and which one a few letters mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence

from proxy.environments.store import Environment
from proxy.errors import ConfigError, NotFound

SHORT = 8
"""How many characters of a key are enough for people, as for commits."""

_IN_CONFIGURATION = re.compile(r"^version(?:_info)? *= *(?P<version>[\d.]+)", re.MULTILINE)
_OF_CONDA = re.compile(r"python=(?P<version>[\d.]+)=")


def python_version(environment: Environment) -> str:
    """Return the version of its Python, ``3.11.2``; empty where that is not written down."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        written = (environment.prefix / "pyvenv.cfg").read_text()
        if found := _IN_CONFIGURATION.search(written):
            return found["version"]
    packages = map(_OF_CONDA.match, environment.manifest.packages)
    return next((found["version"] for found in packages if found), "")


def shortened(keys: Sequence[str]) -> dict[str, str]:
    """Return how much of each key it takes to tell it from the others, for people."""

    def is_enough(length: int) -> bool:
        return len({key[:length] for key in keys}) == len(set(keys))

    longest = max(map(len, keys), default=0)
    length = next((each for each in range(SHORT, longest) if is_enough(each)), longest)
    return {key: key[:length] for key in keys}


def meant(words: Iterable[str], keys: Sequence[str]) -> list[str]:
    """Return the keys that begin with these words, each once.

    Raises :class:`NotFound` where none does, :class:`ConfigError` where several do.
    """
    found: dict[str, None] = {}
    for word in words:
        matches = [key for key in keys if key == word] or [
            key for key in keys if word and key.startswith(word)
        ]
        if not matches:
            raise NotFound(f"there is no environment {word!r}; kmux env list shows them")
        if len(matches) > 1:
            raise ConfigError(
                f"{word!r} may be {' or '.join(sorted(matches)[:3])}; give more of it"
            )
        found[matches[0]] = None
    return list(found)
