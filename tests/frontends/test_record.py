"""What a session remembers: on the disk, while it goes on, and when kmux comes again."""

from __future__ import annotations

import signal
import statistics
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.daemon import registry
from proxy.record.loading import WholeRecord
from proxy.record.state import Display, Error, Execution, Stream
from proxy.record.values import Large
from tests.frontends.kmux_process import Client, Kmux, Workplace, until
from tests.frontends.test_widgets import ask_for_states
from tests.frontends.widgets import comparable

pytestmark = pytest.mark.timeout(180)

MODELS = """
import ipywidgets, time
slider = ipywidgets.IntSlider(3)
image = ipywidgets.Image(value=bytes(range(256)) * 100, format="png")
slider.value = 77
"""


def flushed(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, name: str) -> WholeRecord:
    """What is on the disk once the session has written down all that it knows."""
    monkeypatch.setenv("KMUX_RUNTIME_DIR", workplace.environment["KMUX_RUNTIME_DIR"])
    assert registry.holder(name).flush(name)
    return workplace.record(name)


def text(whole: WholeRecord, execution: Execution) -> str:
    (stream,) = [o for o in execution.outputs.items if isinstance(o, Stream)]
    pieces = [c if isinstance(c, str) else whole.fetch(c).decode() for c in stream.chunks]
    return "".join(pieces)


def test_cells_outputs_and_widgets_are_on_the_disk(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workplace.run("--name", "kept") as kmux:
        client = kmux.client()
        client.run("print('hello'); 1 + 1")
        client.run(MODELS)
        failed = client.finish(client.execute("1/0"))
        client.finish(client.execute("'nobody sees it'", silent=True))
        whole = flushed(workplace, monkeypatch, "kept")
        record = whole.record
        cells = list(record.executions.values())
        assert [cell.code for cell in cells] == ["print('hello'); 1 + 1", MODELS, "1/0"]
        assert [cell.end for cell in cells] == ["ok", "ok", "error"]
        assert [cell.execution_count for cell in cells] == [1, 2, 3]
        assert all(cell.session == client.session.session for cell in cells)
        assert all(c.queued <= c.started <= c.completed for c in cells)  # type: ignore[operator]
        assert text(whole, cells[0]) == "hello\n"
        result, error = cells[0].outputs.items[1], cells[2].outputs.items[0]
        assert isinstance(result, Display)
        assert (result.data, result.execution_count) == ({"text/plain": "2"}, 1)
        assert isinstance(error, Error)
        assert error.traceback == failed["traceback"]
        assert (record.language, record.kernel.number) == ("python", 1)
        assert [client[-1].decode() for client in record.clients] == [client.session.session]
        states = {
            str(comm.fields["value"].value, "utf-8") if "value" in comm.fields else ""
            for comm in record.comms.values()
            if comm.fields is not None and comm.fields.get("value", None) is not None
            if comm.fields["value"].value is not None
        }
        assert states == {"77"}
        (image,) = [b for c in record.comms.values() for _, bs in c.values.values() for _, b in bs]
        assert whole.fetch(image) == bytes(range(256)) * 100


def test_a_record_begins_anew_and_the_one_before_is_kept(workplace: Workplace) -> None:
    for code in ("'first'", "'second'"):
        with workplace.run("--name", "again") as kmux:
            kmux.client().run(code)
    for name, code in (("again~1", "'first'"), ("again", "'second'")):
        (cell,) = workplace.record(name).record.executions.values()
        assert cell.code == code


def test_without_a_record_nothing_is_written(workplace: Workplace) -> None:
    with workplace.run("--name", "none", "--no-record") as kmux:
        kmux.client().run("1")
    assert not (workplace.root / "data").exists()


def test_where_nothing_can_be_written_the_session_runs(workplace: Workplace) -> None:
    (workplace.root / "file").write_text("no directory")
    data = str(workplace.root / "file" / "data")
    with workplace.run("--name", "none", KMUX_DATA_DIR=data) as kmux:
        assert kmux.client().run("1 + 1")
        (event,) = until(lambda: kmux.events("record.refused"), "it says why")
        assert "set KMUX_DATA_DIR" in event["why"]
    assert "Traceback" not in kmux.log()


def printed(whole: WholeRecord) -> list[str]:
    """What the cells have printed that printed something."""
    return [text(whole, e) for e in whole.record.executions.values() if e.outputs.items]


def kill(kmux: Kmux) -> None:
    kmux.process.send_signal(signal.SIGKILL)
    kmux.process.wait(10)


@pytest.mark.alone
def test_a_kmux_that_was_killed_goes_on_where_it_was(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel is somebody else's, and runs a cell all the time."""
    goes_on = tmp_path / "goes on"
    with workplace.kernel() as (file, owner):
        owner.run(MODELS)
        with workplace.run("--existing", str(file), "--name", "found") as kmux:
            alice = kmux.client()
            alice.run("print('before')")
            states, _ = ask_for_states(alice)
            code = f"""
import os
print('begun', flush=True)
while not os.path.exists({str(goes_on)!r}): time.sleep(0.01)
print('over')
"""
            cell = alice.execute(code)
            assert alice.hear_stream(cell) == "begun\n"
            until(
                lambda: printed(workplace.record("found")) == ["before\n", "begun\n"], "it is kept"
            )
            url = (workplace.root / "data/records/found/root.automerge").read_bytes()
            kill(kmux)
        with workplace.run("--existing", str(file), "--name", "found") as kmux:
            bob = kmux.client()
            again, _ = ask_for_states(bob)
            assert comparable(again) == comparable(states)
            assert kmux.ps()["status"] == "busy"
            goes_on.touch()
            bob.reply(bob.kernel_info())
            bob.run("print('after')")
            whole = flushed(workplace, monkeypatch, "found")
            first, second, third = whole.record.executions.values()
            assert [e.state for e in (first, second, third)] == ["complete"] * 3
            assert (text(whole, first), text(whole, third)) == ("before\n", "after\n")
            assert text(whole, second) == "begun\nover\n"
            ((left, came),) = whole.record.missed
            assert 0 < came - left < 60
            assert whole.record.kernel.number == 1
            here = (workplace.root / "data/records/found/root.automerge").read_bytes()
            assert len(here) >= len(url)


WINDOWS = 8
WINDOW_SECONDS = 0.1
LARGE = {
    "1 MB of JSON": "Comm(target_name='large', data={{'text': chr(97 + {n}) * 1_000_000}})",
    "50 MB of buffers": "Comm(target_name='large', buffers=[bytes([{n}]) * 50_000_000])",
}


@dataclass
class Window:
    """Round trips one after the other, and what kmux's main thread computed meanwhile."""

    seconds: list[float]
    cpu: float

    @classmethod
    def of(cls, client: Client, kmux: Kmux, recorded: Future[bool] | None = None) -> Window:
        """Ask kernel_info again and again, which kmux answers itself."""
        before, seconds = main_thread_seconds(kmux), []
        end = time.perf_counter() + WINDOW_SECONDS
        while time.perf_counter() < end or (recorded is not None and not recorded.done()):
            begun = time.perf_counter()
            client.reply(client.kernel_info())
            seconds.append(time.perf_counter() - begun)
        return cls(seconds, main_thread_seconds(kmux) - before)


def main_thread_seconds(kmux: Kmux) -> float:
    """How long kmux's main thread was on a processor so far: no other load changes that."""
    pid = kmux.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def record_large(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, opens: str
) -> tuple[list[Window], list[Window]]:
    """Have large comms recorded, one after the other. Returns what another frontend found when
    nothing happened, and while each was recorded."""
    quiet, busy = [], []
    monkeypatch.setenv("KMUX_RUNTIME_DIR", workplace.environment["KMUX_RUNTIME_DIR"])
    with workplace.run("--name", "large") as kmux, ThreadPoolExecutor(1) as beside:
        alice, bob = kmux.client(), kmux.client()
        alice.run("from ipykernel.comm import Comm")
        for number in range(WINDOWS):
            quiet.append(Window.of(bob, kmux))
            cell = alice.execute(f"comm = {opens.format(n=number)}")
            alice.hear(lambda m: m["msg_type"] == "comm_open", "the comm is open")
            recorded = beside.submit(registry.holder("large").flush, "large")
            busy.append(Window.of(bob, kmux, recorded))
            assert recorded.result()
            alice.finish(cell)
    comms = workplace.record("large").record.comms.values()
    large = {v.sha256 for c in comms for v in (*c.buffers, c.content) if isinstance(v, Large)}
    assert len(large) == WINDOWS
    return quiet, busy


@pytest.mark.alone
@pytest.mark.parametrize("opens", LARGE.values(), ids=LARGE)
def test_what_is_large_is_recorded_without_anybody_noticing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    """Nobody waits for it: neither often, nor once for long.

    Who waits once has one round trip of hundreds, which no median shows, and which on a machine
    with other things to do may take as long for their sake. So what kmux's main thread computes is
    looked at too: 50 MB take it 150 ms to hash.
    """
    quiet, busy = record_large(workplace, monkeypatch, opens)
    pairs = zip(quiet, busy, strict=True)
    ratios = [statistics.median(b.seconds) / statistics.median(q.seconds) for q, b in pairs]
    assert statistics.median(ratios) <= 2, ratios
    each = statistics.median(window.cpu / len(window.seconds) for window in quiet)
    for_it = [window.cpu - each * len(window.seconds) for window in busy]
    assert statistics.median(for_it) < 0.03, for_it
