"""A recorder alone, that is told of widget updates: what its document is like afterwards.

``python -m bench.recorded_updates DIRECTORY COUNT [--whole]`` prints one line of JSON. With
``--whole`` no document takes the place of the first one.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import trio

from bench.messages import CONTENT, HEADER, Author
from proxy import memory
from proxy.message import Header, Message, MsgId
from proxy.record import epochs, recorder
from proxy.record.files import RecordFiles
from proxy.record.recorder import Recorder
from proxy.record.state import SessionRecord
from proxy.session import comms, facts

SLIDERS = 100
AT_ONCE = 10
"""Updates in one interval: 200 a second."""
_REPEATS = 3
_STATE = {
    "_model_module": "@jupyter-widgets/controls",
    "_model_module_version": "2.0.0",
    "_model_name": "IntSliderModel",
    "_view_name": "IntSliderView",
    "continuous_update": True,
    "description": "",
    "layout": "IPY_MODEL_0123456789abcdef0123456789abcdef",
    "max": 10**9,
    "min": 0,
    "step": 1,
    "style": "IPY_MODEL_0123456789abcdef0123456789abcdef",
    "value": 0,
}


async def _record(directory: Path, count: int) -> dict[str, float]:
    """Record so many updates. Returns what that cost."""
    files = RecordFiles(directory)
    files.load()
    kept = Recorder(SessionRecord("bench", "python3"), files)
    kept.take([facts.KernelBegan(at=0.0, found=False), *map(_opened, range(SLIDERS))])
    await kept.flush()
    gc.collect()
    before, begun = memory.resident_bytes(), time.process_time()
    largest = 0
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        kept.take([_moved(number % SLIDERS, number + 1) for number in numbers])
        await kept.flush()
        largest = max(largest, files.log_bytes)
    used = time.process_time() - begun
    resident = memory.resident_bytes()
    files.close()
    return {
        "us_each": used / count * 1e6,
        "epochs": files.epoch,
        "largest_bytes": largest,
        "resident_bytes": resident,
        "grown_bytes": resident - before,
    }


def _opened_again(directory: Path, count: int) -> dict[str, float]:
    """Read what is on the disk, and check it. Returns what that costs."""
    saves, loads = [], []
    for _ in range(_REPEATS):
        begun = time.process_time()
        document = epochs.read(directory).document
        loads.append(time.process_time() - begun)
        assert document is not None
        begun = time.process_time()
        saved = document.save()
        saves.append(time.process_time() - begun)
    _check(document.read()["comms"], count)
    return {
        "files_bytes": sum(path.stat().st_size for path in directory.glob("epoch-*")),
        "saved_bytes": len(saved),
        "save_ms": median(saves) * 1e3,
        "load_ms": median(loads) * 1e3,
    }


def _opened(number: int) -> facts.CommOpened:
    comm_id = f"{number:032x}"
    content = {"comm_id": comm_id, "target_name": comms.WIDGET_TARGET, "data": {"state": _STATE}}
    frames = Author("key").message("comm_open", content)
    header = Header(MsgId(f"open-{number}"), "comm_open")
    opened = Message(header, None, frames[HEADER], b"{}", b"{}", frames[CONTENT])
    read = comms.read(opened)
    assert read is not None
    return facts.CommOpened(
        at=0.0,
        comm_id=comm_id,
        target_name=comms.WIDGET_TARGET,
        opener=None,
        message=opened,
        fields=read.fields,
    )


def _moved(number: int, value: int) -> facts.CommChanged:
    fields = comms.fields_of({"value": msgspec.Raw(b"%d" % value)}, ())
    return facts.CommChanged(at=0.0, comm_id=f"{number:032x}", fields=fields)


def _check(written: Any, count: int) -> None:
    values = {int(comm["state"]["value"]) for comm in written.values() if comm["state"]}
    if values != set(range(count, max(0, count - SLIDERS), -1)):
        raise SystemExit("the document has other values than were told")


def main() -> None:
    directory, count = Path(sys.argv[1]), int(sys.argv[2])
    if "--whole" in sys.argv:
        for limit in ("MAX_CHANGES", "MAX_OPERATIONS", "MAX_BYTES"):
            vars(recorder)[limit] = sys.maxsize
    recorded = trio.run(_record, directory, count)
    print(json.dumps(recorded | _opened_again(directory, count)))


if __name__ == "__main__":
    main()
