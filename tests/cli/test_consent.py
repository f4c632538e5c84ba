"""Asking a person on a real terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from proxy.environments import consent
from proxy.environments.detection import Choice
from tests.environments.looking import of_notebook
from tests.environments.made import write_notebook
from tests.frontends.kmux_process import DEADLINE, Workplace

SCRIPT = """
import sys
from pathlib import Path
from proxy.cli.consent import ask
from proxy.errors import NotTrusted
try:
    print("agreed:", ask(Path(sys.argv[1]), NotTrusted("it is refused")))
except NotTrusted as error:
    print("error:", error)
"""
LISTED = ["numpy>=2", "toy @ https://example.org/toy.whl"]


@pytest.fixture
def notebook(workplace: Workplace) -> Path:
    return write_notebook(workplace.root / "a b.ipynb", runt={"uv": {"dependencies": LISTED}})


@contextmanager
def asked(
    workplace: Workplace,
    notebook: Path,
    shell: Sequence[str] = (),
    script: str = SCRIPT,
    **environment: str,
) -> Iterator[pexpect.spawn[str]]:
    python = [sys.executable] if shell else [sys.executable, "-c"]
    program, *arguments = [*shell, *python, script, str(notebook)]
    terminal = pexpect.spawn(
        program,
        arguments,
        env={**workplace.environment, "TERM": "dumb", **environment},
        encoding="utf-8",
        timeout=DEADLINE,
        dimensions=(50, 200),
    )
    try:
        yield terminal
    finally:
        terminal.close(force=True)


def test_who_says_yes_agrees_to_what_was_shown(workplace: Workplace, notebook: Path) -> None:
    with asked(workplace, notebook) as terminal:
        terminal.expect_exact("Install these for ")
        assert terminal.before is not None
        assert terminal.before.replace("\r\n", "\n") == (
            f"{notebook} asks for these packages, and Jupyter does not trust it:\n"
            "  numpy>=2\n"
            "  toy @ https://example.org/toy.whl  (from a URL, not from the package index)\n"
        )
        terminal.expect_exact(f"{notebook}? [y/N]: ")
        write_notebook(notebook, runt={"uv": {"dependencies": ["evil"]}})
        terminal.sendline("y")
        terminal.expect(r"agreed: (\w+)")
        found = of_notebook(
            write_notebook(notebook, runt={"uv": {"dependencies": LISTED}}), notebook, Choice()
        )
        assert terminal.match.group(1) == consent.fingerprint(found)


@pytest.mark.parametrize("answer", ["", "what?\nno"])
def test_all_else_is_no(workplace: Workplace, notebook: Path, answer: str) -> None:
    with asked(workplace, notebook) as terminal:
        terminal.expect_exact("[y/N]: ")
        terminal.sendline(answer)
        terminal.expect_exact("error: it is refused")


def test_where_nobody_can_answer_nobody_is_asked(workplace: Workplace, notebook: Path) -> None:
    result = workplace.run_python(sys.executable, "-c", SCRIPT, str(notebook))
    assert (result.stdout, result.stderr) == ("error: it is refused\n", "")
    shell = ["/bin/sh", "-c", '"$0" -c "$1" "$2" 2>/dev/null']  # nobody would see the list
    with asked(workplace, notebook, shell) as terminal:
        terminal.expect_exact("error: it is refused")


def test_what_is_asked_for_elsewhere_is_not_shown_here(
    workplace: Workplace, notebook: Path
) -> None:
    """By the settings here, the notebook lists nothing that counts: there is nothing to show."""
    (workplace.root / "pyproject.toml").write_text("[project]\nname = 'it'\n")
    with asked(workplace, notebook, KMUX_INLINE_FIRST="false") as terminal:
        terminal.expect_exact("error: it is refused")


def test_for_a_frontend_a_yes_has_jupyter_trust_it(workplace: Workplace, notebook: Path) -> None:
    script = SCRIPT.replace("import ask", "import sign").replace(
        'ask(Path(sys.argv[1]), NotTrusted("it is refused"))',
        "sign(Path(sys.argv[1]), trust=False)",
    )
    for answer, said in (("n", "error: "), ("y", "agreed: "), (None, "agreed: ")):
        with asked(workplace, notebook, script=script) as terminal:
            if answer is not None:
                terminal.expect_exact("so its HTML and JavaScript run in JupyterLab too.")
                terminal.expect_exact("[y/N]: ")
                terminal.sendline(answer)
            terminal.expect_exact(said)
    assert "Jupyter trusts the notebook" in workplace.kmux("env", "explain", str(notebook)).stdout
