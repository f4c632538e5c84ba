"""Whether installed kernels can be started, and kmux's own kernelspecs lead to one."""

from __future__ import annotations

import sys
from collections.abc import Collection

from proxy import __version__
from proxy.daemon.vocabulary import AUTO
from proxy.doctor import ipykernels
from proxy.doctor.findings import Finding, error, ok, warning
from proxy.doctor.installed_specs import Spec, installed
from proxy.doctor.pythons import Answer, Question, ask
from proxy.doctor.surroundings import Surroundings
from proxy.errors import ConfigError
from proxy.settings import load

OURS = ("proxy",)
"""The module that kmux's kernelspecs run."""


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at each kernelspec, and ask its Python."""
    if surroundings.jupyter_runtime is None:
        return []  # it is said elsewhere
    specs = installed()
    questions = {spec.directory: question(spec) for spec in specs if spec.program is not None}
    answers = ask([each for each in questions.values() if each is not None])
    real = {spec.name for spec in specs if spec.shares is None and not spec.damage}
    sessions = {session.name for session in surroundings.sessions}
    sessions |= {each.state.name for each in surroundings.stored if each.state is not None}
    found = []
    for spec in specs:
        asked = questions.get(spec.directory)
        answer = None if asked is None else answers[asked]
        broken = _broken(spec)
        if broken is not None:
            found.append(broken)
        elif spec.shares is not None:
            found.append(judge_ours(spec, answer, real, sessions))
        elif asked is not None and answer is not None:
            found.append(ipykernels.judge(spec.name, " ".join(asked.command), answer))
        else:
            found.append(ok(f"{spec.name}: {spec.provisioner or spec.program}"))
    return [*found, *_default(real)]


def question(spec: Spec) -> Question | None:
    """Return what is to be asked of a kernelspec's Python, where it has one that is not ours."""
    if spec.provisioner:
        return None
    if spec.shares is None:
        command = spec.python(ipykernels.MODULES)
        return Question(command, "ipykernel", spec.own_environment) if command else None
    command = spec.python(OURS)
    if command is None or command == (sys.executable,):
        return None
    return Question(command, "kmux", spec.own_environment)


def _broken(spec: Spec) -> Finding | None:
    """Say why nothing can be started, whatever it is."""
    remedy = f"install it again, or remove it: jupyter kernelspec remove {spec.name}"
    if spec.damage:
        return error(f"{spec.name}: {spec.directory} cannot be read: {spec.damage}", remedy)
    if spec.provisioner:
        return _without_provisioner(spec, _provisioners())
    if not spec.argv:
        return error(f"{spec.name}: {spec.directory} has no argv", remedy)
    if spec.program is None:
        if spec.shares is not None:
            remedy = _ours_again(spec)
        return error(f"{spec.name}: its program is gone: {spec.argv[0]}", remedy)
    return None


def _provisioners() -> set[str]:
    from importlib.metadata import entry_points

    return {each.name for each in entry_points(group="jupyter_client.kernel_provisioners")}


def _without_provisioner(spec: Spec, known: Collection[str]) -> Finding | None:
    if spec.provisioner in known:
        return None
    return error(
        f"{spec.name}: the kernel provisioner {spec.provisioner!r} is not installed here",
        f"install the package that has it beside kmux: {sys.executable} -m pip install …",
    )


def judge_ours(
    spec: Spec, answer: Answer | None, real: Collection[str], sessions: Collection[str]
) -> Finding:
    """Say whether one of kmux's own leads somewhere. Without an answer its Python is this one."""
    assert spec.shares is not None
    if answer is not None and not answer.package:
        return error(f"{spec.name}: no kmux in {spec.argv[0]}: {answer.failure}", _ours_again(spec))
    kernel, session = spec.shares.get("kernel"), spec.shares.get("session")
    if kernel is not None and str(kernel).lower() not in real:
        return error(
            f"{spec.name}: it shares {kernel!r}, which is not installed",
            f"install {kernel}, or: kmux kernelspec remove {spec.name}",
        )
    if session is not None and session not in sessions:
        return warning(
            f"{spec.name}: it attaches to session {session!r}, which does not run",
            f"kmux new {session}, or: kmux kernelspec remove {spec.name}",
        )
    if answer is not None and answer.package != __version__:
        return warning(
            f"{spec.name}: it runs kmux {answer.package}, and this is {__version__}",
            _ours_again(spec),
        )
    return ok(f"{spec.name}: shares {kernel or session or 'a kernel'}")


def _ours_again(spec: Spec) -> str:
    kernel = (spec.shares or {}).get("kernel")
    remove = f"kmux kernelspec remove {spec.name}"
    return f"kmux kernelspec install --kernel {kernel}, or: {remove}" if kernel else remove


def _default(real: Collection[str]) -> list[Finding]:
    try:
        kernel = load().default_kernel
    except ConfigError:
        return []  # it is said elsewhere
    if kernel == AUTO or kernel.lower() in real:
        return []
    if not real:
        return [warning("no kernel is installed", "pip install ipykernel brings python3")]
    return [
        warning(
            f"the default kernel {kernel!r} is not installed",
            "install it, or choose another one: see kmux config default_kernel",
        )
    ]
