"""A record that is read by a command: missing, empty, incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.record import archive
from proxy.record.loading import load
from proxy.session import facts
from tests.record import facts as f
from tests.record.test_recorder import recording


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no record of 'name'"):
        load(tmp_path / "name")
    (tmp_path / "name").mkdir()
    with pytest.raises(ConfigError, match="nothing is recorded of 'name'"):
        load(tmp_path / "name")


async def test_a_page_that_is_lost_costs_what_was_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIVE_EXECUTIONS", 5)
    monkeypatch.setattr(archive, "MIN_PAGE", 10)
    async with recording(tmp_path / "r") as recorder:
        for _ in range(3):
            recorder.take([facts.KernelBegan(at=2.0, found=False)])
            for number in range(20):
                recorder.take([f.queued("1", f"m{number}"), f.ended(f"m{number}")])
            await recorder.flush()
        pages = list(recorder._archive.pages)
        assert len(pages) >= 2
        await recorder.flush()
    whole = load(tmp_path / "r")
    assert len(whole.record.executions) == 60
    whole.blobs.path(pages[0].large.sha256).unlink()
    left = load(tmp_path / "r").record
    assert len(left.executions) == 60 - pages[0].executions
    assert left.let_go.executions == pages[0].executions
