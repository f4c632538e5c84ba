"""ipywidgets: cells that make models, and what frontends send about them."""

from __future__ import annotations

import json

from bench.client import Client
from bench.messages import CONTENT, HEADER, PARENT, Author

TARGET = "jupyter.widget"
CONTROL_TARGET = "jupyter.widget.control"
_VERSION = b'{"version":"1.0.0"}'
"""Of the control protocol; ipywidgets refuses a comm without it."""
_AT_ONCE = 300
"""Models of one cell. ipykernel's iopub drops what comes while 1,000 messages wait (its SNDHWM): of
1,100 cells that made or closed 1,000 models, on four kernels at a time, 23 lost their idle."""
_CLOSE = f"""\
import ipywidgets
for widget in list(ipywidgets.widgets.widget._instances.values())[:{_AT_ONCE}]:
    widget.close()"""
_SLIDER = "import ipywidgets\nslider = ipywidgets.IntSlider(max=10**9)"


def create(client: Client, models: int) -> None:
    """Have the kernel make exactly so many models, as a notebook has them.

    ``IntSlider()`` makes three: itself, its Layout and its SliderStyle. What is missing is filled
    up with Layouts.
    """
    for start in range(0, models, _AT_ONCE):
        count = min(_AT_ONCE, models - start)
        client.run(
            "import ipywidgets\n"
            f"for n in range({count // 3}):\n"
            "    ipywidgets.IntSlider(value=n)\n"
            f"for n in range({count % 3}):\n"
            "    ipywidgets.Layout()"
        )


def close(client: Client, models: int) -> None:
    """Have the kernel close so many models, the oldest first."""
    for _ in range(0, models, _AT_ONCE):
        client.run(_CLOSE)


def create_slider(client: Client) -> str:
    """Have the kernel make one slider. Returns its comm's id."""
    cell = client.send_cell(_SLIDER)
    opened = client.hear(
        lambda message: (
            cell in message[1 + PARENT]
            and b'"comm_open"' in message[1 + HEADER]
            and b'"IntSliderModel"' in message[1 + CONTENT]
        )
    )
    client.end_cell(cell)
    comm_id: str = json.loads(opened[1 + CONTENT])["comm_id"]
    return comm_id


def update(author: Author, comm_id: str, value: int) -> list[bytes]:
    """Make the comm_msg of a slider that was moved."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    return author.message("comm_msg", {"comm_id": comm_id, "data": data})


def value_of(content: bytes) -> int:
    """Return the value that an update, or its echo, has."""
    value: int = json.loads(content)["data"]["state"]["value"]
    return value


def control_opening(author: Author, comm_id: str) -> list[bytes]:
    """Make the comm_open by which a frontend begins to ask ipywidgets for all states."""
    content = {"comm_id": comm_id, "target_name": CONTROL_TARGET, "data": {}}
    return author.message("comm_open", content, metadata=_VERSION)


def states_request(author: Author, comm_id: str) -> list[bytes]:
    """Make the comm_msg that asks for all states."""
    content = {"comm_id": comm_id, "data": {"method": "request_states"}}
    return author.message("comm_msg", content)
