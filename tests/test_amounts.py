"""Sizes and times for people."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.amounts import bytes_of, lasting, sized


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (34e6, "34 MB"), (2e15, "2000 TB")],
)
def test_a_size_is_written(size: int, text: str) -> None:
    assert sized(int(size)) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("7B", 7),
        ("2k", 2000),
        ("1.5 GB", 1_500_000_000),
        ("1GiB", 1024**3),
        ("3mib", 3 * 1024**2),
        (" 1T ", 10**12),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1 PB", "1iB", "1e9", "1,5G", "MB", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        bytes_of(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_what_is_written_is_read_nearly_the_same(size: int) -> None:
    assert bytes_of(sized(size).replace(" bytes", "")) == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (1, "1 s"),
        (119, "1 min"),
        (7200, "2 h"),
        (86400, "1 day"),
        (86400 * 400, "400 days"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
