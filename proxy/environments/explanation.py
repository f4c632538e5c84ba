"""A detection in words: ``kmux env explain``."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.environments import conda_needs, consent, deno_permissions
from proxy.environments.detection import PREWARMED, Detection, Rule
from proxy.environments.uv_environments import FOR_KERNEL

_KERNELS = {"python": "Python", "deno": "Deno"}


def lines(
    detection: Detection, channels: tuple[str, ...], prewarmed: tuple[str, ...] = FOR_KERNEL
) -> Iterator[str]:
    """Say what was found, rule by rule, and what is going to be installed.

    ``channels`` are conda's, for who names none, and ``prewarmed`` what is in the environment of
    who asks for nothing. Raises :class:`ConfigError` where what a file asks for cannot be meant.
    """
    kernel = detection.kernelspec or _KERNELS[detection.runtime]
    yield f"kernel: {kernel}"
    yield from _rules(detection.runtime_rules)
    yield f"environment: {detection.source}"
    yield from _rules(detection.environment_rules)
    for each in detection.passed:
        yield f"  -   {each.path}: {each.why}"
    taken_away = deno_permissions.revoked(detection.deno_permissions)
    if taken_away:
        yield f"its code may not: {', '.join(taken_away)}"
    wanted = list(to_install(detection, channels, prewarmed))
    if wanted:
        is_ready = detection.source in PREWARMED
        yield "it has:" if is_ready else "to be installed:"
        yield from (f"  {line}" for line in wanted)


def _rules(rules: tuple[Rule, ...]) -> Iterator[str]:
    for rule in rules:
        yield f"  {'yes' if rule.matched else 'no ':3} {rule.name}: {rule.why}"


def to_install(
    detection: Detection, channels: tuple[str, ...], prewarmed: tuple[str, ...] = FOR_KERNEL
) -> Iterator[str]:
    """Say what the environment is made of, a line each. Arguments and errors as above."""
    source = detection.source
    if source in ("deno", "kernelspec"):
        return
    if source in PREWARMED:
        yield from prewarmed
        return
    if source == "uv:pyproject":
        assert detection.project is not None
        yield f"what {detection.project.path} and its lock say (uv sync)"
    elif detection.is_from_notebook:
        yield from consent.listed(detection)
        if source == "conda:inline" and not detection.channels:
            yield from (f"channel {each}" for each in channels)
    else:
        need = conda_needs.need_of(detection, channels)
        yield from conda_needs.lines(need)
        yield f"channels: {', '.join(need.channels)}"
        if need.lock is not None:
            yield f"in the versions of {need.lock}"
    yield f"{', '.join(FOR_KERNEL)} (what a kernel needs)"
