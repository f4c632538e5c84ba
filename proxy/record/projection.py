"""State into the document: writes what changed, and only ever writes.

Objects of the document are known by the ids that Automerge gave them when they were made. All that
is known of what the document has stands in the state itself (``written``, ``stale``, ``changed``)
and here; when a document takes another one's place, both begin anew.
"""

from __future__ import annotations

from collections import deque

from proxy.record import trees
from proxy.record.archive import Page, page_tree
from proxy.record.document import ROOT, Document, ObjId, Tree, Writer
from proxy.record.folding import Folding
from proxy.record.state import Comm, Execution, Output, SessionRecord, Stream


class _ExecutionIds:
    __slots__ = ("map", "outputs", "texts")

    def __init__(self, map_: ObjId, outputs: ObjId) -> None:
        self.map = map_
        self.outputs = outputs
        self.texts: dict[Stream, ObjId] = {}
        """The lists of the chunks of what was printed."""


def forget(record: SessionRecord) -> None:
    """No document has anything of it."""
    for execution in record.executions.values():
        execution.outputs.written = 0
        execution.outputs.stale.clear()
        execution.outputs.cleared = False
        for output in execution.outputs.items:
            if isinstance(output, Stream):
                output.chunks_written = 0
    for comm in record.comms.values():
        comm.is_written = False


class Projection:
    """One document, made anew from a record, and then kept up to it."""

    def __init__(self, record: SessionRecord, archive: list[Page]) -> None:
        self.document = Document()
        self._record = record
        self._executions: dict[int, _ExecutionIds] = {}
        self._comms: dict[str, tuple[ObjId, ObjId]] = {}
        self._session: dict[str, Tree] = {}
        """What the document says of the session."""
        self._clients: dict[str, Tree] = {}
        self._rest: dict[str, Tree] = {}
        self.made_of = (0, 0, 0)
        """Changes, operations and bytes that it took to make it."""
        self._pages = deque(archive)
        """Those of the archive that the document does not name yet."""
        self._limit = 0
        """How many operations there may be at the end of the present transaction."""
        with self.document.write() as writer:
            writer.put(ROOT, "schema", trees.SCHEMA)
            self._session_id = writer.put_map(ROOT, "session")
            self._clients_id = writer.put_map(ROOT, "clients")
            self._executions_id = writer.put_list(ROOT, "executions")
            self._comms_id = writer.put_map(ROOT, "comms")
            self._archive_id = writer.put_list(ROOT, "archive")
            self._write_session(writer)
        forget(record)

    def is_made(self) -> None:
        """All of the record is in it: what comes from now on is change."""
        document = self.document
        self.made_of = (document.changes, document.operations, document.bytes_written)

    def write(self, changes: Folding) -> bool:
        """Write some of what changed, in one transaction. Returns whether there is more.

        What is written is taken out of the changes.
        """
        self._limit = OPERATIONS_AT_ONCE + self.document.operations
        with self.document.write() as writer:
            if changes.changed_session:
                self._write_session(writer)
                changes.changed_session = False
            while self._pages and not self._is_enough():
                writer.append_tree(self._archive_id, page_tree(self._pages.popleft()))
            for number in tuple(changes.changed_executions):
                if self._is_enough():
                    return True
                self._write_execution(writer, number, changes.changed_executions[number])
                if self._is_enough():  # it may have more
                    return True
                del changes.changed_executions[number]
            for comm_id in tuple(changes.changed_comms):
                if self._is_enough():
                    return True
                self._write_comm(writer, changes.changed_comms.pop(comm_id))
        return bool(self._pages)

    def _is_enough(self) -> bool:
        """Whether the present transaction has as much as it should."""
        return self.document.operations > self._limit

    def _write_session(self, writer: Writer) -> None:
        record = self._record
        session = trees.session_tree(record)
        _write_map(writer, self._session_id, self._session, session)
        self._session = session
        clients = trees.clients_tree(record)
        for gone in self._clients.keys() - clients.keys():
            writer.delete(self._clients_id, gone)
        kept = {key: tree for key, tree in self._clients.items() if key in clients}
        _write_map(writer, self._clients_id, kept, clients)
        self._clients = clients
        rest: dict[str, Tree] = {
            "queue": trees.queue_tree(record),
            "let_go": trees.let_go_tree(record.let_go),
            "missed": trees.missed_tree(record),
        }
        _write_map(writer, ROOT, self._rest, rest)
        self._rest = rest

    def _write_execution(self, writer: Writer, number: int, execution: Execution) -> None:
        """Write what changed of an execution, or some of it where that is enough."""
        ids = self._executions.get(number)
        changed, execution.changed = execution.changed, set()
        outputs = execution.outputs
        if ids is None:
            if number not in self._record.executions:
                return
            index = len(self._executions)
            map_ = writer.insert_map(self._executions_id, index)
            ids = _ExecutionIds(map_, writer.put_list(map_, "outputs"))
            self._executions[number] = ids
            outputs.written, outputs.cleared = 0, False
            changed = set(trees.EXECUTION_FIELDS)
        for name in trees.EXECUTION_FIELDS:
            if name in changed:
                writer.put_tree(ids.map, name, trees.field_of_execution(execution, name))
        if outputs.cleared:
            outputs.cleared, outputs.written = False, 0
            ids.outputs = writer.put_list(ids.map, "outputs")
            ids.texts.clear()
        while outputs.stale and not self._is_enough():
            place = outputs.stale.pop()
            if place < outputs.written:
                shown = writer.put_map(ids.outputs, place)
                _write_map(writer, shown, {}, trees.output_tree(outputs.items[place]))
        if outputs.written:
            last = outputs.items[outputs.written - 1]  # those before it have not grown
            if isinstance(last, Stream):
                _write_chunks(writer, ids.texts[last], last)
        while outputs.written < len(outputs.items) and not self._is_enough():
            place = outputs.written
            self._add_output(writer, ids, place, outputs.items[place])
            outputs.written += 1

    def _add_output(self, writer: Writer, ids: _ExecutionIds, place: int, output: Output) -> None:
        shown = writer.insert_map(ids.outputs, place)
        for key, tree in trees.output_tree(output).items():
            inner = writer.put_tree(shown, key, tree)
            if isinstance(output, Stream) and key == "text":
                assert inner is not None
                ids.texts[output] = inner
                output.chunks_written = len(output.chunks)

    def _write_comm(self, writer: Writer, comm: Comm) -> None:
        ids = self._comms.get(comm.comm_id)
        fields, comm.changed_fields = comm.changed_fields, set()
        keys, comm.changed_keys = comm.changed_keys, set()
        if ids is None or not comm.is_written:  # new, or opened again
            if self._record.comms.get(comm.comm_id) is not comm:
                return
            map_ = writer.put_map(self._comms_id, comm.comm_id)
            ids = self._comms[comm.comm_id] = map_, writer.put_map(map_, "state")
            fields, keys = set(trees.COMM_FIELDS), set(comm.values)
            comm.is_written = True
        map_, state = ids
        for name in trees.COMM_FIELDS:
            if name in fields:
                writer.put_tree(map_, name, trees.field_of_comm(comm, name))
        for key in keys & comm.values.keys():
            writer.put_tree(state, key, trees.key_tree(comm, key))


OPERATIONS_AT_ONCE = 25
"""In one transaction: some 1 ms, in which nothing else happens. A cell takes 22. A transaction by
itself takes 30 µs, so larger ones would save nothing."""


def _write_map(writer: Writer, obj: ObjId, before: dict[str, Tree], now: dict[str, Tree]) -> None:
    for key, tree in now.items():
        if key not in before or before[key] != tree:
            writer.put_tree(obj, key, tree)


def _write_chunks(writer: Writer, text: ObjId, stream: Stream) -> None:
    for place in range(stream.chunks_written, len(stream.chunks)):
        tree = trees.value_tree(stream.chunks[place])
        if isinstance(tree, dict):
            _write_map(writer, writer.insert_map(text, place), {}, tree)
        else:
            assert isinstance(tree, str)
            writer.insert(text, place, tree)
    stream.chunks_written = len(stream.chunks)
