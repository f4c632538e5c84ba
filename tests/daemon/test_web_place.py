"""Where the HTTP port is, kept in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.daemon import web_place
from proxy.daemon.web_place import WebPlace
from proxy.errors import NotFound, StoreError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path))
    return tmp_path


def test_it_is_kept_for_this_user_alone() -> None:
    place = WebPlace(url="http://127.0.0.1:1/", port=1, token="a", read_only_token="b")
    web_place.web_file().write_text("old")
    web_place.keep(place)
    assert web_place.read() == place
    assert web_place.web_file().stat().st_mode & 0o777 == 0o600
    assert place.page == "http://127.0.0.1:1/?token=a"
    assert place.read_only_page == "http://127.0.0.1:1/?token=b"


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = [token for _ in range(10) for token in _tokens()]
    assert len(set(tokens)) == 20
    assert min(map(len, tokens)) >= 40


def _tokens() -> tuple[str, str]:
    place = web_place.fresh()
    return place.token, place.read_only_token


def test_none_yet() -> None:
    with pytest.raises(NotFound, match="kmux daemon start"):
        web_place.read()


@pytest.mark.parametrize("junk", ["", "{}", "[1]", '{"url": 7}', "\udcff"])
def test_a_damaged_file_is_said_in_one_line(junk: str) -> None:
    web_place.web_file().write_bytes(junk.encode(errors="surrogateescape"))
    with pytest.raises(StoreError, match="remove it") as error:
        web_place.read()
    assert "\n" not in str(error.value)


def test_a_directory_that_cannot_be_written_is_said(data: Path) -> None:
    web_place.web_file().with_suffix(".new").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        web_place.keep(web_place.fresh())
