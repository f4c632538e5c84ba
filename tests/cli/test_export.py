"""``kmux export``, as a user sees it: a notebook of a session, and a notebook that gets back what
was printed while the browser was closed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from proxy.cli.export import command
from proxy.daemon import recorded
from proxy.errors import ConfigError
from proxy.record.loading import WholeRecord
from tests.frontends.kmux_process import Client, Workplace, until
from tests.record.recorded import Recorded
from tests.record.test_export import ran

pytestmark = pytest.mark.timeout(180)

WIDGET = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider.value = 77\nslider"


def run_cell(client: Client, cell_id: str, code: str) -> str:
    """Send a cell as JupyterLab does."""
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    return client.send("shell", "execute_request", content, metadata={"cellId": cell_id})


def notebook(*cells: tuple[str, str]) -> dict[str, Any]:
    made = [
        nbformat.v4.new_code_cell(code, id=cell_id, metadata={"tags": [cell_id]})
        for cell_id, code in cells
    ]
    text = nbformat.v4.new_markdown_cell("# a title\nand text", id="text")
    tree: dict[str, Any] = nbformat.v4.new_notebook(cells=[text, *made], metadata={"mine": [1.5]})
    return tree


def test_a_session_becomes_a_notebook_while_it_runs_and_when_it_is_over(
    workplace: Workplace,
) -> None:
    path = workplace.root / "out.ipynb"
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        client.run("print('one')\nprint('two'); 1 + 1")
        client.run(WIDGET)
        client.finish(client.execute("1/0"))
        written = workplace.kmux("export", "shared", "-o", str(path))
        assert (written.returncode, written.stdout) == (0, "")
        assert written.stderr == f"{path}: 3 cells\n"
        first = path.read_bytes()
        refused = workplace.kmux("export", "shared", "-o", str(path))
        assert refused.returncode == 2
        assert refused.stderr == (
            f"kmux: {path} is there already; --force replaces it, -o names another\n"
        )
        client.run("'more'")
        assert workplace.kmux("export", "shared", "-o", str(path), "--force").returncode == 0
    whole = path.read_text()
    after = workplace.kmux("export", "shared", "-o", "-")
    assert (after.returncode, after.stdout) == (0, whole), "and when it is over"
    made = nbformat.reads(whole, as_version=4)
    nbformat.validate(made)
    assert [cell.execution_count for cell in made.cells] == [1, 2, 3, 4]
    assert made.cells[0].outputs[0].text == "one\ntwo\n"
    assert made.cells[2].outputs[0].ename == "ZeroDivisionError"
    assert made.metadata.kernelspec == {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    assert made.metadata.language_info.name == "python"
    assert json.loads(whole)["cells"][:3] == json.loads(first)["cells"]


def test_nbconvert_shows_the_widgets(workplace: Workplace) -> None:
    with workplace.run("--name", "shared") as kmux:
        kmux.client().run(WIDGET)
        made = nbformat.reads(workplace.kmux("export", "shared", "-o", "-").stdout, as_version=4)
    page, _ = HTMLExporter().from_notebook_node(made)
    assert '<script type="application/vnd.jupyter.widget-state+json">' in page
    assert '<script type="application/vnd.jupyter.widget-view+json">' in page
    view = made.cells[0].outputs[0].data["application/vnd.jupyter.widget-view+json"]
    state = made.metadata.widgets["application/vnd.jupyter.widget-state+json"].state
    assert state[view.model_id].state["value"] == 77
    assert page.count(view.model_id) >= 2


def test_what_was_printed_while_the_browser_was_closed_gets_into_the_file(
    workplace: Workplace, tmp_path: Path
) -> None:
    goes_on = tmp_path / "goes on"
    code = f"import os, time\nprint('begun')\nwhile not os.path.exists({str(goes_on)!r}): pass"
    code += "\nfor n in range(12_000): print(n, '\\t\\x1b[31mred\\x1b[0m  ')"
    path = workplace.root / "mine.ipynb"
    nbformat.write(notebook(("one", code), ("two", WIDGET), ("three", "never run")), path)
    before = json.loads(path.read_text())
    with workplace.run("--name", "shared") as kmux:
        lab = kmux.client()
        running = run_cell(lab, "one", code)
        assert lab.hear_stream(running) == "begun\n"
        run_cell(lab, "two", WIDGET)
        early = workplace.kmux("export", "shared", "--into", str(path))
        assert early.stderr == f"{path}: the outputs of 1 cell; 2 cells did not run in shared\n"
        assert json.loads(path.read_text())["cells"][1]["outputs"][0]["text"] == ["begun\n"]
        lab.stop_channels()
        goes_on.touch()
        until(lambda: kmux.ps()["status"] == "idle", "all cells have run")
        merged = workplace.kmux("export", "shared", "--into", str(path))
        assert merged.stderr == f"{path}: the outputs of 2 cells; 1 cell did not run in shared\n"
    after = json.loads(path.read_text())
    text, first, second, _ = after["cells"]
    printed = [f"{n} \t\x1b[31mred\x1b[0m  \n" for n in range(12_000)]
    assert first["outputs"] == [
        {"name": "stdout", "output_type": "stream", "text": ["begun\n", *printed]}
    ]
    assert (first["execution_count"], second["execution_count"]) == (1, 2)
    state = after["metadata"].pop("widgets")["application/vnd.jupyter.widget-state+json"]["state"]
    (output,) = second["outputs"]
    view = output["data"]["application/vnd.jupyter.widget-view+json"]
    assert state[view["model_id"]]["state"]["value"] == 77
    for cell in (first, second):
        cell["outputs"], cell["execution_count"] = [], None
    assert after == before, "all else is as it was"
    assert text["source"] == ["# a title\n", "and text"]
    nbformat.validate(nbformat.read(path, as_version=4))


def test_into_and_out_leaves_the_notebook_alone(workplace: Workplace) -> None:
    path, out = workplace.root / "mine.ipynb", workplace.root / "out.ipynb"
    nbformat.write(notebook(("one", "1 + 1")), path)
    before = path.read_bytes()
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        client.finish(run_cell(client, "one", "1 + 1"))
        made = workplace.kmux("export", "shared", "--into", str(path), "-o", str(out))
        assert made.returncode == 0
        assert path.read_bytes() == before
        assert json.loads(out.read_text())["cells"][1]["outputs"][0]["data"] == {
            "text/plain": ["2"]
        }
        refused = workplace.kmux("export", "shared", "--into", str(path), "-o", str(out))
        assert "is there already" in refused.stderr


def test_a_notebook_that_is_saved_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.ipynb"
    nbformat.write(notebook(("one", "1 + 1")), path)
    whole = Recorded(*ran("1 + 1", "a", at=1.0, cell_id="one")).whole

    def saved_while_it_is_read(name: str) -> WholeRecord:
        path.write_text(path.read_text().replace("a title", "another title"))
        return whole

    monkeypatch.setattr(recorded, "present", saved_while_it_is_read)
    with pytest.raises(ConfigError, match="changed meanwhile and is left as it is"):
        command.main(["shared", "--into", str(path)], standalone_mode=False)
    assert json.loads(path.read_text())["cells"][1]["outputs"] == []
    monkeypatch.setattr(recorded, "present", lambda name: whole)
    command.main(["shared", "--into", str(path)], standalone_mode=False)
    cells = json.loads(path.read_text())["cells"]
    assert cells[0]["source"][0] == "# another title\n"
    assert cells[1]["outputs"][0]["text"] == ["1 + 1\n"]
    before = path.stat().st_mtime_ns
    command.main(["shared", "--into", str(path)], standalone_mode=False)
    assert path.stat().st_mtime_ns == before, "what is there already is not written again"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "there is no record of 'nobody'; kmux ps lists what runs"),
        (["../nobody"], "there is no session '../nobody'; kmux ps lists what runs"),
        (["nobody", "--into", "missing.ipynb"], "cannot read"),
        (["nobody", "--into", "/dev/null"], "/dev/null is no notebook"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    workplace: Workplace, arguments: list[str], said: str
) -> None:
    result = workplace.kmux("export", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("kmux: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
