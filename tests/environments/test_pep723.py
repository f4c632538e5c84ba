"""Script metadata: the specification's rules, and what people write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments.pep723 import Script, script_of
from proxy.errors import ConfigError

EXAMPLE = """\
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "requests<3",
#   "rich",
# ]
#
# [tool.uv]
# exclude-newer = "2026-01-01T00:00:00Z"
# ///

import requests
"""


@pytest.mark.parametrize("code", [EXAMPLE, EXAMPLE.replace("\n", "\r\n"), "%pip list\n" + EXAMPLE])
def test_what_it_says(code: str) -> None:
    assert script_of(code) == Script(
        dependencies=("requests<3", "rich"),
        python=">=3.11",
        settings={"exclude-newer": "2026-01-01T00:00:00Z"},
        block=EXAMPLE.partition("\nimport")[0],
    )


def test_the_block_may_be_all_that_there_is() -> None:
    code = '# /// script\n# dependencies = ["numpy"]\n# ///'
    assert script_of(code) == Script(dependencies=("numpy",), block=f"{code}\n")


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x1d"])
def test_no_character_ends_a_line_that_does_not_for_uv(end: str) -> None:
    """Else a comment could hide from one reader what the other one reads."""
    code = f'# /// script\n# dependencies = ["six"] #{end}# requires-python = "3.12"\n# ///\n'
    try:
        script = script_of(code)
    except ConfigError:  # TOML has no such character in a comment
        return
    assert script == Script(dependencies=("six",), block=code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "import numpy",
        '# /// script\n# dependencies = ["numpy"]\n',  # it is not closed
        '# /// other\n# dependencies = ["numpy"]\n# ///\n',
        '#/// script\n# dependencies = ["numpy"]\n# ///\n',
        ' # /// script\n # dependencies = ["numpy"]\n # ///\n',
        '# /// script\n#dependencies = ["numpy"]\n# ///\n',
    ],
)
def test_what_is_no_block_says_nothing(code: str) -> None:
    assert script_of(code) is None


@pytest.mark.parametrize("tool", ["tool = 7", "tool.uv = 7", "[tool.ruff]"])
def test_settings_of_other_tools_are_none_of_ours(tool: str) -> None:
    script = script_of(f"# /// script\n# {tool}\n# ///")
    assert script is not None
    assert script.settings == {}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("# /// script\n# dependencies = [\n# ///\n", "the '# /// script' block is no TOML"),
        ('# /// script\n# dependencies = "a"\n# ///\n', "is to be a list of texts"),
        ("# /// script\n# dependencies = [1]\n# ///\n", "is to be a list of texts"),
        ("# /// script\n# requires-python = 3.11\n# ///\n", "is to be a text"),
        (EXAMPLE + EXAMPLE, "has two '# /// script' blocks"),
    ],
)
def test_a_block_that_cannot_be_read_is_an_error(code: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        script_of(code)


@given(st.text(alphabet="# /script\n=[]\"'a.", max_size=80))
def test_any_code_is_read_or_refused(code: str) -> None:
    try:
        script_of(f"# /// script\n# {code}\n# ///\n")
    except ConfigError as error:
        assert str(error)
