"""What a session remembers, as plain Python: the truth of which the document is a projection.

Here are the things themselves; ``outputs.py`` and ``folding.py`` change them as facts come in, and
``projection.py`` writes what changed into the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.message import ClientId, MsgId
from proxy.record.values import Json, Large, Value
from proxy.session.comms import Field


@dataclass(slots=True, eq=False)
class Stream:
    """A run of what was printed to stdout or stderr, as it came, in pieces."""

    name: str
    chunks: list[str | Large] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    """What was printed since the record was written last."""
    dropped_bytes: int = 0
    """How much of its beginning was let go of."""
    chunks_written: int = 0
    """How many of the chunks the document has."""


@dataclass(slots=True, eq=False)
class Display:
    """A display_data or an execute_result."""

    output_type: str
    data: dict[str, Value]
    """By media type."""
    metadata: Json | Large
    execution_count: int | None = None
    display_id: str | None = None


@dataclass(slots=True, eq=False)
class Error:
    """A traceback."""

    ename: str
    evalue: str | Large
    traceback: list[str] | Large
    """The lines, or the JSON of the list."""


Output = Stream | Display | Error


@dataclass(slots=True, eq=False)
class Outputs:
    """A list of outputs: a cell's. ``outputs.py`` has the rules."""

    items: list[Output] = field(default_factory=list)
    clears: bool = False
    """Whether the next output takes the place of all (``clear_output`` with ``wait``)."""
    written: int = 0
    """How many of them the document has."""
    stale: set[int] = field(default_factory=set)
    """Those of them that were changed since."""
    cleared: bool = False
    """Whether all that the document has is to go."""


@dataclass(slots=True, eq=False)
class Execution:
    """One execute_request, from its arrival to its end."""

    msg_id: MsgId
    client: ClientId | None
    """None: of one that came before kmux, or past it."""
    session: str
    """The ``header.session`` of its request: which frontend it was."""
    code: str | Large
    cell_id: str | None = None
    """The notebook cell's, where the frontend says which (JupyterLab, nbclient, VS Code)."""
    store_history: bool = True
    state: str = "queued"
    """queued, executing or complete."""
    end: str | None = None
    """ok, error, interrupted, aborted or lost."""
    queued: float | None = None
    started: float | None = None
    completed: float | None = None
    """Times, seconds since 1970."""
    execution_count: int | None = None
    kernel: int = 1
    """Which of the session's kernels ran it, counted from 1."""
    outputs: Outputs = field(default_factory=Outputs)
    dropped_outputs: int = 0
    """How many of its outputs were let go of."""
    changed: set[str] = field(default_factory=set)
    """Its fields that the document does not have yet, where it has it at all."""


@dataclass(slots=True, eq=False)
class Comm:
    """One comm, open or closed."""

    comm_id: str
    number: int
    """The order in which comms were opened, from 1."""
    target_name: str
    content: Json | Large
    """The comm_open's content, with the state that it had then."""
    metadata: Json | Large
    opener: ClientId | None
    opened: float
    closed: float | None = None
    kernel: int = 1
    fields: dict[str, Field] | None = None
    """A widget's state as it is now; None where it is no widget's."""
    buffers: list[Large] = field(default_factory=list)
    """What came with the comm_open of one that is no widget's."""
    base: frozenset[str] = frozenset()
    """The keys whose present value is in ``content``."""
    values: dict[str, tuple[Json | Large | None, list[tuple[str, Large]]]] = field(
        default_factory=dict
    )
    """The other keys: their value, and the binary parts in it with their paths."""
    holders: tuple[ClientId, ...] = ()
    changed_fields: set[str] = field(default_factory=set)
    """Its own fields that the document does not have yet."""
    changed_keys: set[str] = field(default_factory=set)
    """The keys of its state that the document does not have yet."""
    is_written: bool = False
    """Whether the document has it at all."""


@dataclass(slots=True, eq=False)
class Kernel:
    """The kernel that a session has now."""

    number: int = 0
    session: str = ""
    info: Json | Large | None = None
    """The content of its kernel_info_reply."""
    execution_count: int | None = None
    """Of the last cell that it ran."""
    began: float | None = None
    ended: str | None = None
    """Why it is gone."""


@dataclass(slots=True, eq=False)
class LetGo:
    """What was let go of, by policy: the notebook says so."""

    executions: int = 0
    outputs: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class SessionRecord:
    """All of it."""

    name: str
    kernel_name: str
    language: str = ""
    environment_source: str = ""
    started: float = 0.0
    kernel: Kernel = field(default_factory=Kernel)
    execution_state: str = "starting"
    clients: dict[ClientId, float] = field(default_factory=dict)
    queue: tuple[tuple[ClientId, MsgId], ...] = ()
    executions: dict[int, Execution] = field(default_factory=dict)
    """In order of arrival, by a number of their own."""
    comms: dict[str, Comm] = field(default_factory=dict)
    """In order of opening; closed ones among them."""
    let_go: LetGo = field(default_factory=LetGo)
    missed: list[tuple[float, float]] = field(default_factory=list)
    """Times between which nobody listened to the kernel: what it printed is missing."""
    left: float | None = None
    """When it was written last by a kmux that ended; not written itself."""
    not_durable_since: float | None = None
    """Since when the disk takes nothing."""
