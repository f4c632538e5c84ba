"""Facts into state: what a session remembers, changed by what happened.

Nothing here waits, reads a clock or knows Automerge. A value that has to become a blob is left as
a :class:`values.Large`, to be stored before the document is written.

Output widgets (ipywidgets' ``OutputModel``) take outputs out of cells: while one's ``msg_id`` names
a request, what that request shows is the widget's, as it is in JupyterLab and in nbclient. A
frontend that has the widget does the same and sends the list to the kernel, whose echo replaces
what was put together here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from proxy.message import JSON_ERRORS, ClientId, Message, MsgId
from proxy.record import outputs as shown
from proxy.record.notebook import as_notebook_outputs
from proxy.record.state import Comm, Display, Error, Execution, Outputs, SessionRecord, Stream
from proxy.record.values import BINARY, INLINE_BYTES, Large, json_value, text_value
from proxy.session import facts
from proxy.session.comms import Field, Fields

OUTPUT_MODEL = b'"OutputModel"'
MAX_OPEN_DISPLAYS = 10_000
"""Display ids that can be updated; the oldest go."""


class _Cell(msgspec.Struct, frozen=True):
    """What is read of an execute_request."""

    code: str = ""
    silent: bool = False
    store_history: bool = True


class _CellMetadata(msgspec.Struct, frozen=True):
    """Where frontends say which cell of a notebook it is."""

    cellId: str | None = None
    cell_id: str | None = None


class _KernelInfo(msgspec.Struct, frozen=True):
    class _Language(msgspec.Struct, frozen=True):
        name: str = ""

    language_info: _Language = _Language()


_cell_decoder = msgspec.json.Decoder(_Cell)
_metadata_decoder = msgspec.json.Decoder(_CellMetadata)
_info_decoder = msgspec.json.Decoder(_KernelInfo)
_text_decoder = msgspec.json.Decoder(str)


class Folding:
    """Changes a session's record. ``limit`` is from where on a value is a blob."""

    def __init__(self, record: SessionRecord, limit: int = INLINE_BYTES) -> None:
        self.record = record
        self.changed_executions: dict[int, Execution] = {}
        self.changed_comms: dict[str, Comm] = {}
        self.changed_session = True
        """Whether anything else changed."""
        self._limit = limit
        self._numbers: dict[MsgId, int] = {}
        """The latest execution of a msg_id, while it is not complete and idle."""
        self._displays: dict[str, list[tuple[int, int]]] = {}
        """Where displays of an id are: execution and place."""
        self._hooks: dict[str, list[str]] = {}
        """The Output widgets that take what a request shows, by its msg_id; the last one does."""
        self._captured: dict[str, Outputs] = {}
        """What Output widgets show, by comm_id."""
        self._shown_anew: set[str] = set()
        """Those of them that showed more since the record was written last."""
        self._adopted: dict[int, Execution] = {}
        """Cells that run and of whose end the session will not tell: they came before kmux."""
        self._left_waiting: dict[MsgId, int] = {}
        """Cells that waited when the record was left; the session may go on with them."""
        self._found = False
        """Whether a kernel was found running, and it is not known yet which one it is."""
        self._next_execution = max(record.executions, default=0) + 1
        self._next_comm = max((comm.number for comm in record.comms.values()), default=0) + 1
        self._fold: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.KernelBegan: self._kernel_began,
            facts.KernelTold: self._kernel_told,
            facts.KernelEnded: self._kernel_ended,
            facts.CellQueued: self._queued,
            facts.CellSent: self._sent,
            facts.CellEnded: self._ended,
            facts.Published: self._published,
            facts.CommOpened: self._comm_opened,
            facts.CommChanged: self._comm_changed,
            facts.CommClosed: self._comm_closed,
        }
        self._resume()

    def _resume(self) -> None:
        """Go on with a record that was written before."""
        for number, execution in self.record.executions.items():
            if execution.state == "queued":  # it waited in kmux, and may be gone with that
                execution.state, execution.end = "complete", "lost"
                self._left_waiting[execution.msg_id] = number
            elif execution.state == "executing":
                self._numbers[execution.msg_id] = number
                self._adopted[number] = execution
            for place, output in enumerate(execution.outputs.items):
                if isinstance(output, Display) and output.display_id is not None:
                    self._show(output.display_id, number, place)
        for comm in self.record.comms.values():
            if comm.closed is None and comm.fields is not None:
                self._watch_hook(comm, comm.fields)

    def take(self, fact: facts.Fact) -> None:
        """Take in one fact."""
        self._fold[type(fact)](fact)

    def be(self, present: facts.Present) -> None:
        """Take in what the session is now."""
        record = self.record
        before = (record.execution_state, record.clients, record.queue)
        if before != (present.execution_state, present.clients, present.queue):
            record.execution_state = present.execution_state
            record.clients = present.clients
            record.queue = present.queue
            self.changed_session = True
        if present.execution_state == "idle" and not self._found:
            self._end_adopted()
        for comm_id, holders in (present.holders or {}).items():
            comm = self.record.comms.get(comm_id)
            if comm is not None and comm.holders != holders:
                comm.holders = holders
                comm.changed_fields.add("holders")
                self.changed_comms[comm_id] = comm

    def settle(self) -> list[Large]:
        """Make ready to be written: return the values that must be in the blob store before."""
        for comm_id in self._shown_anew:
            comm = self.record.comms[comm_id]
            listed = as_notebook_outputs(self._captured[comm_id].items)
            self._set_fields(comm, {"outputs": Field(msgspec.Raw(msgspec.json.encode(listed)))})
        self._shown_anew.clear()
        values: list[Any] = [self.record.kernel.info]
        for execution in self.changed_executions.values():
            values.append(execution.code)
            for place, output in enumerate(execution.outputs.items):
                if isinstance(output, Stream):
                    shown.settle(output, self._limit)
                    values += output.chunks[output.chunks_written :]
                elif place >= execution.outputs.written or place in execution.outputs.stale:
                    values += shown.larges(output)
        for comm in self.changed_comms.values():
            values += (comm.content, comm.metadata, *comm.buffers)
            for key in comm.changed_keys if comm.is_written else comm.values:
                value, buffers = comm.values.get(key, (None, []))
                values.append(value)
                values += (large for _, large in buffers)
        return [v for v in values if isinstance(v, Large) and not v.sha256]

    def let_go_of_outputs(self, number: int, count: int) -> None:
        """Let go of the first outputs of an execution. Those that stay move up."""
        execution = self.record.executions[number]
        del execution.outputs.items[:count]
        execution.dropped_outputs += count
        for display_id, places in tuple(self._displays.items()):
            left = [(n, p - count if n == number else p) for n, p in places]
            self._displays[display_id] = [(n, p) for n, p in left if p >= 0]

    # The kernel

    def _kernel_began(self, fact: facts.KernelBegan) -> None:
        kernel = self.record.kernel
        self._found = fact.found and kernel.number > 0 and kernel.ended is None
        if fact.env_source and fact.env_source != self.record.environment_source:
            self.record.environment_source = fact.env_source
            self.changed_session = True
        if not self._found:
            self._begin_kernel(fact.at)

    def _begin_kernel(self, at: float) -> None:
        kernel = self.record.kernel
        kernel.number += 1
        kernel.began, kernel.ended, kernel.execution_count = at, None, None
        self.changed_session = True
        self._close_all(at)
        self._numbers.clear()  # only now: the end of its cells is told behind its own

    def _kernel_told(self, fact: facts.KernelTold) -> None:
        kernel = self.record.kernel
        if self._found and kernel.session != fact.session:
            self._begin_kernel(fact.at)
        elif self._found and self.record.left is not None:
            self.record.missed.append((self.record.left, fact.at))
        self._found = False
        kernel.session = fact.session
        kernel.info = json_value(fact.content, self._limit)
        try:
            self.record.language = _info_decoder.decode(fact.content).language_info.name
        except JSON_ERRORS:
            self.record.language = ""
        self.changed_session = True

    def _kernel_ended(self, fact: facts.KernelEnded) -> None:
        self.record.kernel.ended = fact.reason
        self.changed_session = True
        self._close_all(fact.at)

    def _close_all(self, at: float) -> None:
        self._hooks.clear()
        self._end_adopted("lost")
        for comm in self.record.comms.values():
            self._close(comm, at)

    # Cells

    def _queued(self, fact: facts.CellQueued) -> None:
        cell = fact.message.content_as(_cell_decoder)
        if cell is None or cell.silent:
            return
        known = self._left_waiting.pop(fact.message.msg_id, None)
        before = self.record.executions.get(known) if known is not None else None
        if known is not None and before is not None and before.client == fact.client:
            self._numbers[before.msg_id] = known
            self._change(before, state="queued", end=None)
            return
        self._add_execution(
            Execution(
                msg_id=fact.message.msg_id,
                client=fact.client,
                session=fact.message.header.session or "",
                code=text_value(cell.code, self._limit),
                cell_id=_cell_id(fact.message),
                store_history=cell.store_history,
                queued=fact.at,
                kernel=self.record.kernel.number,
            )
        )

    def _add_execution(self, execution: Execution) -> Execution:
        number = self._next_execution
        self._next_execution += 1
        self.record.executions[number] = execution
        self._numbers[execution.msg_id] = number
        self.changed_executions[number] = execution
        return execution

    def _sent(self, fact: facts.CellSent) -> None:
        execution = self._of(fact.msg_id, fact.client)
        if execution is not None:
            execution.started = fact.at
            self._change(execution, state="executing", started=fact.at)

    def _ended(self, fact: facts.CellEnded) -> None:
        execution = self._of(fact.msg_id, fact.client)
        if execution is not None:
            self._change(execution, state="complete", end=fact.end, completed=fact.at)

    def _of(self, msg_id: MsgId, client: ClientId | None = None) -> Execution | None:
        number = self._numbers.get(msg_id)
        execution = self.record.executions.get(number) if number is not None else None
        if execution is None or client in (None, execution.client):
            return execution
        same = (e for e in self.record.executions.values() if e.msg_id == msg_id)
        return next((e for e in same if e.client == client and e.state != "complete"), None)

    def _change(self, execution: Execution, **values: Any) -> None:
        for name, value in values.items():
            setattr(execution, name, value)
            execution.changed.add(name)
        self._touch(execution)

    def _touch(self, execution: Execution) -> None:
        number = self._numbers.get(execution.msg_id)
        if number is None or self.record.executions.get(number) is not execution:
            number = next(n for n, e in self.record.executions.items() if e is execution)
        self.changed_executions[number] = execution

    def _end_adopted(self, end: str | None = None) -> None:
        for number, execution in self._adopted.items():
            if execution.state != "complete":
                last = execution.outputs.items[-1] if execution.outputs.items else None
                how = end or ("error" if isinstance(last, Error) else "ok")
                self._change(execution, state="complete", end=how)
                self.changed_executions[number] = execution
        self._adopted.clear()

    # Outputs

    def _published(self, fact: facts.Published) -> None:
        message = fact.message
        if message.parent is None:
            return
        content = shown.read(message)
        if content is None:
            return
        msg_type, msg_id = message.header.msg_type, message.parent.msg_id
        if msg_type == "execute_input":
            self._begun(message, content.code, content.execution_count, fact.at)
            return
        display_id = shown.display_id_of(content)
        if display_id is not None and msg_type in shown.DISPLAYS:
            self._replace_displays(display_id, content)
        if msg_type == "update_display_data":
            return
        if hook := self._hook_of(msg_id):
            self._captures(hook, msg_type, content)
            return
        execution = self._of(msg_id)
        if execution is None:
            return
        if msg_type == "clear_output":
            shown.clear(execution.outputs, wait=content.wait)
            if not content.wait:
                self._forget_displays(execution)
            self._touch(execution)
            return
        output = shown.output_of(msg_type, content, self._limit)
        if output is None:
            return
        if execution.outputs.clears:
            self._forget_displays(execution)
        place = shown.add(execution.outputs, output)
        if display_id is not None:
            self._show(display_id, self._numbers[msg_id], place)
        if content.execution_count is not None and msg_type == "execute_result":
            self._change(execution, execution_count=content.execution_count)
        self._touch(execution)

    def _begun(self, message: Message, code: str, count: int | None, at: float) -> None:
        parent = message.parent
        assert parent is not None
        execution = self._of(parent.msg_id)
        if execution is None:  # it came before kmux, or past it
            execution = self._add_execution(
                Execution(
                    msg_id=parent.msg_id,
                    client=None,
                    session=parent.session or "",
                    code=text_value(code, self._limit),
                    state="executing",
                    started=at,
                    kernel=self.record.kernel.number,
                )
            )
            self._adopted[self._numbers[execution.msg_id]] = execution
        self._change(execution, execution_count=count)
        self.record.kernel.execution_count = count
        self.changed_session = True

    def _show(self, display_id: str, number: int, place: int) -> None:
        self._displays.setdefault(display_id, []).append((number, place))
        if len(self._displays) > MAX_OPEN_DISPLAYS:
            del self._displays[next(iter(self._displays))]

    def _replace_displays(self, display_id: str, content: Any) -> None:
        for number, place in self._displays.get(display_id, ()):
            execution = self.record.executions.get(number)
            if execution is None or place >= len(execution.outputs.items):
                continue
            output = shown.output_of("display_data", content, self._limit)
            if isinstance(output, Display) and isinstance(execution.outputs.items[place], Display):
                shown.replace(execution.outputs, place, output)
                self.changed_executions[number] = execution

    def _forget_displays(self, execution: Execution) -> None:
        for places in self._displays.values():
            places[:] = [
                (n, place) for n, place in places if self.record.executions.get(n) is not execution
            ]

    # Output widgets

    def _hook_of(self, msg_id: str) -> str | None:
        hooks = self._hooks.get(msg_id)
        return hooks[-1] if hooks else None

    def _captures(self, comm_id: str, msg_type: str, content: Any) -> None:
        comm = self.record.comms.get(comm_id)
        if comm is None:
            return
        captured = self._captured.get(comm_id)
        if captured is None:
            items = shown.outputs_in(_json_of(comm, "outputs"))
            captured = self._captured[comm_id] = Outputs(items)
        if msg_type == "clear_output":
            shown.clear(captured, wait=content.wait)
        else:
            output = shown.output_of(msg_type, content, limit=sys.maxsize)
            if output is None:
                return
            shown.add(captured, output)
        self._shown_anew.add(comm_id)

    def _watch_hook(self, comm: Comm, fields: Fields) -> None:
        """An Output widget takes what a request shows from now on, or does not any more."""
        if "outputs" in fields:  # as a frontend sees it, or the kernel wants it
            self._shown_anew.discard(comm.comm_id)
            captured = self._captured.get(comm.comm_id)
            if captured is not None and not _is_list_of(captured, fields["outputs"]):
                del self._captured[comm.comm_id]
        if "msg_id" in fields and _is_output_widget(comm):
            self._take_off(comm.comm_id)
            msg_id = _as_text(fields["msg_id"])
            if msg_id:
                self._hooks.setdefault(msg_id, []).append(comm.comm_id)

    def _take_off(self, comm_id: str) -> None:
        for msg_id in [m for m, hooks in self._hooks.items() if comm_id in hooks]:
            self._hooks[msg_id].remove(comm_id)
            if not self._hooks[msg_id]:
                del self._hooks[msg_id]

    def _unhook(self, comm_id: str) -> None:
        """A comm is no Output widget any more, or begins to be another one."""
        self._take_off(comm_id)
        self._captured.pop(comm_id, None)
        self._shown_anew.discard(comm_id)

    # Comms

    def _comm_opened(self, fact: facts.CommOpened) -> None:
        message, fields = fact.message, fact.fields
        self._unhook(fact.comm_id)
        before = self.record.comms.get(fact.comm_id)
        again = before if before is not None and before.closed is None else None
        comm = Comm(
            comm_id=fact.comm_id,
            number=before.number if before is not None else self._next_comm,
            target_name=fact.target_name,
            content=json_value(bytes(message.raw_content), self._limit),
            metadata=json_value(bytes(message.raw_metadata), self._limit),
            opener=fact.opener if again is None else again.opener,
            opened=fact.at if again is None else again.opened,
            kernel=self.record.kernel.number,
            fields=dict(fields) if fields is not None else None,
        )
        if fields is None:
            comm.buffers = [Large(BINARY, "binary", len(part), part) for part in message.buffers]
        self._next_comm += before is None
        self.record.comms[fact.comm_id] = comm
        if fields is not None:
            comm.base = frozenset(key for key, field in fields.items() if not field.buffers)
            for key, field in fields.items():
                if field.buffers:
                    self._set_value(comm, key, field)
            self._watch_hook(comm, fields)
        self.changed_comms[fact.comm_id] = comm

    def _comm_changed(self, fact: facts.CommChanged) -> None:
        comm = self.record.comms.get(fact.comm_id)
        if comm is not None and comm.fields is not None:
            self._set_fields(comm, fact.fields)
            self._watch_hook(comm, fact.fields)

    def _set_fields(self, comm: Comm, fields: Fields) -> None:
        assert comm.fields is not None
        for key, field in fields.items():
            if comm.fields.get(key) == field:
                continue
            comm.fields[key] = field
            self._set_value(comm, key, field)
            comm.changed_keys.add(key)
            self.changed_comms[comm.comm_id] = comm

    def _set_value(self, comm: Comm, key: str, field: Field) -> None:
        """Keep the present value of a key. The last one before the record is written counts."""
        value = None if field.value is None else json_value(bytes(field.value), self._limit)
        buffers = []
        for path, part in field.buffers:
            large = Large(BINARY, "binary", len(part), part)
            buffers.append((msgspec.json.encode(path).decode(), large))
        comm.values[key] = (value, buffers)
        comm.base -= {key}

    def _comm_closed(self, fact: facts.CommClosed) -> None:
        comm = self.record.comms.get(fact.comm_id)
        if comm is not None:
            self._close(comm, fact.at)

    def _close(self, comm: Comm, at: float) -> None:
        if comm.closed is None:
            comm.closed = at
            comm.holders = ()
            comm.changed_fields |= {"closed", "holders"}
            self.changed_comms[comm.comm_id] = comm
            self._unhook(comm.comm_id)


def _cell_id(message: Message) -> str | None:
    try:
        metadata = _metadata_decoder.decode(message.raw_metadata)
    except JSON_ERRORS:
        return None
    return metadata.cellId or metadata.cell_id


def _is_output_widget(comm: Comm) -> bool:
    return _json_of(comm, "_model_name") == OUTPUT_MODEL


def _json_of(comm: Comm, key: str) -> bytes:
    """Return the JSON of one key of a widget's state; empty where it has none."""
    field = comm.fields.get(key) if comm.fields is not None else None
    return bytes(field.value) if field is not None and field.value is not None else b""


def _is_list_of(captured: Outputs, field: Field) -> bool:
    """Whether this is just what was captured: a frontend that did the same tells the kernel."""
    try:
        listed = msgspec.json.decode(field.value) if field.value is not None else None
    except JSON_ERRORS:
        return False
    return bool(listed == as_notebook_outputs(captured.items))


def _as_text(field: Field) -> str:
    try:
        return _text_decoder.decode(field.value) if field.value is not None else ""
    except JSON_ERRORS:
        return ""
