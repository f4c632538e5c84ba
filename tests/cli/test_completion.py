"""Completion: in a real bash by a real Tab, and as zsh and fish ask for it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator

import pexpect
import pytest
import trio

from proxy.daemon import registry
from tests.daemon.answering import answering
from tests.frontends.kmux_process import BIN, DEADLINE, Workplace
from tests.required import lacks


@pytest.fixture
async def session(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A session that is called "analysis" and answers."""
    monkeypatch.setenv("KMUX_RUNTIME_DIR", workplace.environment["KMUX_RUNTIME_DIR"])

    async with answering(registry.socket_path("analysis"), "analysis"):
        yield


def test_the_script_is_what_the_shell_sources(workplace: Workplace) -> None:
    scripts = {shell: workplace.kmux("completion", shell) for shell in ("bash", "zsh", "fish")}
    for shell, result in scripts.items():
        assert result.returncode == 0, result.stderr
        assert f"_KMUX_COMPLETE={shell}_complete" in result.stdout
    assert workplace.kmux("completion", "csh").returncode == 2


async def test_tab_in_bash(workplace: Workplace, session: None) -> None:
    if shutil.which("bash") is None:
        lacks("there is no bash", "bash")
    await trio.to_thread.run_sync(press_tab, workplace)


def press_tab(workplace: Workplace) -> None:
    bash = pexpect.spawn(
        "bash",
        ["--norc", "--noprofile"],
        env={**workplace.environment, "PS1": "$ ", "TERM": "dumb", "HISTFILE": ""},
        cwd=str(workplace.root),
        encoding="utf-8",
        timeout=DEADLINE,
    )
    try:
        bash.expect_exact("$ ")
        bash.sendline('eval "$(kmux completion bash)"; echo "so""urced"')
        bash.expect_exact("sourced\r\n")
        bash.expect_exact("$ ")
        bash.send("kmux que\t")
        bash.expect_exact("kmux queue ")
        bash.send("ana\t")
        bash.expect_exact("analysis ")
        bash.send("--can\t")
        bash.expect_exact("--cancel ")
        bash.sendcontrol("u")
        bash.send("kmux config keep_d\t")
        bash.expect_exact("keep_days ")
        bash.sendcontrol("u")
        bash.sendline("exit")
        bash.expect_exact(pexpect.EOF)
    finally:
        bash.close(force=True)


@pytest.mark.parametrize(
    ("shell", "words", "cword", "completions"),
    [
        ("zsh", "kmux queue an", "2", "plain\nanalysis\n_\n"),
        ("zsh", "kmux attach an", "2", "plain\nanalysis\n_\n"),
        ("zsh", "kmux stop other an", "3", "plain\nanalysis\n_\n"),
        ("zsh", "kmux rename analysis an", "3", "\n"),
        ("zsh", "kmux queue x", "2", "\n"),
        ("zsh", "kmux comp", "1", "plain\ncompletion\nPrint the script that completes names in ba"),
        ("fish", "kmux queue an", "an", "plain,analysis\n"),
        ("fish", "kmux config rest", "rest", "plain,restart\tWho may restart a kernel: any clien"),
    ],
)
async def test_other_shells_ask_by_the_environment(
    workplace: Workplace, session: None, shell: str, words: str, cword: str, completions: str
) -> None:
    environment = {"_KMUX_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": cword}

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "kmux")],
            env={**workplace.environment, **environment},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    result = await trio.to_thread.run_sync(ask)
    assert result.stderr == ""
    assert result.stdout.startswith(completions)
