"""ipywidgets: made and shown by cells, moved and asked for by the client, closed by either."""

from __future__ import annotations

from typing import Any

from conformance.differential.conversation import Say
from conformance.differential.repertoire.comms import close_comm, comm_msg, open_comm
from conformance.differential.repertoire.scene import Scene, Widget, cell, move

MAKERS = {
    "slider": "IntSlider(3, max=50, description='日本語')",
    "text": "Text('start')",
    "button": "Button(description='press')",
    "image": "Image(value=b'\\x00\\xff' * 50, format='png')",
    "checkbox": "Checkbox(True)",
    "select": "Dropdown(options=['a', 'b'])",
    "box": "HBox([ipywidgets.Label('a'), ipywidgets.IntText(1)])",
    "output": "Output()",
    "upload": "FileUpload()",
}
VALUES: dict[str, tuple[dict[str, Any], ...]] = {
    "slider": ({"value": 5}, {"value": 500}, {"value": "wrong"}, {"value": 6, "step": 2}),
    "text": ({"value": "typed"}, {"value": "日本語"}, {"value": 5}),
    "button": ({"disabled": True}, {"description": "new"}),
    "image": ({"width": "10"}, {"format": "jpeg"}),
    "checkbox": ({"value": False}, {"indent": False}),
    "select": ({"index": 1}, {"index": None}, {"index": 99}),
    "box": ({"box_style": "info"},),
    "output": ({"msg_id": "abc"}, {"outputs": []}),
    "upload": ({"accept": ".txt"},),
}
SETTERS = {
    "slider": ("{0}.value = 20", "{0}.max = 10; {0}.value = 10", "{0}.hold_sync().__enter__()"),
    "text": ("{0}.value = 'set'", "{0}.placeholder = 'p'"),
    "button": ("{0}.on_click(lambda b: print('pressed'))", "{0}.icon = 'check'"),
    "image": ("{0}.value = b'\\x01' * 300", "len({0}.value)"),
    "checkbox": ("{0}.value = False",),
    "select": ("{0}.options = ['x', 'y', 'z']", "{0}.value = 'b'"),
    "box": ("{0}.children = ()",),
    "output": (
        "with {0}: print('caught')",
        "with {0}: 1/0",
        "{0}.append_stdout('appended')",
        "{0}.clear_output()",
    ),
    "upload": ("{0}.value",),
}
CONTROL = "jupyter.widget.control"


@move(5)
def made(scene: Scene) -> None:
    kind = scene.chance.choice(list(MAKERS))
    label = scene.new_label("widget")
    code = f"import ipywidgets\n{label} = ipywidgets.{MAKERS[kind]}"
    if scene.maybe(0.6):
        code += f"\n{label}" if scene.maybe(0.5) else f"\ndisplay({label})"
    if scene.maybe(0.3) and kind != "upload":
        trait = "value" if kind not in ("button", "box", "output", "select") else "layout"
        code = code.replace(
            "\n" + label + " =",
            "\ndef changed(change): print('changed to', change['new'])\n" + label + " =",
        )
        code += f"\n{label}.observe(changed, '{trait}')\n"
    scene.widgets.append(Widget(kind, label, f"@{label}.comm-1@"))
    scene.step("widget", cell(code, label=label))


def a_widget(scene: Scene) -> Widget:
    if not scene.widgets:
        made(scene)
    return scene.chance.choice(scene.widgets)


def update(widget: Widget, state: dict[str, Any], **more: Any) -> Say:
    data = {"method": "update", "state": state, "buffer_paths": more.pop("buffer_paths", [])}
    return comm_msg(widget.model, data, **more)


@move(6)
def moved_by_the_client(scene: Scene) -> None:
    widget = a_widget(scene)
    said = [
        update(widget, scene.chance.choice(VALUES[widget.kind]))
        for _ in range(scene.one_of(1, 1, 2, 4))
    ]
    scene.step("client updates", *said)


@move(1)
def moved_oddly(scene: Scene) -> None:
    widget = a_widget(scene)
    odd = scene.one_of(
        update(widget, {}),
        update(widget, {"no_such_trait": 1}),
        update(widget, {"_model_name": "Other"}),
        comm_msg(widget.model, {"method": "update"}),
        comm_msg(widget.model, {"method": "nonsense"}),
        comm_msg(widget.model, {}),
        comm_msg(widget.model, None),
        comm_msg(widget.model, {"method": "update", "state": None, "buffer_paths": []}),
        comm_msg(widget.model, {"method": "update", "state": {"value": 1}}),
        comm_msg(widget.model, {"method": "echo_update", "state": {"value": 1}}),
    )
    scene.step("client updates oddly", odd)


@move(1)
def sent_bytes(scene: Scene) -> None:
    """Binary state travels in buffers."""
    label = scene.new_label("image")
    code = f"import ipywidgets\n{label} = ipywidgets.Image(value=b'old', format='png')"
    widget = Widget("image", label, f"@{label}.comm-1@")
    scene.widgets.append(widget)
    scene.step("widget", cell(code, label=label))
    new = update(widget, {}, buffer_paths=[["value"]], buffers=(b"\x00new\xff",))
    scene.step("client updates with buffers", new)
    scene.step("what it is", cell(f"{label}.value"))


@move(3)
def set_by_the_kernel(scene: Scene) -> None:
    widget = a_widget(scene)
    code = scene.chance.choice(SETTERS[widget.kind]).format(widget.variable)
    scene.step("kernel sets", cell(code))


@move(1.5)
def pressed(scene: Scene) -> None:
    label = scene.new_label("button")
    code = (
        f"import ipywidgets\n{label} = ipywidgets.Button()\n"
        f"{label}.on_click(lambda b: print('pressed'))"
    )
    widget = Widget("button", label, f"@{label}.comm-1@")
    scene.widgets.append(widget)
    scene.step("widget", cell(code, label=label))
    content = scene.one_of({"event": "click"}, {"event": "click"}, {"event": "other"}, {})
    press = comm_msg(widget.model, {"method": "custom", "content": content})
    scene.step("client presses", *[press] * scene.one_of(1, 2))


@move(2.5)
def asked_for_its_state(scene: Scene) -> None:
    widget = a_widget(scene)
    scene.step("request_state", comm_msg(widget.model, {"method": "request_state"}))


@move(3)
def asked_for_all_states(scene: Scene) -> None:
    if scene.maybe(0.8):
        a_widget(scene)
    control = "@talk@-" + scene.new_label("control")
    opened = open_comm(control, CONTROL, metadata={"version": "1.0.0"})
    asked = comm_msg(control, {"method": "request_states"})
    closed = close_comm(control)
    acts = scene.one_of(
        (opened, asked, closed),
        (opened, asked),
        (opened, asked, asked, closed),
        (opened, closed, asked),
        (opened, comm_msg(control, {"method": "nonsense"}), closed),
        (opened, comm_msg(control, {}), asked, closed),
    )
    if scene.maybe(0.5):
        scene.step("request_states", *acts)
    else:
        for act in acts:
            scene.step("request_states", act)


@move(0.5)
def asked_while_a_cell_runs(scene: Scene) -> None:
    """The cell changes what is asked for; a kernel answers after it."""
    label = scene.new_label("busy")
    widget = Widget("slider", label, f"@{label}.comm-1@")
    scene.widgets.append(widget)
    scene.step("widget", cell(f"import ipywidgets\n{label} = ipywidgets.IntSlider(1)", label=label))
    changes = cell(f"import time; time.sleep(0.1); {label}.value = 2; ipywidgets.Label('new')")
    control = "@talk@-" + scene.new_label("control")
    asked = scene.one_of(
        (comm_msg(widget.model, {"method": "request_state"}),),
        (Say(msg_type="comm_info_request", content={}),),
        (
            open_comm(control, CONTROL, metadata={"version": "1.0.0"}),
            comm_msg(control, {"method": "request_states"}),
            close_comm(control),
        ),
    )
    scene.step("asked while a cell runs", changes, *asked)


@move(0.4)
def control_of_another_version(scene: Scene) -> None:
    a_widget(scene)
    control = "@talk@-" + scene.new_label("control")
    metadata = scene.one_of({}, {"version": "2.0.0"}, {"version": 1})
    scene.step("control comm of another version", open_comm(control, CONTROL, metadata=metadata))
    scene.step("request_states", comm_msg(control, {"method": "request_states"}))


@move(1)
def closed_by_the_client(scene: Scene) -> None:
    widget = a_widget(scene)
    used = update(widget, scene.chance.choice(VALUES[widget.kind]))
    scene.step("client closes a widget", used, close_comm(widget.model))
    if scene.maybe(0.5):
        scene.step("what it is", cell(f"{widget.variable}.comm is None"))


@move(1)
def closed_by_the_kernel(scene: Scene) -> None:
    widget = a_widget(scene)
    code = scene.one_of(f"{widget.variable}.close()", f"del {widget.variable}")
    scene.step("kernel closes a widget", cell(code))
    if scene.maybe(0.4):
        scene.step("client updates", update(widget, {"value": 1}))


@move(0.7)
def made_by_the_client(scene: Scene) -> None:
    """A frontend may make a model; the kernel then makes the widget."""
    scene.step("import", cell("import ipywidgets"))
    state = {
        "_model_module": "@jupyter-widgets/controls",
        "_model_module_version": scene.one_of("2.0.0", "2.0.0", "9.9.9"),
        "_model_name": "IntSliderModel",
        "_view_module": "@jupyter-widgets/controls",
        "_view_module_version": "2.0.0",
        "_view_name": "IntSliderView",
        "value": 7,
    }
    comm_id = "@talk@-" + scene.new_label("comm")
    opened = open_comm(
        comm_id,
        "jupyter.widget",
        data={"state": state, "buffer_paths": []},
        metadata=scene.one_of({"version": "2.1.0"}, {"version": "2.0.0"}, {}),
    )
    scene.step("client makes a widget", opened)
    scene.widgets.append(Widget("slider", "ipywidgets.IntSlider()", comm_id))


@move(0.4)
def without_echoes(scene: Scene) -> None:
    code = "import ipywidgets\nipywidgets.widgets.widget.JUPYTER_WIDGETS_ECHO = False"
    scene.step("no echoes", cell(code))
    moved_by_the_client(scene)


@move(0.6)
def linked(scene: Scene) -> None:
    label = scene.new_label("linked")
    code = (
        f"import ipywidgets\nother = ipywidgets.IntSlider(1)\n{label} = ipywidgets.IntSlider(2)\n"
        f"link = ipywidgets.{scene.one_of('link', 'jslink', 'dlink')}"
        f"(({label}, 'value'), (other, 'value'))"
    )
    scene.step("linked widgets", cell(code, label=label))
    scene.widgets.append(Widget("slider", label, f"@{label}.comm5@"))
    moved_by_the_client(scene)
