"""Which kernel and which environment a notebook gets: what it says, held against the rules.

Nothing is looked up here: what the notebook says, what the directories above it hold and what the
user has chosen come in, and a :class:`Detection` comes out, with the reasons. The labels are
nteract's, and each means what it says: the kernel runs in an environment that has just that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from proxy.environments import pep723, projects, requirements
from proxy.environments.projects import Level, Passed, Project
from proxy.environments.requirements import Requirement
from proxy.environments.wants import Inline, Wants
from proxy.errors import ConfigError

Runtime = Literal["python", "deno", "kernelspec"]
Source = Literal[
    "uv:inline",
    "conda:inline",
    "uv:pep723",
    "uv:pyproject",
    "conda:pixi",
    "conda:env_yml",
    "uv:prewarmed",
    "conda:prewarmed",
    "deno",
    "kernelspec",
]
FROM_NOTEBOOK = ("uv:inline", "conda:inline", "uv:pep723")
"""Those of which the notebook itself says what is installed."""
PREWARMED: dict[str, Literal["uv", "conda"]] = {"uv:prewarmed": "uv", "conda:prewarmed": "conda"}
"""Those of notebooks that ask for nothing, and what makes them."""
DENO_LANGUAGES = ("typescript", "javascript", "deno")
SHARED_SUFFIX = "-shared"
"""Of kmux's kernelspec for a kernel that is shared, ``ir-shared``: the notebook wants ``ir``."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the user has chosen (settings of the same names), and has."""

    default_runtime: Literal["python", "deno"] = "python"
    default_python_env: Literal["uv", "conda"] = "uv"
    inline_first: bool = True
    """Whether what a notebook lists comes before the project that it is in."""
    kernelspecs: Collection[str] = ()
    """Those that are installed."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was tried."""

    name: str
    """What it looks at, or the label that it gives."""
    matched: bool
    why: str


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and how."""

    runtime: Runtime
    source: Source
    """The label of the environment, ``env_source``."""
    kernelspec: str | None = None
    """Which one, where it is used as it is."""
    requirements: tuple[Requirement, ...] = ()
    """What a notebook lists itself."""
    python: str | None = None
    channels: tuple[str, ...] = ()
    project: Project | None = None
    script: str = ""
    """The block of PEP 723's metadata, which may have more to say than its dependencies."""
    deno_permissions: tuple[str, ...] | None = None
    runtime_rules: tuple[Rule, ...] = ()
    """In the order in which they were tried; the last one matched. Likewise below."""
    environment_rules: tuple[Rule, ...] = ()
    passed: tuple[Passed, ...] = ()
    """Files on the way to the project that do not count, and why."""

    @property
    def is_from_notebook(self) -> bool:
        """Whether the notebook itself says what to install: somebody else may have written it."""
        return self.source in FROM_NOTEBOOK


def detect(wants: Wants, levels: Iterable[Level], choice: Choice) -> Detection:
    """Find out. Levels are only looked at as far as it takes.

    Raises :class:`ConfigError` where what matches cannot be meant: packages that are none, a
    project file that cannot be read.
    """
    wants = msgspec.structs.replace(wants, kernel=_unshared(wants.kernel, choice))
    runtime, rules = _runtime(wants, choice)
    if runtime == "kernelspec":
        return Detection(
            runtime=runtime, source="kernelspec", kernelspec=wants.kernel, runtime_rules=rules
        )
    if runtime == "deno":
        return Detection(
            runtime=runtime,
            source="deno",
            deno_permissions=wants.deno_permissions,
            runtime_rules=rules,
        )
    found = _environment(wants, levels, choice)
    return msgspec.structs.replace(found, runtime_rules=rules)


# Which kernel


def _unshared(kernel: str, choice: Choice) -> str:
    is_installed = kernel.lower() in {each.lower() for each in choice.kernelspecs}
    return kernel if is_installed else kernel.removesuffix(SHARED_SUFFIX)


def _runtime(wants: Wants, choice: Choice) -> tuple[Runtime, tuple[Rule, ...]]:
    tried: list[Rule] = []

    def rule(name: str, said: str, runtime: Runtime | None, otherwise: str) -> Runtime | None:
        why = f"{said!r} is {_RUNTIMES[runtime]}" if runtime else otherwise
        tried.append(Rule(name=name, matched=runtime is not None, why=why))
        return runtime

    kernel = wants.kernel
    by_name: Runtime | None = None
    if kernel.lower() == "deno":
        by_name = "deno"
    elif "python" in kernel.lower():
        by_name = "python"
    elif kernel.lower() in {each.lower() for each in choice.kernelspecs}:
        by_name = "kernelspec"
    unknown = f"no kernel {kernel!r} is installed" if kernel else "the notebook names none"
    found = (
        rule("kernelspec name", kernel, by_name, unknown)
        or rule("kernelspec language", *_by_language(wants.kernel_language))
        or rule("language_info name", *_by_language(wants.language))
    )
    if found is None:
        language = wants.kernel_language or wants.language
        if language:  # another language's code is not to run in the default one
            raise ConfigError(
                f"the notebook is in {language}, and {unknown}; install a kernel for it, or choose "
                "one with --kernel"
            )
        found = choice.default_runtime
        tried.append(Rule(name="default_runtime", matched=True, why=f"the setting is {found!r}"))
    return found, tuple(tried)


_RUNTIMES = {"python": "Python", "deno": "Deno", "kernelspec": "an installed kernel"}


def _by_language(said: str) -> tuple[str, Runtime | None, str]:
    language = said.lower()
    if language in DENO_LANGUAGES:
        return said, "deno", ""
    if language in ("python", "ipython"):
        return said, "python", ""
    return said, None, f"{said!r} is neither Python nor Deno" if said else "the notebook names none"


# Which environment


def _environment(wants: Wants, levels: Iterable[Level], choice: Choice) -> Detection:
    tried: list[Rule] = []
    passed: list[Passed] = []

    def inline() -> Detection | None:
        return _from_metadata(wants, tried) or _from_script(wants, tried)

    def project() -> Detection | None:
        found, others = projects.closest(levels)
        passed.extend(others)
        if found is None:
            tried.append(Rule(name="project", matched=False, why="no project file is above it"))
            return None
        tried.append(Rule(name=found.label, matched=True, why=f"{found.path} is the closest"))
        return Detection(runtime="python", source=found.label, project=found)

    order = (inline, project) if choice.inline_first else (project, inline)
    found = order[0]() or order[1]()
    if found is None:
        kind = choice.default_python_env
        label: Source = "uv:prewarmed" if kind == "uv" else "conda:prewarmed"
        why = f"nothing else is asked for; default_python_env is {kind!r}"
        tried.append(Rule(name=label, matched=True, why=why))
        found = Detection(runtime="python", source=label)
    return msgspec.structs.replace(found, environment_rules=tuple(tried), passed=tuple(passed))


def _from_metadata(wants: Wants, tried: list[Rule]) -> Detection | None:
    for label, said, read in (
        ("uv:inline", wants.uv, requirements.for_uv),
        ("conda:inline", wants.conda, requirements.for_conda),
    ):
        if said is None or not said.dependencies:
            why = "the notebook has none" if said is None else f"{said.where} lists none"
            tried.append(Rule(name=label, matched=False, why=why))
            continue
        tried.append(Rule(name=label, matched=True, why=f"{said.where} lists {_count(said)}"))
        return Detection(
            runtime="python",
            source=label,  # type: ignore[arg-type]
            requirements=read(said.dependencies, f"{said.where}.dependencies"),
            python=said.python,
            channels=said.channels,
        )
    return None


def _from_script(wants: Wants, tried: list[Rule]) -> Detection | None:
    said = pep723.script_of(wants.first_code)
    if said is None or not (said.dependencies or said.python):
        what = "its first code cell has no '# /// script' block"
        why = what if said is None else "the '# /// script' block asks for nothing"
        tried.append(Rule(name="uv:pep723", matched=False, why=why))
        return None
    why = "the '# /// script' block of the first code cell says so"
    tried.append(Rule(name="uv:pep723", matched=True, why=why))
    return Detection(
        runtime="python",
        source="uv:pep723",
        requirements=requirements.for_uv(said.dependencies, "the '# /// script' block"),
        python=said.python,
        script=said.block,
    )


def _count(said: Inline) -> str:
    number = len(said.dependencies)
    return f"{number} package{'' if number == 1 else 's'}"
