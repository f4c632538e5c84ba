"""Requirements: their names, and which of them are more than names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments import requirements
from proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("numpy", "numpy", "name"),
        ("NumPy", "numpy", "name"),
        ("ruamel.yaml>=0.18", "ruamel-yaml", "name"),
        ("pandas[performance] >=2,<3 ; python_version >= '3.11'", "pandas", "name"),
        ("my_package==1.0+local", "my-package", "name"),
        ("pkg @ https://example.org/pkg-1.0.tar.gz", "pkg", "url"),
        ("pkg @ git+https://example.org/pkg@main", "pkg", "url"),
        ("pkg @ file:///srv/pkg.whl", "pkg", "path"),
        ("https://example.org/pkg-1.0-py3-none-any.whl", "", "url"),
        ("git+ssh://git@example.org/pkg", "", "url"),
        ("git@example.org:pkg.git", "", "url"),
        ("./pkg", "", "path"),
        ("../pkg", "", "path"),
        ("/srv/pkg", "", "path"),
        ("~/pkg", "", "path"),
        ("file:///srv/pkg", "", "path"),
        ("pkg-1.0-py3-none-any.whl", "", "path"),
        ("dist/pkg-1.0.tar.gz", "", "path"),
        ("--index-url https://example.org/simple", "", "option"),
        ("-e .", "", "option"),
    ],
)
def test_for_uv(text: str, name: str, kind: str) -> None:
    (read,) = requirements.for_uv([text], "here")
    assert (read.text, read.name, read.kind) == (text, name, kind)
    assert bool(read.note) == (kind != "name")


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("numpy", "numpy", "name"),
        ("numpy=1.26", "numpy", "name"),
        ("numpy 1.26.* py311*", "numpy", "name"),
        ("numpy>=1.26,<2", "numpy", "name"),
        ("numpy[version='>=1']", "numpy", "name"),
        ("_libgcc_mutex=0.1", "_libgcc_mutex", "name"),
        ("R-base", "r-base", "name"),
        ("conda-forge::numpy", "numpy", "channel"),
        ("https://example.org/linux-64/pkg-1.0-0.conda", "", "url"),
        ("pkg-1.0-0.tar.bz2", "", "path"),
        ("./pkg-1.0-0.conda", "", "path"),
    ],
)
def test_for_conda(text: str, name: str, kind: str) -> None:
    (read,) = requirements.for_conda([text], "here")
    assert (read.text, read.name, read.kind) == (text, name, kind)


@pytest.mark.parametrize("text", ["", "numpy pandas", ">=2", "numpy>=", "!", "# numpy", "nümpy"])
def test_what_is_none_for_uv(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: .* is no requirement") as error:
        requirements.for_uv([text], "here")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "=1.0", "::numpy", "channel::", "-c evil", "$(id)", "a;b"])
def test_what_is_none_for_conda(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: .* names no package"):
        requirements.for_conda([text], "here")


@pytest.mark.parametrize("read", [requirements.for_uv, requirements.for_conda])
@pytest.mark.parametrize("text", ["numpy\n--index-url x", "numpy\r./evil", "a\x1b[2Jb", "a\u2028b"])
def test_one_line_is_one_requirement(read, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="characters that are none of a requirement"):
        read([text], "here")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (requirements.for_uv, requirements.for_conda):
        try:
            (one,) = read([text], "here")
        except ConfigError as error:
            assert "\n" not in str(error)
        else:
            assert one.name or one.kind in ("url", "path", "option")
