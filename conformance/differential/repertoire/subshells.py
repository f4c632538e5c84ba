"""Subshells (JEP 91): made, listed, deleted, and cells on them."""

from __future__ import annotations

from conformance.differential.conversation import Say
from conformance.differential.repertoire.cells import code, code_that_succeeds
from conformance.differential.repertoire.comms import comm_msg
from conformance.differential.repertoire.scene import Scene, Widget, cell, move
from conformance.differential.repertoire.widgets import a_widget, update

LIST = Say(channel="control", msg_type="list_subshell_request", content={})


def delete(subshell: object) -> Say:
    content = {"subshell_id": subshell}
    return Say(channel="control", msg_type="delete_subshell_request", content=content)


@move(1.5)
def made(scene: Scene) -> None:
    label = scene.new_label("subshell")
    scene.subshells.append(f"@{label}.subshell@")
    said = Say(channel="control", msg_type="create_subshell_request", content={}, label=label)
    scene.step("create subshell", said, *([LIST] if scene.maybe(0.5) else []))


def a_subshell(scene: Scene) -> str:
    if not scene.subshells:
        made(scene)
    return scene.chance.choice(scene.subshells)


@move(1)
def listed(scene: Scene) -> None:
    scene.step("list subshells", LIST)


@move(1)
def deleted(scene: Scene) -> None:
    subshell = a_subshell(scene)
    scene.step("delete subshell", delete(subshell), LIST)
    if scene.maybe(0.3):
        scene.step("deleted subshell", cell("1", subshell=subshell))


@move(0.7)
def unknown(scene: Scene) -> None:
    said = scene.one_of(
        delete("none-such"),
        delete(5),
        delete(None),
        cell("'nowhere'", subshell="none-such"),
        Say(msg_type="is_complete_request", content={"code": "1"}, subshell="none-such"),
        Say(msg_type="kernel_info_request", content={}, subshell="none-such"),
        Say(msg_type="comm_info_request", content={}, subshell="none-such"),
    )
    scene.step("unknown subshell", said)


@move(2)
def runs_a_cell(scene: Scene) -> None:
    subshell = a_subshell(scene)
    scene.step("cell on a subshell", cell(code(scene), subshell=subshell))


@move(0.7)
def runs_several(scene: Scene) -> None:
    subshell = a_subshell(scene)
    cells = [cell(code_that_succeeds(scene), subshell=subshell) for _ in range(3)]
    if scene.maybe(0.4):
        cells[0] = cell("import time; time.sleep(0.1); 1/0", subshell=subshell)
    scene.step("several on a subshell", *cells)


@move(1)
def asks(scene: Scene) -> None:
    subshell = a_subshell(scene)
    said = scene.one_of(
        Say(msg_type="is_complete_request", content={"code": "1"}, subshell=subshell),
        Say(msg_type="kernel_info_request", content={}, subshell=subshell),
        Say(msg_type="comm_info_request", content={}, subshell=subshell),
        Say(
            msg_type="complete_request", content={"code": "pri", "cursor_pos": 3}, subshell=subshell
        ),
    )
    scene.step("request on a subshell", said)


@move(0.7)
def moves_a_widget(scene: Scene) -> None:
    subshell, widget = a_subshell(scene), a_widget(scene)
    said = scene.one_of(
        update(widget, {"value": 9}, subshell=subshell),
        comm_msg(widget.model, {"method": "request_state"}, subshell=subshell),
    )
    scene.step("comm on a subshell", said)


@move(0.05)
def moves_a_widget_nowhere(scene: Scene) -> None:
    """ipykernel takes it up, and from then on sends all on that comm where nobody is."""
    said = comm_msg(a_widget(scene).model, {"method": "request_state"}, subshell="none-such")
    scene.step("comm on an unknown subshell", said)


@move(0.4)
def makes_a_widget(scene: Scene) -> None:
    subshell, label = a_subshell(scene), scene.new_label("widget")
    text = f"import ipywidgets\n{label} = ipywidgets.IntSlider(4)\n{label}"
    scene.step("widget on a subshell", cell(text, subshell=subshell, label=label))
    scene.widgets.append(Widget("slider", label, f"@{label}.comm-1@"))
