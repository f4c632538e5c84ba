"""Notebooks of kmux's own, which have every kind of output.

One kernel can run them all, one behind the other. Cells are parted by ``# %%``. What is chance with
any kernel is not asked for: the order of stdout and stderr without a flush; and what a child prints
is waited for, since it comes when ipykernel has read it from a pipe.
"""

from __future__ import annotations

from typing import Any

import nbformat

BETWEEN = "\n# %%\n"

STREAMS = r"""
import sys
for n in range(3):
    print('out', n, flush=True)
    print('err', n, file=sys.stderr, flush=True)
# %%
print('no end', end='')
# %%
sys.stdout.write('one\n'); sys.stdout.write('two\n');
# %%
print('', end='')
# %%
for n in range(200): print(n, flush=True)
"""

CARRIAGE_RETURNS = r"""
for n in range(0, 101, 20): print(f'\r{n:3} %', end='', flush=True)
# %%
print('overwritten\rover')
print('dos\r\nline')
print('a\r\r\nb\r')
# %%
import time
for n in range(3):
    print('x' * (5 - n), end='\r', flush=True)
    time.sleep(0.05)
print()
"""

BACKSPACES = r"""
print('abc\b\bX')
print('\b\b at the beginning')
print('line\n\b\b')
# %%
for mark in '|/-\\|': print(mark, end='\b', flush=True)
"""

LONG = r"""
for n in range(12_000):
    print(f'{n:05}\t\x1b[3{n % 8}m{"wide " * (n % 60)}\x1b[0m trailing  ')
# %%
import os, time
os.write(1, b'not UTF-8: \xff\xfe\x80 end\n')
time.sleep(0.5)
"""

UNICODE = r"""
print('☃ é e\u0301 日本語 \u05e9\u05dc\u05d5\u05dd 👩‍🔬 \U0001f600')
# %%
print('odd ends:\x0bvertical\x0cform\x1cfile\x85next\u2028line\u2029paragraph\x00nul')
# %%
'ü' * 3
"""

RICH = r"""
from IPython.display import *
# %%
display(HTML('<b>bold</b>\n<i>and more</i>'), Markdown('# title\ntext'), Latex('$x^2$'))
# %%
display(JSON({'a': [1, None, 2.5e300], 'ü': {}}, expanded=True), SVG('<svg/>'))
# %%
display(Javascript('console.log(1)\nconsole.log(2)'), Code('a = 1', language='python'))
# %%
display({'text/plain': 'raw', 'application/vnd.kmux+json': [1, {'x': 'y\nz'}],
         'text/x-odd': 'two\nlines\n'}, raw=True, metadata={'text/plain': {'k': [1]}})
# %%
HTML('the result')
# %%
%%html
<u>by magic</u>
# %%
%%javascript
console.log('magic')
# %%
Math(r'\frac{1}{2}')
"""

PICTURES = r"""
import base64
from IPython.display import Image
tiny = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q'
                        'DwADhgGAWjR9awAAAABJRU5ErkJggg==')
Image(tiny)
# %%
display(Image(tiny, width=10, height=20, metadata={'alt': 'a point'}))
# %%
display(Image(tiny + bytes(100_000), format='png'), Image(b'\xff\xd8\xff jpeg', format='jpeg'))
# %%
display(Image(b'GIF89a' + bytes(20), format='gif'))
"""

MATPLOTLIB = """
%matplotlib inline
import matplotlib.pyplot as plt
# %%
plt.plot([1, 3, 2])
plt.title('a plot')
# %%
for n in range(2):
    plt.figure(figsize=(2, 1))
    plt.bar([1, 2], [n, 1])
    plt.show()
    print('below', n)
# %%
fig, axes = plt.subplots(1, 2)
axes[0].imshow([[0, 1], [1, 0]])
fig
"""

ERRORS = r"""
print('before')
1 / 0
# %%
def fails():
    try:
        {}['key']
    except KeyError as error:
        raise ValueError('ünïcode') from error
fails()
# %%
this is no Python
# %%
raise KeyboardInterrupt('pressed')
# %%
class Odd(Exception):
    def __str__(self):
        return 'two\nlines'
raise Odd
# %%
assert False, 'x' * 20_000
# %%
%%time_no_such_magic
1
# %%
undefined_name
# %%
'goes on'
"""

DISPLAY_IDS = """
from IPython.display import display, update_display, HTML
# %%
shown = display('first', display_id='d-one')
print('between')
display('second', display_id='d-two')
# %%
shown.update('changed in a later cell')
# %%
display('again', display_id='d-one')
# %%
update_display(HTML('<b>everywhere</b>'), display_id='d-one')
# %%
shown.update({'text/plain': 'raw'}, raw=True, metadata={'m': 1})
shown.update('last')
# %%
for n in range(30): update_display(n, display_id='d-two')
# %%
handle = display(display_id=True)
handle.display('own id')
handle.update('own id, changed')
"""

DISPLAY_IDS_EARLY = """
from IPython.display import display, update_display
update_display('nobody sees it', display_id='e-one')
# %%
display('shown after all', display_id='e-one')
# %%
update_display('changed', display_id='e-one')
update_display('nobody', display_id='e-two')
display('now', display_id='e-two')
display('now again', display_id='e-two')
# %%
update_display('both', display_id='e-two')
"""

CLEARING = """
from IPython.display import clear_output, display, update_display
# %%
print('gone')
clear_output()
# %%
print('gone')
clear_output()
print('there')
# %%
for n in range(5):
    clear_output(wait=True)
    print(n)
    display(n)
# %%
print('stays')
clear_output(wait=True)
# %%
print('new cell: nothing is cleared')
# %%
display('gone', display_id='c-one')
clear_output()
display('there', display_id='c-one')
display('there', display_id='c-one')
# %%
update_display('changed', display_id='c-one')
# %%
display('gone', display_id='c-two')
clear_output(wait=True)
print('the next')
# %%
update_display('nowhere', display_id='c-two')
# %%
print('gone')
clear_output(wait=True)
1 / 0
# %%
print('gone')
clear_output(wait=True)
clear_output()
print('a', flush=True)
print('b')
"""

OUTPUT_WIDGETS = """
import ipywidgets
from IPython.display import clear_output, display
out = ipywidgets.Output()
out
# %%
print('outside')
with out:
    print('inside')
    display('shown')
    print('more')
print('outside again')
# %%
with out:
    print('in a later cell')
# %%
with out:
    raise ValueError('captured')
# %%
with out:
    clear_output()
    print('after')
# %%
with out:
    clear_output(wait=True)
    print('waited')
# %%
with out:
    clear_output(wait=True)
# %%
with out:
    print('cleared by a cell before')
# %%
with out: print('many', flush=True)
with out:
    for n in range(100): print(n, flush=True)
# %%
captured = ipywidgets.Output(layout={'border': '1px solid'})
@captured.capture(clear_output=True)
def speak(text):
    print(text)
    return 1
speak('one')
speak('two')
"""

NESTED_OUTPUT_WIDGETS = """
import ipywidgets
from IPython.display import display, update_display
outer, inner = ipywidgets.Output(), ipywidgets.Output()
display(outer, inner)
# %%
with outer:
    display(inner)
# %%
with outer:
    print('outer')
    with inner:
        print('inner')
    print('outer again')
# %%
with inner:
    display('in the widget', display_id='o-one')
# %%
display('in the cell', display_id='o-two')
update_display('not in the widget', display_id='o-one')
# %%
with inner:
    display('by a display in a widget', display_id='o-two')
# %%
with outer:
    with inner:
        raise KeyError('deep')
print('not reached?')
"""

WIDGETS = """
from ipywidgets import *
# %%
slider = IntSlider(3, description='value')
slider
# %%
slider.value = 77
slider.layout.width = '50%'
slider.style.handle_color = 'red'
# %%
text = Text('a')
box = VBox([slider, text, HBox([Button(description='press'), HTML('<b>x</b>')])])
box
# %%
first, second = FloatSlider(1.5), FloatText(0)
linked = jslink((first, 'value'), (second, 'value'))
display(first, second)
# %%
dropdown = Dropdown(options={'one': 1, 'two': 2}, value=2)
dropdown.observe(lambda change: print('changed to', change.new), 'value')
dropdown.value = 1
# %%
Tab([Checkbox(True), Accordion([ColorPicker(value='blue')])], titles=['a', 'b'])
# %%
closed = IntText(5)
display(closed)
closed.value = 6
closed.close()
# %%
label = Label('custom messages')
label.send({'any': 'thing'})
label
# %%
[Valid(True) for _ in range(3)]
"""

BINARY_WIDGETS = r"""
import ipywidgets, traitlets
# %%
picture = ipywidgets.Image(value=bytes(range(256)) * 50, format='png')
picture
# %%
picture.value = b'\x00\xff changed'
# %%
ipywidgets.VBox([ipywidgets.Audio(value=b'sound'), ipywidgets.Video(value=b'film')])
# %%
class Nested(ipywidgets.DOMWidget):
    _model_name = traitlets.Unicode('NestedModel').tag(sync=True)
    _model_module = traitlets.Unicode('nested').tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
nested = Nested(data={'name': 'n', 'parts': [b'one', {'deep': memoryview(b'two')}, 3]})
nested
# %%
nested.data = {'name': 'm', 'parts': [b'1', {'deep': b'\x00' * 100_000}, 4]}
# %%
ipywidgets.HBox([nested, nested, picture])
# %%
ipywidgets.FileUpload()
"""

TQDM = """
import sys
from tqdm import tqdm
for n in tqdm(range(5), ncols=60, mininterval=0, bar_format='{l_bar}{bar}| {n_fmt}'): pass
# %%
bar = tqdm(total=3, ncols=40, mininterval=0, bar_format='{desc}{bar}{n_fmt}', desc='by hand')
for _ in range(3):
    bar.update()
    tqdm.write('a line between', file=sys.stderr)
bar.close()
"""

TQDM_WIDGETS = """
from tqdm.notebook import tqdm as bars
for n in bars(range(4), desc='steps'): pass
# %%
for n in bars(range(2)):
    for m in bars(range(2), leave=False): pass
print('over')
"""

INTERACT = """
from ipywidgets import interact, interactive, IntSlider
from IPython.display import display
# %%
@interact(x=3, text='a')
def shows(x, text):
    print(x, text)
    display(x * text)
    return x + 1
# %%
def adds(a, b):
    return a + b
widget = interactive(adds, a=1, b=IntSlider(2, max=5))
widget
# %%
widget.children[0].value = 2
widget.result
"""

MAGICS = r"""
%%capture kept
print('captured')
# %%
kept.show()
kept.stdout
# %%
!printf 'a shell\n\ttab'
# %%
%%bash
echo one
echo two >&2
# %%
%env KMUX_NO_SUCH=1
# %%
%%writefile /dev/null
nothing
# %%
lines = !echo listed
lines
# %%
%precision 3
1 / 3
# %%
help(len)
"""

THREADS = """
import asyncio, threading, time
# %%
await asyncio.sleep(0.01)
print('awaited')
# %%
def work():
    print('in a thread', flush=True)
thread = threading.Thread(target=work); thread.start(); thread.join()
# %%
async def many():
    for n in range(3):
        print(n, flush=True)
        await asyncio.sleep(0.01)
await asyncio.gather(many(), many()); None
# %%
import subprocess, sys
subprocess.run([sys.executable, '-c', 'print("a child")'])
time.sleep(0.5)
# %%
import os; os.system('echo by the system'); time.sleep(0.5)
# %%
import logging; logging.warning('logged')
# %%
import warnings; warnings.warn('a warning')
"""

COUNTS = """
'first'
# %%

# %%
# only a comment
# %%
_
# %%
'not shown';
# %%
Out[1] if 1 in Out else None
# %%
None
# %%
len(In)
# %%
print(_ih[-1])
"""

MANY = """
from IPython.display import display
for n in range(300): display({'text/plain': f'{n}'}, raw=True)
# %%
for n in range(50):
    print('printed', n)
    display(n)
# %%
'x' * 100_000
# %%
display({'application/json': {'list': list(range(20_000))}, 'text/plain': 'large'}, raw=True)
"""

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

"""By name."""


def notebooks() -> dict[str, Any]:
    """Return the notebooks by name."""
    return {name: _notebook(text) for name, text in _WRITTEN.items()}


def joined() -> Any:
    """Return all of them as one."""
    return _notebook(BETWEEN.join(text.strip() for text in _WRITTEN.values()))


def _notebook(text: str) -> Any:
    made = [nbformat.v4.new_code_cell(cell) for cell in text.strip().split(BETWEEN)]
    return nbformat.v4.new_notebook(cells=made)
