"""Cells: what they print, show and return, how they fail, several at once, interrupted."""

from __future__ import annotations

import json

from conformance.differential.conversation import DROP, Hear, Say
from conformance.differential.repertoire.scene import Scene, cell, move

LOOP = """\
try:
    print('begun\\n', end='', flush=True)
    while True: pass
except KeyboardInterrupt:
    raise KeyboardInterrupt('again') from None"""
"""Is heard before it can be interrupted, and fails in the same line wherever that happens. The line
break is no write of its own: the text may be heard before that."""
INTERRUPT = Say(channel="control", msg_type="interrupt_request", content={})

ERRORS = (
    "1/0",
    "raise ValueError('no', 'good')",
    "def outer():\n    inner()\ndef inner():\n    {}['missing']\nouter()",
    "assert 1 == 2, 'not equal'",
    "undefined_name",
    "raise KeyboardInterrupt",
    "import sys; sys.exit(3)",
    "try:\n    1/0\nexcept ZeroDivisionError as error:\n    raise OSError('chained') from error",
    "print('before'); raise RuntimeError('日本語')",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1/0})()",
    "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
)
SYNTAX_ERRORS = (
    "1 +",
    "def f(:",
    "  indented\nnot",
    "x = = 1",
    "print('unclosed",
    "return 1",
    "%%nope",
)
RESULTS = (
    "1 + 1",
    "None",
    "'text'",
    "'日本語 🙂 \\x00'",
    "{'key': [1, 2.5, None, True]}",
    "list(range(1500))",
    "float('nan')",
    "object",
    "b'bytes'",
    "type('Html', (), {'_repr_html_': lambda s: '<b>b</b>', '__repr__': lambda s: 'Html'})()",
    "type('Latex', (), {'_repr_latex_': lambda self: '$x$', '__repr__': lambda s: 'Latex'})()",
    "type('Bundle', (), {'_repr_mimebundle_': lambda self, **k: "
    "({'text/plain': 'plain', 'application/json': {'a': [1, {'b': None}]}}, {'meta': 1})})()",
    "type('Broken', (), {'__repr__': lambda self: 1/0})()",
    "type('Png', (), {'_repr_png_': lambda s: b'\\x89PNG\\r\\n', '__repr__': lambda s: 'P'})()",
    "_ = 5; _",
    "1;",
)
OUTPUTS = (
    "print('hello')",
    "print('a'); print('b', end=''); print('c')",
    "print('日本語 🙂 naïve')",
    "import sys; print('wrong', file=sys.stderr)",
    "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)",
    "print('10%\\r20%\\r30%')",
    "import sys; sys.stdout.write('no line break')",
    "import warnings; warnings.warn('careful')",
    "import logging; logging.getLogger('x').warning('logged')",
    "print('', end='')",
    "for n in range(20): print(n)",
    "import threading\nthread = threading.Thread(target=lambda: print('from a thread'))\n"
    "thread.start(); thread.join()",
    "!echo from the shell",
    "%pwd",
    "%%capture captured\nprint('unseen')",
    "get_ipython().set_next_input('next cell')",
    "len?",
    "print??",
    "%nosuchmagic",
    "%history -l 2",
    "x = 1",
    "x = 1; y = 'two'; del x",
    "import this_module_is_not_there",
)
DISPLAYS = (
    "from IPython.display import display, HTML; display(HTML('<i>i</i>'), 3)",
    "display({'text/plain': 'r', 'text/html': '<b>r</b>'}, raw=True, metadata={'text/html': 1})",
    "display({'application/vnd.odd+json': {'deep': [[[]]]}}, raw=True, transient={'key': 'value'})",
    "from IPython.display import Image; display(Image(data=b'\\x89PNG', format='png'))",
    "from IPython.display import Markdown, Latex; display(Markdown('*m*'), Latex('$x$'))",
    "from IPython.display import Javascript; Javascript('1')",
    "handle = display('first', display_id=True); handle.update('second')",
    "display('first', display_id='one-id')",
    "display('again', display_id='one-id', update=True)",
    "display('nobody has it', display_id='unknown-id', update=True)",
    "from IPython.display import clear_output\nprint('gone'); clear_output(); print('stays')",
    "from IPython.display import clear_output\nprint('gone'); clear_output(wait=True); 1",
    "from IPython.display import ProgressBar\nfor _ in ProgressBar(3): pass",
    "display()",
)
ASYNC = (
    "import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')\n'done'",
    "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\n"
    "await asyncio.gather(f(1), f(2))",
    "import asyncio\nawait asyncio.sleep(0)\n1/0",
    "async def g():\n    yield 1\n    yield 2\n[n async for n in g()]",
    "import asyncio\nawait asyncio.wait_for(asyncio.sleep(5), 0.01)",
)
BIG = (
    "print('x' * 1_000_000)",
    "'y' * 1_000_000",
    "display({'text/plain': 'z' * 1_000_000}, raw=True)",
    "for n in range(10_000): print(n)",
    "raise ValueError('long' * 20_000)",
)
EMPTY = ("", " ", "\n\n", "# a comment", "\t", "pass", ";", "\\\n")

EXPRESSIONS = (
    {"a": "1 + 1", "b": "[1]"},
    {"fails": "1/0"},
    {"syntax": "1 +"},
    {"": "2"},
    {"n": "undefined"},
)

HEADERS = (
    {"username": ""},
    {"username": None},
    {"username": DROP},
    {"username": "日本語"},
    {"date": "2026-11-23T08:00:00Z"},
    {"date": "2026-11-23T08:00:00.5Z"},
    {"date": "2026-11-23T10:00:00.123456+02:00"},
    {"date": "2026-11-23T08:00:00.123456"},
    {"date": "2026-11-23T08:00:00.123456+00:00"},
    {"date": "yesterday"},
    {"date": ""},
    {"date": None},
    {"date": DROP},
    {"version": "5.0"},
    {"session": "another-session"},
    {"session": ""},
    {"session": DROP},
    {"extra": {"deep": [1, None, "日本語"]}},
    {"subshell_id": None},
    {"msg_id": "@talk@-日本語"},
)
METADATAS = (
    {"cellId": "c0", "deletedCells": [], "recordTiming": False, "trusted": True},
    {"tags": ["a", "日本語"], "deep": {"a": {"b": [1, None]}}},
    {"date": "2026-11-23T08:00:00.123456Z"},
    {"": ""},
)


def code(scene: Scene) -> str:
    """Return a cell's code, of whatever kind."""
    kind = scene.chance.choices(
        (OUTPUTS, RESULTS, DISPLAYS, ERRORS, SYNTAX_ERRORS, ASYNC, EMPTY),
        (6, 5, 5, 2, 1, 1.5, 0.7),
    )[0]
    return scene.chance.choice(kind)


@move(10)
def a_cell(scene: Scene) -> None:
    scene.step("cell", cell(code(scene)))


@move(3)
def an_odd_cell(scene: Scene) -> None:
    """Silent, without history, with or without stop_on_error, keys that may be left out."""
    options: dict[str, object] = {}
    if scene.maybe(0.4):
        options["silent"] = scene.one_of(True, False)
    if scene.maybe(0.4):
        options["store_history"] = scene.one_of(True, False)
    if scene.maybe(0.4):
        options["user_expressions"] = scene.chance.choice(EXPRESSIONS)
    if scene.maybe(0.3):
        options["stop_on_error"] = scene.one_of(True, False)
    said = cell(code(scene), **options)
    if scene.maybe(0.3):
        left_out = scene.one_of("silent", "store_history", "user_expressions", "stop_on_error")
        del said.content[left_out]
    scene.step("odd cell", said)


@move(1)
def the_code_alone(scene: Scene) -> None:
    scene.step("code alone", Say(msg_type="execute_request", content={"code": code(scene)}))


@move(2)
def odd_headers(scene: Scene) -> None:
    header = scene.chance.choice(HEADERS)
    metadata = scene.chance.choice(METADATAS) if scene.maybe(0.4) else {}
    buffers = scene.one_of((), (b"",), (b"\x00\xff" * 10, b"second"))
    which = scene.one_of("cell", "cell", "kernel_info_request", "comm_info_request", "fails")
    if which.endswith("request"):
        said = Say(
            msg_type=which, content={}, header=header, metadata=metadata, buffers=buffers,
            channel=scene.one_of("shell", "control"),
        )  # fmt: skip
    else:
        text = "1/0" if which == "fails" else "print('odd'); 'header'"
        said = cell(text, header=header, metadata=metadata, buffers=buffers)
    scene.step("odd header", said)


@move(1)
def buffers(scene: Scene) -> None:
    sent = (b"\x00\x01\xff", b"", b"x" * 100_000)[: scene.one_of(1, 2, 3)]
    scene.step("buffers", cell(code(scene), buffers=sent))


@move(0.5)
def big_output(scene: Scene) -> None:
    scene.step("big output", cell(scene.chance.choice(BIG)))


@move(3)
def several_at_once(scene: Scene) -> None:
    cells = [cell(code_that_succeeds(scene)) for _ in range(scene.one_of(2, 3, 5))]
    if scene.maybe(0.3):
        cells.insert(1, a_question(scene))
    scene.step("several at once", *cells)


def code_that_succeeds(scene: Scene) -> str:
    kind = scene.one_of(OUTPUTS[:10], RESULTS[:8], DISPLAYS[:6], ASYNC[:2])
    return scene.chance.choice(kind)


def a_question(scene: Scene) -> Say:
    """Return a request that no cell's error aborts."""
    return scene.one_of(
        Say(msg_type="is_complete_request", content={"code": "1 +"}),
        Say(msg_type="complete_request", content={"code": "pri", "cursor_pos": 3}),
        Say(msg_type="kernel_info_request", content={}),
        Say(msg_type="comm_info_request", content={}),
        Say(
            msg_type="history_request",
            content={"hist_access_type": "tail", "n": 3, "output": False, "raw": True},
        ),
    )


@move(4)
def behind_an_error(scene: Scene) -> None:
    """Cells that wait when one fails. It takes its time, so that they are there by then."""
    wait = "import time; time.sleep(0.1)\n"
    error = wait + scene.chance.choice(ERRORS)
    options: dict[str, object] = {}
    if scene.maybe(0.3):
        options["stop_on_error"] = scene.one_of(True, False)
    if scene.maybe(0.1):
        options["silent"] = True
    acts = [cell(error, **options)]
    for _ in range(scene.one_of(1, 2, 4)):
        if scene.maybe(0.25):
            acts.append(a_question(scene))
        acts.append(cell(scene.one_of("print('ran')", "'ran'", "1/0", code(scene))))
    scene.step("behind an error", *acts)


@move(1.5)
def interrupted(scene: Scene) -> None:
    waiting = [cell(f"print('waited {n}')") for n in range(scene.one_of(0, 0, 1, 2))]
    options = {"silent": True} if scene.maybe(0.1) else {}
    begin = cell(LOOP, **options)
    scene.step("interrupted", begin, *waiting, Hear("stream"), INTERRUPT)


@move(0.3)
def interrupted_async(scene: Scene) -> None:
    code = (
        "import asyncio\nprint('begun\\n', end='', flush=True)\n"
        "while True: await asyncio.sleep(0.01)"
    )
    scene.step("interrupted async", cell(code), Hear("stream"), INTERRUPT)


@move(0.4)
def interrupted_idle(scene: Scene) -> None:
    said = scene.one_of(INTERRUPT, Say(msg_type="interrupt_request", content={}, answer="nothing"))
    scene.step("interrupted idle", said)


@move(0.5)
def later_output(scene: Scene) -> None:
    """A task of one cell that prints while another one runs."""
    begin = (
        "import asyncio\ngo = asyncio.Event()\nasync def later():\n    await go.wait()\n"
        "    print('from the first cell')\n    display('shown')\n"
        "task = asyncio.create_task(later())"
    )
    scene.step("later output", cell(begin))
    scene.step("later output", cell("print('second'); go.set(); await task"))


@move(1.5)
def same_id_twice(scene: Scene) -> None:
    label = scene.new_label("twice")
    header = {"msg_id": f"@{label}.msg_id@"}
    first, second = cell(code_that_succeeds(scene), label=label), cell("'second'", header=header)
    other = Say(msg_type="kernel_info_request", content={}, header=header)
    second = scene.one_of(second, second, other)
    if scene.maybe(0.5):
        scene.step("same id twice, at once", first, second)
    else:
        scene.step("same id twice", first)
        scene.step("same id twice", second)


@move(0.05)
def without_version(scene: Scene) -> None:
    """ipykernel drops such a cell without a word."""
    said = cell("1", header={"version": DROP}, answer="nothing")
    scene.step("cell without version", said)


@move(0.2)
def malformed_cell(scene: Scene) -> None:
    content = scene.one_of(
        {},
        {"code": None},
        {"code": 5},
        {"silent": False},
        {"code": "1", "user_expressions": 5},
        {"code": "1", "silent": "no"},
        {"code": "1", "allow_stdin": None},
        {"code": "1", "stop_on_error": None},
        {"code": "1/0", "stop_on_error": 0},
        {"code": "1", "surplus": {"key": 1}},
        b"[]",
        b"null",
        scene.one_of(b"{", b"\xff"),
    )
    fine = not isinstance(content, bytes) and content.get("code") in ("1", "1/0")
    fine = fine and not {"user_expressions", "allow_stdin"} & set(content)
    scene.step(
        "malformed cell",
        Say(msg_type="execute_request", content=content, answer="reply" if fine else "nothing"),
    )


def as_json(text: str) -> str:
    """Return Python source of a text."""
    return json.dumps(text)
