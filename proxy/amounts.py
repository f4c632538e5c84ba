"""Sizes and times as people write and read them."""

from __future__ import annotations

import re

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SIZE = re.compile(r"(?i)(?P<number>\d+(\.\d+)?)\s*((?P<unit>[kmgt]?)(?P<binary>i?)b?)")
_TIMES = (("days", 86400), ("h", 3600), ("min", 60), ("s", 1))


def sized(size: int) -> str:
    """Write a size in bytes for people: ``1.5 kB``, in powers of 1000."""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    whole = unit == 0 or number >= 10
    return f"{number:.0f} {_UNITS[unit]}" if whole else f"{number:.1f} {_UNITS[unit]}"


def bytes_of(text: str) -> int:
    """Read a size: ``500MB``, ``1.5 G`` (powers of 1000), ``2GiB`` (of 1024), ``1000``.

    Raises :class:`ValueError` where it is none.
    """
    read = _SIZE.fullmatch(text.strip())
    if read is None or (read["binary"] and not read["unit"]):
        raise ValueError(text)
    power = " kmgt".index(read["unit"].lower() or " ")
    unit: int = (1024 if read["binary"] else 1000) ** power
    return round(float(read["number"]) * unit)


def lasting(seconds: float) -> str:
    """Write how long something lasts, or is past, in its largest unit: ``3 days``, ``20 min``."""
    unit, length = next((each for each in _TIMES if seconds >= each[1]), _TIMES[-1])
    number = max(0, int(seconds / length))
    return "1 day" if (number, unit) == (1, "days") else f"{number} {unit}"
