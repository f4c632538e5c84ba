"""Outputs of a record in a notebook's form."""

from __future__ import annotations

import base64
import json

import msgspec

from proxy.record.notebook import as_notebook_outputs
from tests.record import facts as f
from tests.record.recorded import Recorded


def test_each_kind_of_output_has_its_form() -> None:
    png = base64.b64encode(bytes(500)).decode()
    recorded = Recorded(
        f.queued("1", "a"),
        f.sent("a"),
        f.prints("one\n", "a"),
        f.prints("two\r\n", "a"),
        f.prints("wrong\n", "a", "stderr"),
        f.shows({"text/plain": "x" * 500, "image/png": png + "\n", "application/json": [1]}, "a"),
        f.says("execute_result", "a", data={"text/plain": "1"}, metadata={}, execution_count=7),
        f.says("error", "a", ename="E", evalue="é" * 100, traceback=["t" * 100, "u"]),
    )
    (cell,) = recorded.whole.record.executions.values()
    assert as_notebook_outputs(cell.outputs.items, recorded.whole.fetch) == [
        {"output_type": "stream", "name": "stdout", "text": "one\ntwo\r\n"},
        {"output_type": "stream", "name": "stderr", "text": "wrong\n"},
        {
            "output_type": "display_data",
            "data": {"text/plain": "x" * 500, "image/png": png + "\n", "application/json": [1]},
            "metadata": {},
        },
        {
            "output_type": "execute_result",
            "data": {"text/plain": "1"},
            "metadata": {},
            "execution_count": 7,
        },
        {"output_type": "error", "ename": "E", "evalue": "é" * 100, "traceback": ["t" * 100, "u"]},
    ]


def test_pieces_are_one_text_byte_for_byte() -> None:
    """Wide lines, tabs, trailing blanks, colours, odd ends of lines, and what is no UTF-8."""
    odd = [
        "\t\x1b[31mred\x1b[0m  \n",
        "wide " * 500 + "\n",
        "\u2028\x0b\x1c\x85\x00\ufffd\r\b",
        "☃\n",
    ]
    recorded = Recorded(f.queued("1", "a"), f.sent("a"))
    printed = ""
    for number in range(12_000):
        text = f"{number:05}{odd[number % len(odd)]}"
        printed += text
        recorded.folding.take(f.prints(text, "a"))
        if number % 777 == 0:
            recorded.take()  # it is written meanwhile
    recorded.take()
    (cell,) = recorded.whole.record.executions.values()
    (output,) = as_notebook_outputs(cell.outputs.items, recorded.whole.fetch)
    assert output["text"] == printed


def test_what_a_kernel_sends_that_is_no_text_survives() -> None:
    content = b'{"name": "stdout", "text": "not UTF-8: \xff\xfe end\\n"}'
    recorded = Recorded(f.queued("1", "a"), f.sent("a"))
    fact = f.prints("", "a")
    message = msgspec.structs.replace(fact.message, raw_content=content)
    recorded.take(msgspec.structs.replace(fact, message=message))
    (cell,) = recorded.whole.record.executions.values()
    (output,) = as_notebook_outputs(cell.outputs.items, recorded.whole.fetch)
    assert output["text"] == "not UTF-8: \ufffd\ufffd end\n"
    assert json.dumps(output)
