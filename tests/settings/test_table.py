"""The table of settings: each is described, and the documentation says the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from proxy.record.archive import RetentionPolicy
from proxy.record.values import INLINE_BYTES
from proxy.session.lifecycle import Policy
from proxy.settings.table import Description, Settings, descriptions, shown

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
EACH = pytest.mark.parametrize("about", descriptions().values(), ids=descriptions())


@EACH
def test_a_default_is_allowed(about: Description) -> None:
    assert msgspec.convert(about.default, about.type) == about.default


@EACH
def test_a_description_is_a_sentence(about: Description) -> None:
    assert about.text.endswith(".")
    assert "|" not in about.text, "it is a cell of a table"


def test_the_documentation_has_them_all_as_they_are() -> None:
    expected = [
        f"| `{about.name}` | {about.text} | {about.allowed} | `{shown(about.default)}` |"
        for about in descriptions().values()
    ]
    written = [
        line for line in DOCUMENT.read_text().splitlines() if re.match(r"\| `[a-z_]+` \|", line)
    ]
    assert written == expected, f"{DOCUMENT.name} should have:\n" + "\n".join(expected)


def test_values_in_words() -> None:
    allowed = {name: about.allowed for name, about in descriptions().items()}
    assert allowed["record"] == "true or false"
    assert allowed["restart"] == "allow, owner or refuse"
    assert allowed["default_kernel"] == "a text"
    assert allowed["away_hours"] == "a number from 0 to 1000000"
    assert allowed["log_files"] == "a whole number from 1 to 100"
    assert allowed["keep_bytes"] == "a whole number of at least 0"
    assert [shown(value) for value in (True, 24.0, 1.5, 7, "x")] == ["true", "24", "1.5", "7", "x"]


def test_who_sets_nothing_gets_what_kmux_does_without_settings() -> None:
    settings, policy, retention = Settings(), Policy(), RetentionPolicy()
    assert settings.restart == policy.restart
    assert settings.prompts == policy.prompts
    assert settings.away_hours * 3600 == policy.away_seconds
    assert settings.keep_executions == retention.executions
    assert settings.keep_bytes == retention.bytes
    assert settings.keep_days == (retention.seconds or 0)
    assert settings.inline_bytes == INLINE_BYTES
