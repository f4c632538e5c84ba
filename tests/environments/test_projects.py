"""The closest project file: on real directories, and on trees that Hypothesis grows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments import projects
from proxy.environments.projects import NAMES, Level, closest, levels_above
from proxy.errors import ConfigError

PROJECT = "[project]\nname = 'it'\n"
CONTENTS = {
    "pyproject.toml": PROJECT,
    "pixi.toml": "[workspace]\nname = 'it'\n",
    "environment.yml": "dependencies: [python]\n",
    "environment.yaml": "dependencies: [python]\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "a" / "b").mkdir(parents=True)
    return home


def found(directory: Path, home: Path) -> tuple[str, Path] | None:
    project, _ = closest(levels_above(directory, home))
    return (project.label, project.path) if project else None


def test_the_closest_counts(home: Path) -> None:
    (home / "a" / "pyproject.toml").write_text(PROJECT)
    assert found(home / "a" / "b", home) == ("uv:pyproject", home / "a" / "pyproject.toml")
    (home / "a" / "b" / "environment.yaml").write_text("dependencies: [python]")
    assert found(home / "a" / "b", home) == ("conda:env_yml", home / "a" / "b" / "environment.yaml")


def test_in_one_directory_their_order_counts(home: Path) -> None:
    here = home / "a"
    for name, text in CONTENTS.items():
        (here / name).write_text(text)
    seen = []
    for name in NAMES:
        project = found(here, home)
        assert project is not None
        seen.append((project[0], project[1].name))
        (here / name).unlink()
    assert seen == [
        ("uv:pyproject", "pyproject.toml"),
        ("conda:pixi", "pixi.toml"),
        ("conda:env_yml", "environment.yml"),
        ("conda:env_yml", "environment.yaml"),
    ]
    assert found(here, home) is None


def test_the_walk_ends_with_home(home: Path) -> None:
    (home.parent / "pyproject.toml").write_text(PROJECT)
    assert found(home / "a" / "b", home) is None
    (home / "pixi.toml").write_text(CONTENTS["pixi.toml"])
    assert found(home / "a" / "b", home) == ("conda:pixi", home / "pixi.toml")


def test_a_home_that_is_a_link_is_home(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert found(home / "a", link) is None
    assert found(link / "a", link) is None


@pytest.mark.parametrize("kind", ["directory", "file"])  # a worktree's or a submodule's is a file
def test_the_walk_ends_with_the_repository(home: Path, kind: str) -> None:
    repository = home / "a"
    if kind == "directory":
        (repository / ".git").mkdir()
    else:
        (repository / ".git").write_text("gitdir: elsewhere")
    (home / "pyproject.toml").write_text(PROJECT)
    assert found(repository / "b", home) is None
    (repository / "pyproject.toml").write_text(PROJECT)
    assert found(repository / "b", home) == ("uv:pyproject", repository / "pyproject.toml")


def test_outside_of_home_it_ends_at_the_root(tmp_path: Path, home: Path) -> None:
    elsewhere = tmp_path / "srv" / "data"
    elsewhere.mkdir(parents=True)
    directories = [level.directory for level in levels_above(elsewhere, home)]
    assert directories == [elsewhere, *elsewhere.parents]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (PROJECT, "uv:pyproject"),
        ("[tool.uv.workspace]\nmembers = ['a']\n", "uv:pyproject"),
        ("[tool.pixi.workspace]\nchannels = []\n", "conda:pixi"),
        (PROJECT + "[tool.pixi.workspace]\nchannels = []\n", "conda:pixi"),
        ("[tool.ruff]\nline-length = 100\n", None),
        ("", None),
    ],
)
def test_a_pyproject_with_settings_of_tools_alone_is_no_project(
    home: Path, text: str, label: str | None
) -> None:
    path = home / "a" / "pyproject.toml"
    path.write_text(text)
    project, passed = closest(levels_above(home / "a", home))
    assert (project.label if project else None) == label
    assert [each.path for each in passed] == ([] if label else [path])


def test_what_is_no_file_does_not_count(home: Path) -> None:
    (home / "a" / "pyproject.toml").mkdir()
    os.mkfifo(home / "a" / "pixi.toml")
    (home / "a" / "environment.yml").symlink_to(home / "nowhere")
    assert found(home / "a", home) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pyproject.toml", b"[project\n", "is no TOML: .*line 1"),
        ("pyproject.toml", b"\xff\xfe", "is no TOML"),
        ("pixi.toml", b"a = \n", "is no TOML"),
        ("pixi.toml", b"a = " + b"[" * 5000, "is no TOML"),
        ("environment.yml", b"dependencies: [a\n", "is no YAML"),
        ("environment.yml", b"\x00", "is no YAML"),
        ("environment.yml", b"[" * 5000, "is no YAML"),
        ("environment.yml", b"- numpy\n", "is to have a list of dependencies"),
        ("environment.yml", b"a: !!python/object:os.system {}\n", "is no YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    home: Path, name: str, content: bytes, message: str
) -> None:
    (home / "a" / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as error:
        found(home / "a" / "b", home)
    assert "\n" not in str(error.value)
    assert "mend it, or take it away" in str(error.value)


def test_a_file_that_is_far_too_large_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "MAX_BYTES", 10)
    (home / "a" / "pixi.toml").write_text("# a long comment\n")
    with pytest.raises(ConfigError, match="larger than a project file can be"):
        found(home / "a", home)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(home: Path) -> None:
    path = home / "a" / "pyproject.toml"
    path.write_text(PROJECT)
    path.chmod(0)
    with pytest.raises(ConfigError, match=r"cannot read .*: Permission denied"):
        found(home / "a", home)
    path.unlink()
    (home / "pixi.toml").write_text(CONTENTS["pixi.toml"])
    (home / "a").chmod(0)
    try:
        project, passed = closest(levels_above(home / "a", home))
    finally:
        (home / "a").chmod(0o700)
    assert project is not None
    assert project.path == home / "pixi.toml"
    assert [(each.path, each.why) for each in passed] == [(home / "a", "Permission denied")]


def test_a_directory_that_cannot_be_looked_into_is_passed() -> None:
    levels = [
        Level(directory=Path("/a/b"), problem="Permission denied"),
        Level(directory=Path("/a"), files={"pixi.toml": b""}),
    ]
    project, passed = closest(levels)
    assert project is not None
    assert project.path == Path("/a/pixi.toml")
    assert [(each.path, each.why) for each in passed] == [(Path("/a/b"), "Permission denied")]


def test_a_file_that_counts_and_cannot_be_read_is_no_other_one() -> None:
    levels = [Level(directory=Path("/a"), files={"pyproject.toml": "Permission denied"})]
    with pytest.raises(
        ConfigError, match=r"cannot read /a/pyproject\.toml: Permission denied; make"
    ):
        closest(levels)


trees = st.lists(
    st.fixed_dictionaries(
        {}, optional={name: st.sampled_from([text, ""]) for name, text in CONTENTS.items()}
    ),
    min_size=1,
    max_size=6,
)
"""What each directory has, from the notebook's upwards. An empty pyproject.toml is no project."""


@given(tree=trees, home_at=st.integers(0, 7), repository_at=st.integers(0, 7))
def test_in_any_tree_it_is_the_first_file_of_the_first_level_that_has_one(
    tree: list[dict[str, str]],
    home_at: int,
    repository_at: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    directories = [root.joinpath(*"abcdefg"[: len(tree) - at]) for at in range(len(tree))]
    directories[0].mkdir(parents=True, exist_ok=True)
    for directory, files in zip(directories, tree, strict=True):
        for name, text in files.items():
            (directory / name).write_text(text)
    home = directories[home_at] if home_at < len(tree) else directories[-1]
    if repository_at < len(tree):
        (directories[repository_at] / ".git").mkdir()
    last = min(home_at, repository_at, len(tree) - 1)
    expected = [
        directory / name
        for directory, files in list(zip(directories, tree, strict=True))[: last + 1]
        for name in NAMES
        if name in files and (name != "pyproject.toml" or files[name])
    ]
    project, _ = closest(levels_above(directories[0], home))
    assert (project.path if project else None) == (expected[0] if expected else None)
