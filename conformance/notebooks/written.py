"""Notebooks of kmux's own, which have every kind of output. They share no name and no display id:
one kernel can run them all, one behind the other.
"""

from __future__ import annotations

from typing import Any

import nbformat

STREAMS = (
    "import sys\nfor n in range(3):\n"
    "    print('out', n, flush=True)\n    print('err', n, file=sys.stderr, flush=True)",
    "print('no end', end='')",
    "sys.stdout.write('one\\n'); sys.stdout.write('two\\n');",
    "print('', end='')",
    "for n in range(200): print(n, flush=True)",
)

CARRIAGE_RETURNS = (
    "for n in range(0, 101, 20): print(f'\\r{n:3} %', end='', flush=True)",
    "print('overwritten\\rover')\nprint('dos\\r\\nline')\nprint('a\\r\\r\\nb\\r')",
    "import time\nfor n in range(3):\n    print('x' * (5 - n), end='\\r', flush=True)\n"
    "    time.sleep(0.05)\nprint()",
)

BACKSPACES = (
    "print('abc\\b\\bX')\nprint('\\b\\b at the beginning')\nprint('line\\n\\b\\b')",
    "for mark in '|/-\\\\|': print(mark, end='\\b', flush=True)",
)

LONG = (
    "for n in range(12_000):\n"
    "    print(f'{n:05}\\t\\x1b[3{n % 8}m{\"wide \" * (n % 60)}\\x1b[0m trailing  ')",
    "import os\nos.write(1, b'not UTF-8: \\xff\\xfe\\x80 end\\n') and None",
)

UNICODE = (
    "print('☃ é e\\u0301 日本語 \\u05e9\\u05dc\\u05d5\\u05dd 👩‍🔬 \\U0001f600')",
    "print('odd ends:\\x0bvertical\\x0cform\\x1cfile\\x85next\\u2028line\\u2029paragraph\\x00nul')",
    "'ü' * 3",
)

RICH = (
    "from IPython.display import *",
    "display(HTML('<b>bold</b>\\n<i>and more</i>'), Markdown('# title\\ntext'), Latex('$x^2$'))",
    "display(JSON({'a': [1, None, 2.5e300], 'ü': {}}, expanded=True), SVG('<svg/>'))",
    "display(Javascript('console.log(1)\\nconsole.log(2)'), Code('a = 1', language='python'))",
    "display({'text/plain': 'raw', 'application/vnd.kmux+json': [1, {'x': 'y\\nz'}],\n"
    "         'text/x-odd': 'two\\nlines\\n'}, raw=True, metadata={'text/plain': {'k': [1]}})",
    "HTML('the result')",
    "%%html\n<u>by magic</u>",
    "%%javascript\nconsole.log('magic')",
    "Math(r'\\frac{1}{2}')",
)

PICTURES = (
    "import base64\nfrom IPython.display import Image\n"
    "tiny = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q'\n"
    "                        'DwADhgGAWjR9awAAAABJRU5ErkJggg==')\nImage(tiny)",
    "display(Image(tiny, width=10, height=20, metadata={'alt': 'a point'}))",
    "display(Image(tiny + bytes(100_000), format='png'), Image(b'\\xff\\xd8\\xff jpeg', format='jpeg'))",
    "display(Image(b'GIF89a' + bytes(20), format='gif'))",
)

MATPLOTLIB = (
    "%matplotlib inline\nimport matplotlib.pyplot as plt",
    "plt.plot([1, 3, 2])\nplt.title('a plot')",
    "for n in range(2):\n    plt.figure(figsize=(2, 1))\n    plt.bar([1, 2], [n, 1])\n    plt.show()\n"
    "    print('below', n)",
    "fig, axes = plt.subplots(1, 2)\naxes[0].imshow([[0, 1], [1, 0]])\nfig",
)

ERRORS = (
    "print('before')\n1 / 0",
    "def fails():\n    try:\n        {}['key']\n    except KeyError as error:\n"
    "        raise ValueError('ünïcode') from error\nfails()",
    "this is no Python",
    "raise KeyboardInterrupt('pressed')",
    "class Odd(Exception):\n    def __str__(self):\n        return 'two\\nlines'\nraise Odd",
    "assert False, 'x' * 20_000",
    "%%time_no_such_magic\n1",
    "undefined_name",
    "'goes on'",
)

DISPLAY_IDS = (
    "from IPython.display import display, update_display, HTML",
    "shown = display('first', display_id='d-one')\nprint('between')\ndisplay('second', display_id='d-two')",
    "shown.update('changed in a later cell')",
    "display('again', display_id='d-one')",
    "update_display(HTML('<b>everywhere</b>'), display_id='d-one')",
    "shown.update({'text/plain': 'raw'}, raw=True, metadata={'m': 1})\nshown.update('last')",
    "for n in range(30): update_display(n, display_id='d-two')",
    "handle = display(display_id=True)\nhandle.display('own id')\nhandle.update('own id, changed')",
)

DISPLAY_IDS_EARLY = (
    "from IPython.display import display, update_display\n"
    "update_display('nobody sees it', display_id='e-one')",
    "display('shown after all', display_id='e-one')",
    "update_display('changed', display_id='e-one')\nupdate_display('nobody', display_id='e-two')\n"
    "display('now', display_id='e-two')\ndisplay('now again', display_id='e-two')",
    "update_display('both', display_id='e-two')",
)

CLEARING = (
    "from IPython.display import clear_output, display, update_display",
    "print('gone')\nclear_output()",
    "print('gone')\nclear_output()\nprint('there')",
    "for n in range(5):\n    clear_output(wait=True)\n    print(n)\n    display(n)",
    "print('stays')\nclear_output(wait=True)",
    "print('new cell: nothing is cleared')",
    "display('gone', display_id='c-one')\nclear_output()\ndisplay('there', display_id='c-one')\n"
    "display('there', display_id='c-one')",
    "update_display('changed', display_id='c-one')",
    "display('gone', display_id='c-two')\nclear_output(wait=True)\nprint('the next')",
    "update_display('nowhere', display_id='c-two')",
    "print('gone')\nclear_output(wait=True)\n1 / 0",
    "print('gone')\nclear_output(wait=True)\nclear_output()\nprint('a', flush=True)\nprint('b')",
)

OUTPUT_WIDGETS = (
    "import ipywidgets\nfrom IPython.display import clear_output, display\n"
    "out = ipywidgets.Output()\nout",
    "print('outside')\nwith out:\n    print('inside')\n    display('shown')\n    print('more')\n"
    "print('outside again')",
    "with out:\n    print('in a later cell')",
    "with out:\n    raise ValueError('captured')",
    "with out:\n    clear_output()\n    print('after')",
    "with out:\n    clear_output(wait=True)\n    print('waited')",
    "with out:\n    clear_output(wait=True)",
    "with out:\n    print('cleared by a cell before')",
    "with out: print('many', flush=True)\nwith out:\n    for n in range(100): print(n, flush=True)",
    "captured = ipywidgets.Output(layout={'border': '1px solid'})\n"
    "@captured.capture(clear_output=True)\ndef speak(text):\n    print(text)\n    return 1\n"
    "speak('one')\nspeak('two')",
)

NESTED_OUTPUT_WIDGETS = (
    "import ipywidgets\nfrom IPython.display import display, update_display\n"
    "outer, inner = ipywidgets.Output(), ipywidgets.Output()\ndisplay(outer, inner)",
    "with outer:\n    print('outer')\n    with inner:\n        print('inner')\n    print('outer again')",
    "with outer:\n    display(inner)",
    "with inner:\n    display('in the widget', display_id='o-one')",
    "display('in the cell', display_id='o-two')\nupdate_display('not in the widget', display_id='o-one')",
    "with inner:\n    display('by a display in a widget', display_id='o-two')",
    "with outer:\n    with inner:\n        raise KeyError('deep')\nprint('not reached?')",
)

WIDGETS = (
    "from ipywidgets import *",
    "slider = IntSlider(3, description='value')\nslider",
    "slider.value = 77\nslider.layout.width = '50%'\nslider.style.handle_color = 'red'",
    "text = Text('a')\nbox = VBox([slider, text, HBox([Button(description='press'), HTML('<b>x</b>')])])\nbox",
    "first, second = FloatSlider(1.5), FloatText(0)\nlinked = jslink((first, 'value'), (second, 'value'))\n"
    "display(first, second)",
    "dropdown = Dropdown(options={'one': 1, 'two': 2}, value=2)\n"
    "dropdown.observe(lambda change: print('changed to', change.new), 'value')\ndropdown.value = 1",
    "Tab([Checkbox(True), Accordion([ColorPicker(value='blue')])], titles=['a', 'b'])",
    "closed = IntText(5)\ndisplay(closed)\nclosed.value = 6\nclosed.close()",
    "label = Label('custom messages')\nlabel.send({'any': 'thing'})\nlabel",
    "[Valid(True) for _ in range(3)]",
)

BINARY_WIDGETS = (
    "import ipywidgets, traitlets",
    "picture = ipywidgets.Image(value=bytes(range(256)) * 50, format='png')\npicture",
    "picture.value = b'\\x00\\xff changed'",
    "ipywidgets.VBox([ipywidgets.Audio(value=b'sound'), ipywidgets.Video(value=b'film')])",
    "class Nested(ipywidgets.DOMWidget):\n"
    "    _model_name = traitlets.Unicode('NestedModel').tag(sync=True)\n"
    "    _model_module = traitlets.Unicode('nested').tag(sync=True)\n"
    "    data = traitlets.Dict().tag(sync=True)\n"
    "nested = Nested(data={'name': 'n', 'parts': [b'one', {'deep': memoryview(b'two')}, 3]})\nnested",
    "nested.data = {'name': 'm', 'parts': [b'1', {'deep': b'\\x00' * 100_000}, 4]}",
    "ipywidgets.HBox([nested, nested, picture])",
    "ipywidgets.FileUpload()",
)

TQDM = (
    "from tqdm import tqdm\n"
    "for n in tqdm(range(5), ncols=60, mininterval=0, bar_format='{l_bar}{bar}| {n_fmt}'): pass",
    "bar = tqdm(total=3, ncols=40, mininterval=0, bar_format='{desc}{bar}{n_fmt}', desc='by hand')\n"
    "for _ in range(3):\n    bar.update()\n    tqdm.write('a line between')\nbar.close()",
)

TQDM_WIDGETS = (
    "from tqdm.notebook import tqdm as bars\nfor n in bars(range(4), desc='steps'): pass",
    "for n in bars(range(2)):\n    for m in bars(range(2), leave=False): pass\nprint('over')",
)

INTERACT = (
    "from ipywidgets import interact, interactive, IntSlider\nfrom IPython.display import display",
    "@interact(x=3, text='a')\ndef shows(x, text):\n    print(x, text)\n    display(x * text)\n    return x + 1",
    "def adds(a, b):\n    return a + b\nwidget = interactive(adds, a=1, b=IntSlider(2, max=5))\nwidget",
    "widget.children[0].value = 2\nwidget.result",
)

MAGICS = (
    "%%capture kept\nprint('captured')",
    "kept.show()\nkept.stdout",
    "!printf 'a shell\\n\\ttab'",
    "%%bash\necho one\necho two >&2",
    "%env KMUX_NO_SUCH=1",
    "%%writefile /dev/null\nnothing",
    "lines = !echo listed\nlines",
    "%precision 3\n1 / 3",
    "help(len)",
)

THREADS = (
    "import asyncio, threading, time",
    "await asyncio.sleep(0.01)\nprint('awaited')",
    "def work():\n    print('in a thread', flush=True)\n"
    "thread = threading.Thread(target=work); thread.start(); thread.join()",
    "async def many():\n    for n in range(3):\n        print(n, flush=True)\n        await asyncio.sleep(0.01)\n"
    "await asyncio.gather(many(), many()); None",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(\"a child\")']).returncode",
    "import os; os.system('echo by the system')",
    "import logging; logging.warning('logged')",
    "import warnings; warnings.warn('a warning')",
)

COUNTS = (
    "'first'",
    "   ",
    "# only a comment",
    "_",
    "'not shown';",
    "Out[1] if 1 in Out else None",
    "None",
    "len(In)",
    "print(_ih[-1])",
)

MANY = (
    "from IPython.display import display\nfor n in range(300): display({'text/plain': f'{n}'}, raw=True)",
    "for n in range(50):\n    print('printed', n)\n    display(n)",
    "'x' * 100_000",
    "display({'application/json': {'list': list(range(20_000))}, 'text/plain': 'large'}, raw=True)",
)

_WRITTEN = {
    "streams": STREAMS,
    "carriage-returns": CARRIAGE_RETURNS,
    "backspaces": BACKSPACES,
    "long": LONG,
    "unicode": UNICODE,
    "rich": RICH,
    "pictures": PICTURES,
    "matplotlib": MATPLOTLIB,
    "errors": ERRORS,
    "display-ids": DISPLAY_IDS,
    "display-ids-early": DISPLAY_IDS_EARLY,
    "clearing": CLEARING,
    "output-widgets": OUTPUT_WIDGETS,
    "nested-output-widgets": NESTED_OUTPUT_WIDGETS,
    "widgets": WIDGETS,
    "binary-widgets": BINARY_WIDGETS,
    "tqdm": TQDM,
    "tqdm-widgets": TQDM_WIDGETS,
    "interact": INTERACT,
    "magics": MAGICS,
    "threads": THREADS,
    "counts": COUNTS,
    "many": MANY,
}


def notebooks() -> dict[str, Any]:
    """Return the notebooks by name."""
    return {name: _notebook(cells) for name, cells in _WRITTEN.items()}


def joined() -> Any:
    """Return all of them as one."""
    return _notebook([cell for cells in _WRITTEN.values() for cell in cells])


def _notebook(cells: Any) -> Any:
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.v4.new_notebook(cells=made)
