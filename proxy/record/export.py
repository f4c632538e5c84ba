"""A session as a notebook: its cells in the order in which they ran (nbformat 4.5).

The reference of what outputs look like is what nbclient writes. Beyond that a notebook says what is
missing from it, in cells of its own where that was: what was let go of by policy, and times in
which nobody listened to the kernel.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from proxy.record.loading import WholeRecord
from proxy.record.notebook import Fetch, as_notebook_outputs, plain
from proxy.record.state import Execution, SessionRecord, Stream
from proxy.record.trees import time_text
from proxy.record.widget_state import widget_state

_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Export:
    """A notebook in memory, as JSON has it."""

    notebook: dict[str, Any]
    cells: int
    """How many of its cells ran."""
    missing: list[str]
    """What is missing from it: a line each, for a person."""


def export(whole: WholeRecord, kernelspec: dict[str, Any]) -> Export:
    """Make a notebook of a session. ``kernelspec`` is what its metadata says of the kernel."""
    record = whole.record
    ran = ran_in_order(record)
    ids = cell_ids(ran)
    gaps = sorted(record.missed)
    cells: list[dict[str, Any]] = []
    for execution in ran:
        while gaps and execution.started is not None and gaps[0][0] <= execution.started:
            cells.append(_note(gap_line(*gaps.pop(0)), f"kmux-missed-{len(gaps)}"))
        cells.append(_cell(execution, ids[id(execution)], whole.fetch))
    cells += [_note(gap_line(*gap), f"kmux-missed-end-{n}") for n, gap in enumerate(gaps)]
    if line := let_go_line(record):
        cells.insert(0, _note(line, "kmux-let-go"))
    info = plain(record.kernel.info, whole.fetch) if record.kernel.info is not None else None
    metadata: dict[str, Any] = {"kernelspec": kernelspec}
    if isinstance(info, dict) and isinstance(info.get("language_info"), dict):
        metadata["language_info"] = info["language_info"]
    if widgets := widget_state(record.comms.values()):
        metadata["widgets"] = widgets
    if missing := _missing(record):
        metadata["kmux"] = missing
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return Export(notebook, len(ran), missing_lines(whole))


def ran_in_order(record: SessionRecord) -> list[Execution]:
    """Return the cells that the kernel began, in that order."""
    ran = [e for e in record.executions.values() if e.started is not None and e.end != "aborted"]
    return sorted(ran, key=lambda execution: execution.started or 0.0)


def outputs_of(execution: Execution, fetch: Fetch) -> list[dict[str, Any]]:
    """Return a cell's outputs as a valid notebook has them, and what was let go of among them."""
    listed: list[dict[str, Any]] = []
    if execution.dropped_outputs:
        listed.append(_said(f"[kmux let go of {execution.dropped_outputs:,} outputs]"))
    for output in execution.outputs.items:
        if isinstance(output, Stream) and output.dropped_bytes:
            listed.append(_said(f"[kmux let go of the first {output.dropped_bytes:,} bytes]"))
        listed += (_valid(each) for each in as_notebook_outputs([output], fetch))
    return listed


def timing(execution: Execution) -> dict[str, str]:
    """Return when a cell ran, as JupyterLab and nbclient write it down."""
    begun, over = time_text(execution.started), time_text(execution.completed)
    timed = {} if begun is None else {"iopub.status.busy": begun, "iopub.execute_input": begun}
    return (
        timed if over is None else {**timed, "iopub.status.idle": over, "shell.execute_reply": over}
    )


def missing_lines(whole: WholeRecord) -> list[str]:
    """Say in a line each what is missing from a record."""
    record = whole.record
    lines = [let_go_line(record), *(gap_line(*gap) for gap in record.missed)]
    if whole.lost:
        lines.append(f"{len(whole.lost)} values cannot be read: their files are damaged or gone.")
    if whole.is_behind:
        lines.append("The session cannot write down all that it knows: the latest is missing.")
    return [line for line in lines if line]


def let_go_line(record: SessionRecord) -> str:
    """Say what was let go of by policy; empty where nothing was."""
    gone = record.let_go
    if not gone.executions:
        return ""
    size = gone.bytes / 1e6
    return (
        f"The first {gone.executions:,} cells of this session are not kept any more: "
        f"{gone.outputs:,} outputs, {size:,.1f} MB."
    )


def gap_line(begun: float, over: float) -> str:
    """Say that nobody listened for a while."""
    return (
        f"From {time_text(begun)} to {time_text(over)} nobody listened to the kernel: what it "
        "showed then is missing."
    )


def _missing(record: SessionRecord) -> dict[str, Any]:
    """What is missing, for programs."""
    gone = record.let_go
    found: dict[str, Any] = {}
    if gone.executions:
        found["let_go"] = {
            "executions": gone.executions,
            "outputs": gone.outputs,
            "bytes": gone.bytes,
        }
    if record.missed:
        found["missed"] = [
            {"from": time_text(begun), "to": time_text(over)} for begun, over in record.missed
        ]
    return found


def _cell(execution: Execution, cell_id: str, fetch: Fetch) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": execution.execution_count,
        "id": cell_id,
        "metadata": {"execution": timing(execution)},
        "outputs": outputs_of(execution, fetch),
        "source": plain(execution.code, fetch),
    }


def _note(line: str, cell_id: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": f"*{line}*"}


def _said(line: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/plain": line}, "metadata": {}}


def cell_ids(ran: list[Execution]) -> dict[int, str]:
    """Give each cell an id that stays: the last one that has a frontend's id keeps it."""
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for execution in reversed(ran):
        cell_id = execution.cell_id or ""
        number = 0
        while cell_id in taken or not _CELL_ID.fullmatch(cell_id):
            digest = hashlib.sha256(f"{execution.msg_id}/{number}".encode("utf-8", "replace"))
            cell_id = digest.hexdigest()[:_ID_DIGITS]
            number += 1
        taken.add(cell_id)
        ids[id(execution)] = cell_id
    return ids


def _valid(output: dict[str, Any]) -> dict[str, Any]:
    """Make of what a kernel may send what a notebook may have."""
    if output["output_type"] == "error" and not isinstance(output["traceback"], list):
        output["traceback"] = []
    if "data" in output:
        output["data"] = {key: _bundled(key, value) for key, value in output["data"].items()}
        if not isinstance(output["metadata"], dict):
            output["metadata"] = {}
    return output


def _bundled(media_type: str, value: Any) -> Any:
    """A mime bundle has text, unless the type is JSON."""
    if isinstance(value, str) or re.fullmatch(r"application/(.*\+)?json", media_type):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return value
    return json.dumps(value)
