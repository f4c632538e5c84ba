"""Cells with one widget of each kind, and what a window must show of them."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.window import Window

MADE = """\
import struct, zlib
import anywidget, ipywidgets as W, traitlets
from IPython.display import display

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(*colour, size=40):
    rows = (b"\\x00" + bytes(colour) * size) * size
    header = struct.pack(">2I5B", size, size, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(parts)

class Counter(anywidget.AnyWidget):
    _esm = '''
    function render({ model, el }) {
      const button = document.createElement("button");
      button.className = "gallery-counter";
      const show = () => {
        const weights = model.get("weights");
        const bytes = weights ? new Uint8Array(weights.buffer) : new Uint8Array();
        button.textContent = `${model.get("count")} of ${bytes.reduce((a, b) => a + b, 0)}`;
      };
      button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
      model.on("change:count", show);
      model.on("change:weights", show);
      show();
      el.appendChild(button);
    }
    export default { render };
    '''
    count = traitlets.Int(0).tag(sync=True)
    weights = traitlets.Bytes(bytes([200, 100])).tag(sync=True)  # binary

speed = W.IntSlider(3, description="speed")
name = W.Text("first", description="name")
display(speed, name)
image = W.Image(value=png(255, 0, 0), format="png")  # binary
display(image)  # binary"""

NESTED = """\
inner = W.IntSlider(10, description="inner", style={"handle_color": "rgb(0, 128, 0)"})
row = W.HBox([W.Label("in a row"), inner], layout={"border": "3px solid rgb(0, 0, 255)"})
box = W.VBox([row, W.Button(description="press", button_style="danger")], layout={"width": "420px"})
box"""

OUTPUT = """\
out = W.Output()
with out:
    print("captured")
out"""

BAR = """\
from tqdm.notebook import tqdm
bar = tqdm(total=10, desc="work")
bar.update(4);"""

COUNTER = """\
counter = Counter()
counter"""

CANVAS = """\
%matplotlib widget
import matplotlib.pyplot as plt
plt.ioff()
figure, axes = plt.subplots(figsize=(4, 2.2))
axes.plot([1, 4, 9], linewidth=6, color="red")
figure.canvas.header_visible = False
figure.canvas"""

CHANGED = """\
speed.value = 42
name.value = "changed"
image.value = png(0, 0, 255)  # binary
inner.value, inner.style.handle_color = 77, "rgb(255, 165, 0)"
with out:
    print("and more")
bar.update(3)
counter.weights = bytes([250, 250])  # binary
counter.count = 7
figure.axes[0].plot([9, 4, 1], linewidth=6, color="lime")  # binary
figure.canvas.draw()  # binary"""

GALLERY = (MADE, NESTED, OUTPUT, BAR, COUNTER, CANVAS, CHANGED)
CANVAS_CELL = GALLERY.index(CANVAS)
CHANGING_CELL = GALLERY.index(CHANGED)


def cells(*, binary: bool) -> list[str]:
    """Its cells, or those without what cannot cross jupyter_server's gateway client."""
    if binary:
        return list(GALLERY)
    kept = [[line for line in cell.splitlines() if "# binary" not in line] for cell in GALLERY]
    return [
        "\n".join(lines) if cell != CANVAS else ""
        for cell, lines in zip(GALLERY, kept, strict=True)
    ]


def make_gallery(window: Window, *, binary: bool) -> None:
    """Run its cells, in the pace of a person: a figure that is drawn by a cell while ipympl's
    frontend has it drawn for the first time, in another thread, is not drawn well."""
    window.run(*range(CANVAS_CELL))
    if binary:
        window.run(CANVAS_CELL)
        window.until(lambda: frames(window) > 0 and window.traffic.is_settled(), "ipympl has met")
        expect_painted(window, ["red"])
    window.run(CHANGING_CELL)
    shows_gallery(window, ["red", "lime"], binary=binary)


def frames(window: Window) -> int:
    """How many pictures ipympl has sent."""
    said = [message["content"]["data"] for message in window.traffic.heard("comm_msg")]
    return sum("binary" in str(data.get("content")) for data in said)


def expect_painted(window: Window, lines: list[str]) -> None:
    """Expect a plot with lines of these colours."""
    canvas = window.output(CANVAS_CELL).locator("canvas").first
    expect(canvas).to_be_visible()
    what = {"canvas": canvas.element_handle(), "lines": lines}
    window.page.wait_for_function(_PAINTED, arg=what)


def shows_gallery(window: Window, lines: list[str], *, binary: bool) -> None:
    """Expect that all of it is there, with the values of :data:`CHANGED`.

    ``lines`` are those of the plot. With none it need not be painted: ipympl leaves the canvas of a
    second window blank now and then, with a mere jupyter_server in 3 of 14 windows.
    """
    page = window.page
    window.slider("speed").shows(42)
    expect(text_of(page)).to_have_value("changed")
    window.slider("inner").shows(77)
    handle = window.slider("inner").box.locator(".noUi-handle")
    expect(handle).to_have_css("background-color", "rgb(255, 165, 0)")
    row = window.output(1).locator(".widget-hbox").first
    expect(row).to_have_css("border-top", "3px solid rgb(0, 0, 255)")
    expect(window.output(1).locator(".widget-vbox").first).to_have_css("width", "420px")
    expect(window.output(1).locator("button.mod-danger")).to_have_text("press")
    expect(window.output(2)).to_contain_text("captured\nand more")
    expect(window.output(3)).to_contain_text("work:  70%")
    expect(window.output(3)).to_contain_text("7/10")
    expect(window.output(3).locator(".progress-bar")).to_have_attribute("style", _SEVENTY)
    counted = "7 of 500" if binary else "7 of 0"
    expect(window.output(4).locator(".gallery-counter")).to_have_text(counted)
    if binary:
        picture = window.output(0).locator("img.widget-image")
        expect(picture).to_be_visible()
        page.wait_for_function(_LOADED, arg=picture.element_handle())
        assert colour_at_the_middle(picture) == [0, 0, 255], "the picture that it has now"
        expect(window.output(CANVAS_CELL).locator("canvas").first).to_be_visible()
        if lines:
            expect_painted(window, lines)
    window.has_no_failed_widgets()


def text_of(page: Page) -> Locator:
    return page.locator(".widget-text input").first


_SEVENTY = re.compile(r"\bwidth: 70%")

_LOADED = "image => image.complete && image.naturalWidth > 0"

_PAINTED = """({ canvas, lines }) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const count = { red: 0, lime: 0 };
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] > 200 && data[i + 1] < 50 && data[i + 2] < 50) count.red++;
    if (data[i] < 50 && data[i + 1] > 200 && data[i + 2] < 50) count.lime++;
  }
  return lines.every(line => count[line] > 100);
}"""


def colour_at_the_middle(picture: Locator) -> Any:
    return picture.evaluate(
        """image => {
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const middle = [image.naturalWidth / 2, image.naturalHeight / 2];
          return [...context.getImageData(...middle, 1, 1).data].slice(0, 3);
        }"""
    )
