"""Our side of automerge-repo's protocol, and peers that have Automerge's own."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from automerge import core
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.errors import ClientProtocolError, StoreError
from proxy.record import sync as sync_module
from proxy.record.addresses import new_document_id
from proxy.record.document import ROOT, Document, DocumentBroken
from proxy.record.sync import SyncServer
from tests.record.reader import Reader
from tests.record.serving import Book


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A server with one document, and peers."""

    def __init__(self, **content: Any) -> None:
        self.clock = Clock()
        self.server = SyncServer("kmux", self.clock)
        self.book = Book(self.server, **(content or {"n": 0}))

    def reader(self, name: str = "alice", **options: Any) -> Reader:
        """One that has found the document."""
        reader = Reader(self.server, name, **options)
        reader.find(self.book.id)
        reader.settle()
        assert reader.documents[self.book.id].get_heads() == self.book.document.heads
        return reader

    def has_all(self, reader: Reader) -> bool:
        """Whether it has all that we wrote."""
        theirs = {change.hash for change in reader.documents[self.book.id].get_changes([])}
        return {change.hash for change in self.book.document.changes_after([])} <= theirs


@pytest.fixture
def scene() -> Scene:
    return Scene()


def frames(reader: Reader) -> list[dict[str, Any]]:
    """All that is to be sent now."""
    sent = []
    while (frame := reader.peer.next_frame()) is not None:
        sent.append(cbor2.loads(frame))
    return sent


# Coming


def test_a_join_is_answered_with_who_we_are(scene: Scene) -> None:
    alice = Reader(scene.server)
    alice.say_one()
    (answer,) = frames(alice)
    assert (answer["type"], answer["senderId"], answer["targetId"]) == ("peer", "kmux", "alice")
    assert alice.peer.name == "alice"
    assert scene.server.peers == 1
    scene.server.disconnect(alice.peer)
    assert scene.server.peers == 0


def test_another_version_is_told_so_and_sent_away(scene: Scene) -> None:
    alice = Reader(scene.server)
    alice.outbox.clear()
    alice.send(type="join", supportedProtocolVersions=["2"])
    alice.say_one()
    (answer,) = frames(alice)
    assert (answer["type"], answer["message"]) == ("error", "unsupported protocol version")
    assert alice.peer.goodbye == "unsupported protocol version"


def test_who_does_not_say_who_it_is_is_not_heard(scene: Scene) -> None:
    alice = Reader(scene.server)
    alice.outbox.clear()
    alice.find(scene.book.id)
    with pytest.raises(ClientProtocolError, match="who it is"):
        alice.say_one()


def test_who_leaves_is_let_go(scene: Scene) -> None:
    alice = scene.reader()
    alice.send(type="leave")
    alice.say_one()
    scene.book.write(n=1)
    assert alice.peer.goodbye is not None
    assert frames(alice) == []


@pytest.mark.parametrize("old", [False, True])
def test_a_document_is_found_with_one_answer(scene: Scene, old: bool) -> None:
    for number in range(50):
        scene.book.write(n=number)
    alice = scene.reader(old=old)
    assert len(alice.steps) == 1
    assert alice.value(scene.book.id, "n") == 49
    assert alice.settle() == 0


@pytest.mark.parametrize("kind", ["find", "announce"])
def test_another_document_is_unavailable(scene: Scene, kind: str) -> None:
    """Repos tell every peer of all their documents, unless they are told not to."""
    alice, other = scene.reader(), new_document_id()
    if kind == "find":
        alice.find(other)
    else:
        alice.documents[other] = core.Document()
        alice.states[other] = core.SyncState()
        alice.write(other, "secret", 1)
    alice.settle()
    assert alice.unavailable == [other]
    assert alice.value(other, "secret") == (1 if kind == "announce" else None)
    assert scene.server.documents == {scene.book.id}


def test_an_empty_document_is_found_with_its_first_change() -> None:
    scene = Scene()
    document, document_id = Document(), new_document_id()
    scene.server.add(document_id, document)
    alice = Reader(scene.server)
    alice.find(document_id)
    alice.settle()
    with document.write() as writer:
        writer.put(ROOT, "n", 1)
    scene.server.changed(document_id)
    alice.settle()
    assert alice.value(document_id, "n") == 1


# Following


def test_a_change_wakes_those_who_read_it_and_takes_two_messages(scene: Scene) -> None:
    alice, bob = scene.reader(), Reader(scene.server, "bob")
    bob.settle()
    alice.woken = bob.woken = 0
    scene.book.write(n=1)
    assert (alice.woken, bob.woken) == (1, 0)
    assert alice.settle() == 2
    assert alice.value(scene.book.id, "n") == 1
    scene.server.changed(scene.book.id)
    assert alice.settle() == 0, "there was nothing new"


def test_who_reads_slowly_gets_fewer_and_larger_steps(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    alice.steps.clear()
    bob.steps.clear()
    for number in range(1, 101):
        scene.book.write(n=number)
        bob.settle()
        if number == 1:
            alice.hear_one()  # and then it is busy with that
        assert alice.peer.next_frame() is None
    alice.settle()
    assert len(alice.steps) == 2
    assert len(bob.steps) == 100
    assert alice.value(scene.book.id, "n") == bob.value(scene.book.id, "n") == 100


def test_who_acknowledges_nothing_is_told_again_after_a_while(scene: Scene) -> None:
    """automerge-repo puts aside what comes while it loads a document, until the next message."""
    alice = scene.reader()
    scene.book.write(n=1)
    assert alice.peer.next_frame() is not None, "and it is lost"
    scene.book.write(n=2)
    assert alice.peer.next_frame() is None
    due = alice.peer.due_at
    assert due is not None
    assert due == scene.clock.now + sync_module.UNACKNOWLEDGED_SECONDS
    scene.clock.now = due
    alice.settle()
    assert alice.value(scene.book.id, "n") == 2
    assert alice.peer.due_at is None


def test_who_has_changes_without_what_came_before_them_gets_that_too(scene: Scene) -> None:
    alice = scene.reader()
    scene.book.write(n=1)
    assert alice.peer.next_frame() is not None, "and it is lost"
    scene.clock.now += sync_module.UNACKNOWLEDGED_SECONDS
    peer = alice.peer
    reading = peer._readings[scene.book.id]
    scene.book.write(n=2)
    reading.known = 2  # as if it had said so
    alice.hear_one()
    alice.say_one()
    assert alice.value(scene.book.id, "n") == 0, "it cannot read that yet"
    assert peer.next_frame() is None
    scene.clock.now += sync_module.REPEAT_SECONDS
    alice.settle()
    assert alice.value(scene.book.id, "n") == 2


def test_who_asks_again_and_again_is_answered_once_a_second(scene: Scene) -> None:
    alice = scene.reader()
    for _ in range(20):
        alice.find(scene.book.id)
        while alice.say_one():
            pass
        alice.peer.next_frame()
    assert alice.peer.next_frame() is None
    scene.clock.now += sync_module.REPEAT_SECONDS
    alice.settle()
    assert len(alice.steps) == 2


def test_what_another_tab_of_the_browser_told_counts(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    scene.book.write(n=1)
    bob.settle()
    alice.documents[scene.book.id].merge(bob.documents[scene.book.id])
    alice._say(scene.book.id)
    alice.say_one()
    assert alice.peer.next_frame() is None


def test_who_comes_back_gets_what_it_missed(scene: Scene) -> None:
    alice = scene.reader()
    scene.server.disconnect(alice.peer)
    for number in range(200):
        scene.book.write(n=number, text="x" * 500)
    alice.connect()
    alice.settle()
    assert alice.value(scene.book.id, "n") == 199
    alice.connect()
    assert alice.settle() == 4, "join, peer, its message, and an answer without news"


def test_who_comes_back_to_another_process_gets_what_it_missed(scene: Scene) -> None:
    """The document was loaded from the disk. Only its last change is known by name."""
    alice, bob = scene.reader(), scene.reader("bob")
    scene.book.write(n=1)
    bob.settle()
    again = SyncServer("kmux", scene.clock)
    document = Document.load(scene.book.document.save())
    again.add(scene.book.id, document)
    for reader in (alice, bob):
        reader.server = again
        reader.connect()
        reader.steps.clear()
        reader.settle()
        assert reader.documents[scene.book.id].get_heads() == document.heads
        with document.write() as writer:
            writer.put(ROOT, "by", reader.name)
        again.changed(scene.book.id)
        reader.settle()
        assert reader.value(scene.book.id, "by") == reader.name
        assert len(reader.steps) == 2


def test_who_lost_its_copy_gets_all_of_it(scene: Scene) -> None:
    alice = scene.reader()
    scene.book.write(n=1)
    alice.settle()
    alice.find(scene.book.id)
    alice.settle()
    assert alice.value(scene.book.id, "n") == 1


# Peers that write


def test_a_peer_that_writes_is_on_its_own_with_that(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    before = scene.book.document.heads
    alice.write(scene.book.id, "mine", 1)
    assert alice.settle() == 1, "there is no answer to that"
    assert bob.settle() == 0
    assert scene.book.document.heads == before
    for number in range(1, 4):
        scene.book.write(n=number)
        assert alice.settle() == 2
        assert bob.settle() == 2
        alice.write(scene.book.id, "mine", 10 * number)
        assert alice.settle() == 1
    assert alice.value(scene.book.id, "n") == bob.value(scene.book.id, "n") == 3
    assert (alice.value(scene.book.id, "mine"), bob.value(scene.book.id, "mine")) == (30, None)
    assert scene.book.document.read() == {"n": 3}


def test_a_peer_that_wrote_comes_back_and_still_hears_all(scene: Scene) -> None:
    alice = scene.reader()
    alice.write(scene.book.id, "mine", 1)
    alice.settle()
    alice.connect()
    assert alice.settle() < 10
    scene.book.write(n=5)
    assert alice.settle() == 2
    assert (alice.value(scene.book.id, "n"), alice.value(scene.book.id, "mine")) == (5, 1)


def test_what_peers_write_is_never_sent(scene: Scene) -> None:
    alice = scene.reader()
    for number in range(10):
        alice.write(scene.book.id, "mine", number)
    scene.book.write(n=1)
    sizes = [len(frame) for frame in alice.outbox]
    alice.settle()
    assert max(sizes) < 400, "heads and a filter"


# Documents that go


def test_a_document_that_was_replaced_is_there_for_a_while(scene: Scene) -> None:
    alice = scene.reader()
    scene.server.retire(scene.book.id)
    scene.clock.now += sync_module.RETIRED_SECONDS - 1
    bob = scene.reader("bob")
    scene.clock.now += 1
    carol = Reader(scene.server, "carol")
    carol.find(scene.book.id)
    carol.settle()
    assert carol.unavailable == [scene.book.id]
    for reader in (alice, bob):
        assert reader.settle() == 0
        assert reader.value(scene.book.id, "n") == 0
        assert reader.peer.due_at is None
    assert scene.server.documents == set()
    scene.server.changed(scene.book.id)


def test_a_document_goes_while_a_peer_is_behind(scene: Scene) -> None:
    alice, other = scene.reader(), Book(scene.server, n=1)
    alice.find(other.id)
    scene.book.write(n=1)
    scene.server.retire(scene.book.id)
    scene.clock.now += sync_module.RETIRED_SECONDS
    alice.settle()
    assert alice.value(other.id, "n") == 1
    assert alice.value(scene.book.id, "n") == 0


def test_a_document_that_was_replaced_may_come_back(scene: Scene) -> None:
    scene.server.retire(scene.book.id)
    scene.server.add(scene.book.id, scene.book.document)
    scene.clock.now += 2 * sync_module.RETIRED_SECONDS
    scene.reader()


def test_a_peer_follows_to_the_next_document(scene: Scene) -> None:
    root = Book(scene.server, epoch=1, document=scene.book.url)
    alice = scene.reader()
    alice.find(root.id)
    alice.settle()
    following = Book(scene.server, n=100)
    root.write(epoch=2, document=following.url)
    scene.server.retire(scene.book.id)
    alice.settle()
    assert alice.value(root.id, "document") == following.url
    alice.find(following.id)
    alice.settle()
    assert alice.value(following.id, "n") == 100


def test_a_document_that_cannot_be_read_ends_the_connection_only(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = scene.reader(), Reader(scene.server, "bob")

    def broken(heads: object) -> list[object]:
        raise DocumentBroken("automerge panicked")

    scene.book.write(n=1)
    monkeypatch.setattr(scene.book.document, "changes_after", broken)
    with pytest.raises(StoreError):
        alice.settle()
    other = Book(scene.server, n=1)
    bob.find(other.id)
    bob.settle()
    assert bob.value(other.id, "n") == 1
    with pytest.raises(DocumentBroken):
        scene.server.changed(scene.book.id)


# Words that are kept nowhere


def say(reader: Reader, document_id: str, count: int = 1, data: bytes = b"\x01") -> None:
    reader.send(type="ephemeral", documentId=document_id, count=count, sessionId="s", data=data)
    reader.say_one()


def test_a_word_is_passed_on_to_the_others_who_have_the_document_open(scene: Scene) -> None:
    alice, bob, carol = scene.reader(), scene.reader("bob"), Reader(scene.server, "carol")
    say(alice, scene.book.id, data=b"\x18\x2a")
    for reader in (alice, bob, carol):
        reader.settle()
    assert (alice.heard, carol.heard) == ([], [])
    (message,) = bob.heard
    assert (message["senderId"], message["sessionId"], message["count"]) == ("alice", "s", 1)
    assert message["data"] == b"\x18\x2a"


def test_a_word_does_not_come_back_to_who_said_it_by_another_way(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    bob.send(
        type="ephemeral",
        documentId=scene.book.id,
        count=1,
        sessionId="s",
        data=b"\x01",
        senderId="alice",
    )
    bob.settle()
    assert frames(alice) == []


def test_a_flood_of_words_is_bounded(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    for count in range(1000):
        say(alice, scene.book.id, count)
    assert len(frames(bob)) == sync_module.EPHEMERAL_PER_SECOND
    scene.clock.now += 0.5
    for count in range(1000, 2000):
        say(alice, scene.book.id, count)
    assert len(frames(bob)) == sync_module.EPHEMERAL_PER_SECOND / 2


def test_who_does_not_hear_misses_the_oldest_words(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    for count in range(500):
        say(alice, scene.book.id, count)
        scene.clock.now += 1
    heard = frames(bob)
    assert len(heard) == sync_module.MAX_EPHEMERAL_WAITING
    assert heard[-1]["count"] == 499


def test_a_word_that_is_too_long_is_not_passed_on(scene: Scene) -> None:
    alice, bob = scene.reader(), scene.reader("bob")
    say(alice, scene.book.id, data=bytes(sync_module.EPHEMERAL_BYTES + 1))
    assert frames(bob) == []


# Peers that are no good


def test_one_who_asks_and_does_not_read_is_not_read_from(scene: Scene) -> None:
    alice = scene.reader()
    for _ in range(sync_module.MAX_ANSWERS):
        assert not alice.peer.is_behind
        alice.find(new_document_id())
        alice.say_one()
    assert alice.peer.is_behind
    alice.hear_one()
    assert not alice.peer.is_behind


sync_data = st.binary(max_size=150) | st.binary(max_size=150).map(lambda rest: b"\x42" + rest)
anything = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["join", "sync", "request", "ephemeral", "leave", "x"]),
        "senderId": st.sampled_from(["alice", "bob"]),
    },
    optional={
        "documentId": st.sampled_from(["it", "other"]),
        "data": sync_data,
        "count": st.integers(),
        "sessionId": st.text(max_size=3),
    },
)


@given(st.lists(st.binary(max_size=100) | anything, max_size=20))
def test_whatever_a_peer_sends_the_document_stays_and_others_hear_of_it(sent: list[Any]) -> None:
    scene = Scene(n=0)
    bob = scene.reader("bob")
    alice = Reader(scene.server)
    alice.say_one()
    before, saved = scene.book.document.heads, scene.book.document.save()
    for each in sent:
        if isinstance(each, bytes):
            frame = each
        else:
            ours = {"documentId": scene.book.id} if each.get("documentId") == "it" else {}
            frame = cbor2.dumps(each | ours)
        try:
            alice.peer.receive(frame)
            while alice.peer.next_frame() is not None:
                pass
        except ClientProtocolError as error:
            assert "\n" not in str(error)
    assert scene.book.document.heads == before
    assert scene.book.document.save() == saved
    scene.book.write(n=1)
    bob.settle()
    assert bob.value(scene.book.id, "n") == 1


class AnyInterleaving(RuleBasedStateMachine):
    """Peers of all kinds, whose frames arrive whenever they like."""

    @initialize(count=st.integers(1, 3), old=st.booleans())
    def begin(self, count: int, old: bool) -> None:
        self.scene = Scene(n=0)
        self.written: list[bytes] = self.scene.book.document.heads
        self.wrote: set[str] = set()
        self.readers = [Reader(self.scene.server, f"r{i}", old=old) for i in range(count)]

    def reader(self, which: int) -> Reader:
        return self.readers[which % len(self.readers)]

    @rule(which=st.integers(0, 2))
    def finds(self, which: int) -> None:
        reader = self.reader(which)
        reader.find(self.scene.book.id)
        self.wrote.discard(reader.name)

    @rule(which=st.integers(0, 2), times=st.integers(1, 4))
    def says(self, which: int, times: int) -> None:
        for _ in range(times):
            self.reader(which).say_one()

    @rule(which=st.integers(0, 2), times=st.integers(1, 4))
    def hears(self, which: int, times: int) -> None:
        for _ in range(times):
            self.reader(which).hear_one()

    @rule(which=st.integers(0, 2))
    def loses_a_message(self, which: int) -> None:
        self.reader(which).peer.next_frame()

    @rule(which=st.integers(0, 2), value=st.integers(0, 9))
    def writes(self, which: int, value: int) -> None:
        reader = self.reader(which)
        if self.scene.book.id in reader.documents:
            reader.write(self.scene.book.id, "mine", value)
            self.wrote.add(reader.name)

    @rule(which=st.integers(0, 2))
    def comes_back(self, which: int) -> None:
        self.reader(which).connect()

    @rule(times=st.integers(1, 5), value=st.integers(0, 9))
    def we_write(self, times: int, value: int) -> None:
        for step in range(times):
            self.scene.book.write(n=value + step, text="x" * 300)
        self.written = self.scene.book.document.heads

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.scene.clock.now += seconds

    @invariant()
    def only_we_wrote(self) -> None:
        if hasattr(self, "scene"):
            assert self.scene.book.document.heads == self.written

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        for _ in range(6):
            for reader in self.readers:
                reader.settle()
            self.scene.clock.now += sync_module.UNACKNOWLEDGED_SECONDS
        for reader in self.readers:
            assert reader.settle() == 0
            if self.scene.book.id in reader.documents:
                assert self.scene.has_all(reader)
                assert reader.peer.due_at is None
                if reader.name not in self.wrote:
                    heads = reader.documents[self.scene.book.id].get_heads()
                    assert heads == self.written


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(stateful_step_count=40)
