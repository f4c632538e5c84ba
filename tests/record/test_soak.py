"""A session that runs for months: memory, files and times stay what they are (``make soak``)."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from statistics import median

import psutil
import pytest
import trio

from proxy.record import epochs
from proxy.record.loading import load
from proxy.record.state import Stream
from tests.record import facts as f
from tests.record.test_recorder import new_recorder

MILLION = 1_000_000
PER_FLUSH = 250
SAMPLES = 10


def measured(directory: Path) -> dict[str, float]:
    """What it costs by now."""
    gc.collect()
    files = sum(p.stat().st_size for p in directory.glob("epoch-*"))
    begun = time.perf_counter()
    document = epochs.read(directory).document
    assert document is not None
    loading = time.perf_counter() - begun
    begun = time.perf_counter()
    document.save()
    return {
        "rss": float(psutil.Process().memory_info().rss),
        "files": float(files),
        "load": loading,
        "save": time.perf_counter() - begun,
    }


@pytest.mark.soak
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("what", ["widget updates", "stream lines"])
async def test_a_million(what: str, tmp_path: Path) -> None:
    directory = tmp_path / "r"
    recorder = new_recorder(directory)
    recorder.take([f.queued("1", "a"), f.sent("a")])
    recorder.take([f.opens(f"c{n}", {"value": 0, "more": "x" * 200}) for n in range(200)])
    samples = []
    begun = time.process_time()
    for start in range(0, MILLION, PER_FLUSH):
        numbers = range(start, start + PER_FLUSH)
        if what == "widget updates":
            recorder.take([f.changes(f"c{n % 200}", {"value": n}) for n in numbers])
        else:
            recorder.take([f.prints(f"this is line {n}\n", "a") for n in numbers])
        await recorder.flush()
        await trio.lowlevel.checkpoint()
        if (start + PER_FLUSH) % (MILLION // SAMPLES) == 0:
            samples.append(measured(directory))
    took = time.process_time() - begun
    print(f"\n{what}: {took:.0f} s of CPU, {took / MILLION * 1e6:.1f} µs each, facts included")
    for sample in samples:
        print({name: round(value, 4) for name, value in sample.items()})
    half = SAMPLES // 2
    for name, bound in (("rss", 1.1), ("files", 3.0), ("load", 3.0), ("save", 3.0)):
        early = median(sample[name] for sample in samples[:half])
        late = median(sample[name] for sample in samples[half:])
        assert late <= bound * early, (name, samples)
    whole = load(directory)
    if what == "widget updates":
        values = {int(bytes(c.fields["value"].value or b"")) for c in whole.record.comms.values()}  # type: ignore[index]
        assert values == set(range(MILLION - 200, MILLION))
    else:
        (execution,) = whole.record.executions.values()
        (stream,) = execution.outputs.items
        assert isinstance(stream, Stream)
        pieces = [c.encode() if isinstance(c, str) else whole.fetch(c) for c in stream.chunks]
        lines = b"".join(pieces).decode().splitlines()
        assert lines == [f"this is line {n}" for n in range(MILLION)]
