"""What a record's document becomes with more and more updates, and what it would be for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from bench.effort import Effort
from bench.errors import BenchError
from bench.recorded_updates import AT_ONCE, SLIDERS
from bench.report import Result, Target
from bench.workspace import Workspace

COMPACTED, WHOLE = "replaced", "kept for ever"
MILLION = 1_000_000
LOAD_LIMIT_MS = 100.0
"""A person waits for it who opens a notebook; it is not to depend on how long a session was."""
_SECONDS = 1800.0


def record_size(workspace: Workspace, effort: Effort) -> Result:
    """Updates of 100 sliders, as they come from a recorder of its own process."""
    return _sizes(workspace, effort.record_updates)


def record_size_million(workspace: Workspace, effort: Effort) -> Result:
    """The same with a million of them."""
    return _sizes(workspace, (MILLION,))


def _sizes(workspace: Workspace, counts: Sequence[int]) -> Result:
    found = {
        (kind, count): _run(workspace, kind, count)
        for count in counts
        for kind in (COMPACTED, WHOLE)
    }
    rows = [
        (
            f"{count:,} updates, {kind}",
            f"{one['epochs']:.0f}",
            f"{one['files_bytes'] / 1e3:,.0f}",
            f"{one['largest_bytes'] / 1e3:,.0f}",
            f"{one['saved_bytes'] / 1e3:,.0f}",
            f"{one['save_ms']:,.1f}",
            f"{one['load_ms']:,.1f}",
            f"{one['resident_bytes'] / 1e6:,.1f}",
            f"{one['grown_bytes'] / 1e6:,.1f}",
            f"{one['us_each']:,.0f}",
        )
        for (kind, count), one in found.items()
    ]
    most = max(counts)
    return Result(
        title=f"record-size: {SLIDERS} sliders, {AT_ONCE} updates in each interval",
        columns=(
            "document",
            "documents",
            "files, KB",
            "at most",
            "saved anew, KB",
            "ms to save",
            "ms to load",
            "RSS, MB",
            "grown by",
            "CPU, µs an update",
        ),
        rows=rows,
        targets=[
            Target(
                text=f"ms to load a record of {most:,} updates",
                measured=found[COMPACTED, most]["load_ms"],
                limit=LOAD_LIMIT_MS,
            )
        ],
        notes=[
            "times are of CPU: what else the machine had to do does not count; loading is from "
            "the files, with a look at every checksum",
            f"{WHOLE}: the limits past which a document is replaced are raised, all else is the "
            "same",
        ],
        raw={f"{count} {kind}": one for (kind, count), one in found.items()},
    )


def _run(workspace: Workspace, kind: str, count: int) -> dict[str, float]:
    directory = workspace.new_file("record").with_suffix("")
    command = [sys.executable, "-m", "bench.recorded_updates", str(directory), str(count)]
    if kind == WHOLE:
        command.append("--whole")
    ended = subprocess.run(
        command, env=workspace.environment, capture_output=True, text=True, timeout=_SECONDS
    )
    if ended.returncode:
        raise BenchError(f"{count} updates, {kind}: {ended.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found
