"""What a notebook says, as it stands in real files and in broken ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from proxy.environments.wants import Inline, Wants, wants_of
from proxy.errors import ConfigError
from tests.strategies import json_values


def notebook(metadata: Any = None, *sources: Any) -> dict[str, Any]:
    cells = [{"cell_type": "code", "source": source} for source in sources]
    return {"cells": cells, "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5}


def test_all_that_it_may_say() -> None:
    said = notebook(
        {
            "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
            "language_info": {"name": "python", "version": "3.11.2"},
            "runt": {
                "schema_version": "1",
                "uv": {"dependencies": ["numpy", " pandas>=2 "], "requires-python": ">=3.11"},
                "conda": {
                    "dependencies": ["scipy"],
                    "channels": ["conda-forge", "bioconda"],
                    "python": "3.12",
                },
                "deno": {"permissions": ["--allow-net=example.org"]},
            },
        },
        "1 + 1",
    )
    assert wants_of(said) == Wants(
        kernel="python3",
        kernel_language="python",
        language="python",
        uv=Inline(where="metadata.runt.uv", dependencies=("numpy", "pandas>=2"), python=">=3.11"),
        conda=Inline(
            where="metadata.runt.conda",
            dependencies=("scipy",),
            channels=("conda-forge", "bioconda"),
            python="3.12",
        ),
        first_code="1 + 1",
        deno_permissions=("--allow-net=example.org",),
    )


def test_keys_from_before_there_was_runt_count_where_there_is_none() -> None:
    old = {"uv": {"dependencies": ["numpy"]}, "conda": {"dependencies": ["scipy"]}}
    wants = wants_of(notebook(old))
    assert wants.uv == Inline(where="metadata.uv", dependencies=("numpy",))
    assert wants.conda == Inline(where="metadata.conda", dependencies=("scipy",))
    assert wants_of(notebook({**old, "runt": {}})) == Wants()
    assert wants_of(notebook({"deno": {"permissions": ["-A"]}})).deno_permissions is None


def test_the_first_code_cell_is_the_first_cell_with_code() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": ["a\n", "b"]},
        {"cell_type": "code", "source": "c"},
    ]
    assert wants_of({"cells": cells}).first_code == "a\nb"


@pytest.mark.parametrize("tree", [None, [], "", {}, {"metadata": []}, {"cells": {"a": 1}}])
def test_what_says_nothing_wants_nothing(tree: object) -> None:
    assert wants_of(tree) == Wants()


@pytest.mark.parametrize(
    ("runt", "message"),
    [
        ({"uv": ["numpy"]}, "metadata.runt.uv is to be a table with a list of dependencies"),
        ({"uv": {"dependencies": "numpy"}}, "metadata.runt.uv.dependencies is to be a list of"),
        ({"conda": {"dependencies": [1]}}, "metadata.runt.conda.dependencies is to be a list of"),
        ({"conda": {"channels": "conda-forge"}}, "metadata.runt.conda.channels is to be a list"),
        ({"uv": {"requires-python": 3.11}}, "metadata.runt.uv.requires-python is to be a text"),
        ({"conda": {"python": 3.12}}, "metadata.runt.conda.python is to be a text"),
        ({"deno": {"permissions": "-A"}}, "metadata.runt.deno.permissions is to be a list of"),
    ],
)
def test_packages_that_cannot_be_meant_are_an_error(runt: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        wants_of(notebook({"runt": runt}))
    assert str(error.value).startswith(message)


@given(json_values)
def test_any_json_is_read_or_refused(tree: object) -> None:
    for each in (tree, {"metadata": tree}, {"metadata": {"runt": tree}}, {"cells": tree}):
        try:
            wants_of(each)
        except ConfigError as error:
            assert "\n" not in str(error)
