"""What is written, compared with docs/record.md, and opened in JavaScript."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

from proxy.record import archive, epochs
from proxy.record.files import RecordFiles
from proxy.record.recorder import Recorder
from proxy.record.state import SessionRecord, Stream
from proxy.session import facts
from tests.messages import as_json
from tests.record import facts as f
from tests.record.repo_peer import install

DOCS = Path(__file__).parents[2] / "docs" / "record.md"
FREE = {"clients", "comms", "comms.*.state", "executions[].outputs[].data"}
"""Maps whose keys are not the schema's."""
BLOB = {"blob", "size", "media_type", "encoding"}
IN_WORDS = {"comms.*.buffers[]{}", "executions[].code{}"}
"""What the page says in words: what else may be a blob."""


def shape(tree: Any, path: str = "") -> set[str]:
    """All paths in a tree; ``{}`` is a blob or JSON in place of a text."""
    if isinstance(tree, dict):
        if tree.keys() in (BLOB, {"json"}):
            return {f"{path}{{}}"}
        names = {key: "*" if path in FREE else key for key in tree}
        inner = [shape(tree[key], f"{path}.{name}".lstrip(".")) for key, name in names.items()]
        return {path, *(each for paths in inner for each in paths)}
    if isinstance(tree, list):
        return {path, *(each for item in tree for each in shape(item, f"{path}[]"))}
    return {path}


def examples() -> list[Any]:
    blocks = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record that has one of each, and has been written a while."""
    directory = tmp_path_factory.mktemp("record") / "r"
    trio.run(_write_everything, directory)
    return directory


async def _write_everything(directory: Path) -> None:
    files = RecordFiles(directory)
    files.load()
    recorder = Recorder(SessionRecord("name", "python3", started=1.5), files)
    present = facts.Present(
        execution_state="busy",
        clients={f.ALICE: 1.0, f.BOB: 2.0},
        queue=((f.ALICE, f.queued("1", "next").message.msg_id),),
        holders={"widget": (f.ALICE,)},
    )
    recorder.present = lambda: present
    recorder.record.missed.append((1.0, 2.0))
    recorder.take([facts.KernelBegan(at=1.0, found=False), f.info()])
    for number in range(archive.LIVE_EXECUTIONS + archive.MIN_PAGE):
        recorder.take([f.queued("'grün 🎉'", f"m{number}"), f.sent(f"m{number}")])
        recorder.take([f.prints("line\n", f"m{number}"), f.ended(f"m{number}")])
    await recorder.flush()  # the first document
    recorder.take([f.queued("x" * 10_000, "a"), f.sent("a"), f.prints("10 %\r", "a")])
    recorder.take([f.says("execute_input", "a", code="x", execution_count=3)])
    recorder.take([f.shows({"text/plain": "a", "image/png": "AAAA", "application/json": [1]}, "a")])
    recorder.take([f.shows({"text/html": "<b>é</b>"}, "a", "display")])
    recorder.take([f.says("execute_result", "a", data={"text/plain": "2"}, execution_count=3)])
    recorder.take([f.says("error", "a", ename="E", evalue="no", traceback=["a", "b"])])
    recorder.take([f.opens("widget", {"value": 1, "image": None}, opener=f.ALICE)])
    recorder.take([f.changes("widget", {"value": 2}, [["image"]], (b"\x00\xff" * 100,))])
    recorder.take([f.opens("other", None, target="mine", buffers=(b"\x00", b""))])
    await recorder.flush()  # into the log
    recorder.take([f.prints("20 %\r", "a"), f.closes("other")])
    (execution,) = [e for e in recorder.record.executions.values() if e.msg_id == "a"]
    stream = execution.outputs.items[0]
    assert isinstance(stream, Stream)
    stream.dropped_bytes = 5  # as what was bounded has
    recorder._must_begin = True
    await recorder.flush()
    recorder.take([f.prints("and on\n", "a"), f.changes("widget", {"value": 3})])
    await recorder.flush()
    files.close()


def test_what_is_written_is_what_is_described(directory: Path) -> None:
    loaded = epochs.read(directory)
    assert loaded.root is not None
    assert loaded.document is not None
    root, document = examples()
    assert shape(loaded.root.read()) == shape(root)
    written, described = shape(loaded.document.read()), shape(document)
    assert written - described == IN_WORDS
    assert described - written == set()
    text = DOCS.read_text()
    tree: Any = loaded.document.read()
    assert tree["schema"] == document["schema"]
    assert f"`{tree['schema']}`" in text


def test_a_page_of_the_archive_has_the_same_shape(directory: Path) -> None:
    document = epochs.read(directory).document
    assert document is not None
    tree: Any = document.read()
    (named,) = tree["archive"]
    (file,) = (directory / "blobs").glob(f"??/{named['blob']}*")
    page = as_json(file.read_bytes())
    assert page.keys() == {"schema", "executions", "comms"}
    assert page["schema"] == tree["schema"]
    cell = next(c for c in tree["executions"] if c["msg_id"] == f"m{archive.LIVE_EXECUTIONS}")
    assert page["executions"][0].keys() == cell.keys()
    assert page["executions"][0]["code"] == "'grün 🎉'"


@pytest.mark.timeout(300)  # packages are installed the first time
def test_javascript_opens_it_and_finds_the_same(directory: Path) -> None:
    packages = install()
    loaded = epochs.read(directory)
    snapshot = epochs.snapshot_path(directory, loaded.epoch)
    log = epochs.log_path(directory, loaded.epoch)
    assert log.stat().st_size > 0
    for files, document in (
        ([snapshot, log], loaded.document),
        ([directory / epochs.ROOT], loaded.root),
    ):
        read = subprocess.run(
            ["node", "read.mjs", *map(str, files)], cwd=packages, capture_output=True, timeout=60
        )
        assert read.returncode == 0, read.stderr
        assert document is not None
        assert json.loads(read.stdout) == document.read()
