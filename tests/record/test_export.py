"""A session as a notebook: its cells in the order in which they ran, and what is missing."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from proxy.record.export import Export, export
from proxy.session import facts
from tests.record import facts as f
from tests.record.recorded import Recorded

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}


def exported(*happened: facts.Fact) -> Export:
    return exported_of(Recorded(*happened))


def exported_of(recorded: Recorded) -> Export:
    made = export(recorded.whole, KERNELSPEC)
    nbformat.validate(nbformat.from_dict(made.notebook))
    return made


def sources(made: Export) -> list[str]:
    return [cell["source"] for cell in made.notebook["cells"]]


def ran(code: str, msg_id: str, at: float, cell_id: str | None = None) -> list[facts.Fact]:
    """A cell from its arrival to its end, with an output."""
    return [
        f.queued(code, msg_id, cell_id=cell_id),
        f.sent(msg_id, at=at),
        f.says("execute_input", msg_id, code=code, execution_count=int(at)),
        f.prints(f"{code}\n", msg_id),
        f.ended(msg_id, at=at + 0.5),
    ]


def test_a_notebook_has_all_that_nbclient_writes() -> None:
    made = exported(f.info(), *ran("1 + 1", "a", at=3.0))
    assert made.notebook == {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": 3,
                "id": made.notebook["cells"][0]["id"],
                "metadata": {
                    "execution": {
                        "iopub.execute_input": "1970-01-01T00:00:03Z",
                        "iopub.status.busy": "1970-01-01T00:00:03Z",
                        "iopub.status.idle": "1970-01-01T00:00:03.500000Z",
                        "shell.execute_reply": "1970-01-01T00:00:03.500000Z",
                    }
                },
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "1 + 1\n"}],
                "source": "1 + 1",
            }
        ],
        "metadata": {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    assert (made.cells, made.missing) == (1, [])


def test_cells_are_in_the_order_in_which_they_ran() -> None:
    """Frontends take turns: what came first may run later. What never ran is not there."""
    made = exported(
        f.queued("waits", "never"),
        *(f.queued("aborted", "gone"), f.ended("gone", "aborted")),
        *ran("second", "b", at=5.0),
        *ran("first", "a", at=4.0),
        *(f.queued("runs", "c"), f.sent("c", at=6.0), f.prints("so far", "c")),
    )
    assert sources(made) == ["first", "second", "runs"]
    runs = made.notebook["cells"][-1]
    assert runs["outputs"][0]["text"] == "so far"
    assert runs["execution_count"] is None
    assert set(runs["metadata"]["execution"]) == {"iopub.status.busy", "iopub.execute_input"}


def test_ids_are_valid_stay_and_the_last_of_a_cell_has_its_own() -> None:
    happened = [
        *ran("one", "a", at=1.0, cell_id="cell-1"),
        *ran("other", "b", at=2.0, cell_id="no id: / 100%"),
        *ran("again", "c", at=3.0, cell_id="cell-1"),
        *ran("same msg_id", "c", at=4.0),
    ]
    ids = [cell["id"] for cell in exported(*happened).notebook["cells"]]
    assert ids[2] == "cell-1"
    assert len(set(ids)) == 4
    assert ids == [cell["id"] for cell in exported(*happened).notebook["cells"]]
    assert ids == [cell["id"] for cell in exported(*happened, f.queued("d", "d")).notebook["cells"]]


def test_what_was_let_go_of_is_said() -> None:
    recorded = Recorded(*ran("kept", "a", at=3.0))
    gone = recorded.folding.record.let_go
    gone.executions, gone.outputs, gone.bytes = 1200, 3000, 12_300_000
    made = exported_of(recorded)
    line = "The first 1,200 cells of this session are not kept any more: 3,000 outputs, 12.3 MB."
    assert made.missing == [line]
    assert sources(made) == [f"*{line}*", "kept"]
    assert made.notebook["metadata"]["kmux"] == {
        "let_go": {"executions": 1200, "outputs": 3000, "bytes": 12_300_000}
    }


def test_times_in_which_nobody_listened_are_said_where_they_were() -> None:
    recorded = Recorded(*ran("before", "a", at=3.0), *ran("after", "b", at=9.0))
    recorded.folding.record.missed = [(5.0, 7.0), (20.0, 21.0)]
    made = exported_of(recorded)
    assert [cell["cell_type"] for cell in made.notebook["cells"]] == [
        *("code", "markdown", "code", "markdown")
    ]
    assert sources(made)[1] == (
        "*From 1970-01-01T00:00:05Z to 1970-01-01T00:00:07Z nobody listened to the kernel: what "
        "it showed then is missing.*"
    )
    assert len(made.missing) == 2
    assert made.notebook["metadata"]["kmux"]["missed"][0]["from"] == "1970-01-01T00:00:05Z"


def test_what_was_let_go_of_in_a_cell_is_said_there() -> None:
    recorded = Recorded(*ran("1", "a", at=3.0))
    (execution,) = recorded.folding.record.executions.values()
    execution.dropped_outputs = 5
    execution.outputs.items[0].dropped_bytes = 1_000_000  # type: ignore[union-attr]
    (cell,) = exported_of(recorded).notebook["cells"]
    assert [o.get("text") or o["data"]["text/plain"] for o in cell["outputs"]] == [
        "[kmux let go of 5 outputs]",
        "[kmux let go of the first 1,000,000 bytes]",
        "1\n",
    ]


def test_what_cannot_be_read_is_counted_and_the_rest_is_there() -> None:
    long = "x" * 500
    recorded = Recorded(
        *ran("code" * 100, "a", at=3.0),
        f.prints(long, "a"),
        f.shows({"text/plain": long + "y", "image/png": "iVBO"}, "a"),
        f.says("error", "a", ename="E", evalue=long, traceback=[long, "t"]),
        f.opens("c", {"_model_name": "M", "value": long}),
    )
    recorded.blobs.store.blobs.clear()
    made = exported_of(recorded)
    (cell,) = made.notebook["cells"]
    lost = "[kmux: lost]"
    assert made.missing == ["6 values cannot be read: their files are damaged or gone."]
    assert (cell["source"], cell["execution_count"]) == (lost, 3)
    printed, shown, error = cell["outputs"]
    assert printed["text"] == lost
    assert shown["data"] == {"text/plain": lost, "image/png": ""}
    assert (error["evalue"], error["traceback"]) == (lost, [])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"text/plain": 5}, "5"),
        ({"text/plain": ["a", "b"]}, ["a", "b"]),
        ({"image/png": {"odd": None}}, '{"odd": null}'),
        ({"application/vnd.x+json": "text"}, "text"),
        ({"application/json": 1.5}, 1.5),
    ],
)
def test_what_a_kernel_may_send_becomes_valid(data: dict[str, Any], wanted: Any) -> None:
    shown = f.says("display_data", "a", data=data, metadata=None)
    (cell,) = exported(*ran("1", "a", at=3.0), shown).notebook["cells"]
    assert list(cell["outputs"][1]["data"].values()) == [wanted]
    assert cell["outputs"][1]["metadata"] == {}


def test_widgets_are_among_the_metadata() -> None:
    made = exported(f.opens("c", {"_model_name": "M"}), *ran("c", "a", at=3.0))
    (kind,) = made.notebook["metadata"]["widgets"]
    assert kind == "application/vnd.jupyter.widget-state+json"
    assert list(made.notebook["metadata"]["widgets"][kind]["state"]) == ["c"]


def test_a_session_in_which_nothing_ran_is_a_notebook_too() -> None:
    assert exported().notebook["cells"] == []
