"""The settings: each a field with its type and bounds, what it is for, and its default.

A new one is one field here and its line in docs/settings.md. Its environment variable is ``KMUX_``
and the name; a unit is part of the name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

Value = bool | int | float | str

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
Pooled = Annotated[int, Meta(ge=0, le=20)]
Period = Annotated[float, Meta(ge=0, le=1_000_000)]
"""In hours or days. The bound also keeps out TOML's inf and nan."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user has chosen."""

    daemon_execution: Annotated[
        bool,
        "Kernels run in the daemon and outlive what started them; false: within the command.",
    ] = True
    default_kernel: Annotated[
        Text, "The kernelspec of a session that names none; auto: what its notebook asks for."
    ] = "python3"
    default_runtime: Annotated[
        Literal["python", "deno"], "The kernel of a notebook that says nothing of its language."
    ] = "python"
    default_python_env: Annotated[
        Literal["uv", "conda"], "What makes the environment of a notebook that asks for none."
    ] = "uv"
    inline_first: Annotated[
        bool, "What a notebook lists comes before the project that it is in; false: after."
    ] = True
    default_packages: Annotated[
        str, "What the environment of a notebook that asks for none has too, blanks between."
    ] = ""
    conda_channels: Annotated[
        Text, "Where conda packages are from that name no channel, blanks between."
    ] = "conda-forge"
    pool_uv: Annotated[
        Pooled, "How many uv environments the daemon keeps ready for notebooks that ask for none."
    ] = 3
    pool_conda: Annotated[Pooled, "Likewise of conda packages, where py-rattler is there."] = 3
    pool_kernels: Annotated[bool, "Have a kernel wait in each of them, already started."] = True
    pool_days: Annotated[
        Period, "How old one of them may become before another one is made; 0: any age."
    ] = 2.0
    keep_environment_bytes: Annotated[
        Count, "How much all environments may have on the disk; 0: any."
    ] = 20 * 1024**3
    idle_timeout_hours: Annotated[
        Period, "End a kernel that no client has used for so long; 0: never."
    ] = 0.0
    max_age_hours: Annotated[Period, "End a kernel that is older; 0: never."] = 0.0
    away_hours: Annotated[
        Period,
        "How long a client that vanished may come back, before what it had is let go of.",
    ] = 24.0
    restart: Annotated[
        Literal["allow", "owner", "refuse"],
        "Who may restart a kernel: any client, the one that started it, or none.",
    ] = "allow"
    prompts: Annotated[
        Literal["wait", "anyone"],
        "An input() of a client that is away waits for it, or anyone may answer.",
    ] = "wait"
    record: Annotated[bool, "Keep on the disk what happens: cells, outputs, widgets."] = True
    keep_executions: Annotated[Count, "How many cells a session's record keeps; 0: all."] = 100_000
    keep_bytes: Annotated[Count, "How much a session's record keeps; 0: all."] = 10 * 1024**3
    keep_days: Annotated[Period, "How long a session's record keeps a cell; 0: for ever."] = 0.0
    inline_bytes: Annotated[
        int,
        Meta(ge=256, le=1024**2),
        "What is larger is kept beside a record's document, in a file of its own.",
    ] = 8192
    web: Annotated[bool, "Serve Jupyter's HTTP API and a status page, to who has the token."] = True
    web_address: Annotated[Text, "Where it listens. One that other machines reach needs TLS."] = (
        "127.0.0.1"
    )
    web_port: Annotated[
        int, Meta(ge=0, le=65535), "Its port; 0: any, and then always the same one."
    ] = 0
    web_origins: Annotated[
        str, "Pages from elsewhere that may use it: their origins, with blanks between them."
    ] = ""
    tls_certificate: Annotated[str, "A file with a certificate (PEM), for HTTPS; empty: HTTP."] = ""
    tls_key: Annotated[str, "The file with its key; empty: the same one."] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], "How much the daemon logs."
    ] = "info"
    log_bytes: Annotated[
        int, Meta(ge=100_000), "The size at which the daemon begins a new log file."
    ] = 10_000_000
    log_files: Annotated[
        int, Meta(ge=1, le=100), "How many log files there are: the present one and older ones."
    ] = 5


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about a setting, whatever its value."""

    name: str
    type: Any
    default: Value
    allowed: str
    """Which values, in words."""
    text: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"KMUX_{self.name.upper()}"


def descriptions() -> dict[str, Description]:
    """Return all settings by name, in the order of the table."""
    found = {}
    for field in msgspec.structs.fields(Settings):
        (text,) = (each for each in get_args(field.type) if isinstance(each, str))
        found[field.name] = Description(
            name=field.name,
            type=field.type,
            default=field.default,
            allowed=_allowed(field.type),
            text=text,
        )
    return found


def shown(value: object) -> str:
    """Write a value for people, as the file has it but for the quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _allowed(annotated: Any) -> str:
    """Say in words which values a type takes."""
    kind, *metadata = get_args(annotated)
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}"
    if kind is bool:
        return "true or false"
    if kind is str:
        return "a text"
    what = "a whole number" if kind is int else "a number"
    bounds = [each for each in metadata if isinstance(each, Meta)]
    least = next((bound.ge for bound in bounds if bound.ge is not None), None)
    most = next((bound.le for bound in bounds if bound.le is not None), None)
    if least is not None and most is not None:
        return f"{what} from {least} to {most}"
    return f"{what} of at least {least}" if least is not None else what
