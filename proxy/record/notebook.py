"""Notebooks made of a record (nbformat 4.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from proxy.record.state import Error, Output, Stream
from proxy.record.values import Json, Large, Value, restored

Fetch = Callable[[Large], bytes]
"""Returns a large value's bytes."""


def in_memory(large: Large) -> bytes:
    """Return the bytes of a value that is not in the blob store yet."""
    assert large.part is not None
    return bytes(large.part)


def plain(value: Value | list[str], fetch: Fetch = in_memory) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Large):
        value = restored(fetch(value), value.encoding)
    return json.loads(value.text) if isinstance(value, Json) else value


def as_notebook_outputs(items: Sequence[Output], fetch: Fetch = in_memory) -> list[dict[str, Any]]:
    """Return outputs in nbformat's form."""
    listed: list[dict[str, Any]] = []
    for output in items:
        if isinstance(output, Stream):
            text = "".join([*(plain(chunk, fetch) for chunk in output.chunks), *output.pending])
            listed.append({"output_type": "stream", "name": output.name, "text": text})
        elif isinstance(output, Error):
            listed.append(
                {
                    "output_type": "error",
                    "ename": output.ename,
                    "evalue": plain(output.evalue, fetch),
                    "traceback": plain(output.traceback, fetch),
                }
            )
        else:
            shown = {
                "output_type": output.output_type,
                "data": {key: plain(value, fetch) for key, value in output.data.items()},
                "metadata": plain(output.metadata, fetch),
            }
            if output.output_type == "execute_result":
                shown["execution_count"] = output.execution_count
            listed.append(shown)
    return listed
