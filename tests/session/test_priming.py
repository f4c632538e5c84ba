"""A ledger that begins late, as conversations with a kernel that was found running."""

from __future__ import annotations

from typing import Any

from proxy.message import Message
from proxy.session.commands import ToClient, ToKernel
from proxy.session.comms import read
from proxy.session.events import KernelLaunched, Restored, RestoredComm, ShuttingDown
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from tests.messages import as_json, message, reply, request, status
from tests.session.playbook import (
    CONTROL,
    SHELL,
    Frontend,
    Playbook,
    answered,
    asks_kernel,
    fires,
    kernel,
    kernel_info,
    play,
    question_of,
    starts_timer,
    to_kernel,
    true_status,
)

alice, bob = Frontend("alice"), Frontend("bob")
WIDGETS = {c: {"target_name": "jupyter.widget"} for c in ("layout", "slider")}
STATES = {
    "layout": {"model_name": "LayoutModel", "state": {"_model_name": "LayoutModel"}},
    "slider": {"model_name": "IntSliderModel", "state": {"value": 7}},
}


def proven(
    *, busy: bool, subshells: bool = True, known: Restored | None = None
) -> tuple[Playbook, Message]:
    """It has answered; kmux asks for its comms. Returns that question."""
    playbook = play(Session("kmux-1", Policy(on_death="end", owns_kernel=False)))
    if known is not None:
        playbook.when(known).expect()
    playbook.when(KernelLaunched(at=0, interrupt_mode="message", found=True))
    on_shell, on_control = [c.message for c in playbook.done if hasattr(c, "routing")]
    asked = on_control if busy else on_shell
    features = ["kernel subshells"] if subshells else []
    answer = reply(asked, **{**kernel_info(), "supported_features": features})
    playbook.when(
        kernel.publishes(status("busy", asked)),
        kernel.publishes(status("idle", asked)),
        kernel.answers(None, answer, CONTROL if busy else SHELL),
    )
    state, channel = ("busy", CONTROL) if busy else ("idle", SHELL)
    question = question_of(playbook, "comm_info_request")
    playbook.expect(
        true_status(state), asks_kernel("comm_info_request", channel), starts_timer("priming")
    )
    return playbook, question


def tell(playbook: Playbook, question: Message, comms: dict[str, Any] = WIDGETS) -> Playbook:
    """The kernel says which comms it has."""
    return playbook.when(kernel.answers(None, reply(question, comms=comms)))


def states(parent: Message) -> Message:
    data = {
        "method": "update_states",
        "states": STATES,
        "buffer_paths": [["slider", "state", "raw"]],
    }
    content = {"comm_id": "kmux", "data": data}
    return message("comm_msg", content, parent=parent, session="kernel", buffers=[b"\x00"])


def idle(playbook: Playbook, question: Message) -> Playbook:
    return playbook.when(kernel.publishes(status("idle", question)))


def is_filled(playbook: Playbook) -> None:
    """A frontend is answered from the ledger: order, states, buffers."""
    asked = message("comm_msg", {"comm_id": "slider", "data": {"method": "request_state"}})
    playbook.when(alice.sends(asked))
    answer = next(c.message for c in playbook.done if c.message.msg_type == "comm_msg")  # type: ignore[attr-defined]
    assert answer.content()["data"]["state"] == {"value": 7}
    assert answer.content()["data"]["buffer_paths"] == [["raw"]]
    assert answer.buffers == (b"\x00",)
    asked = request("comm_info")
    playbook.when(alice.sends(asked))
    (told,) = playbook.of_kind(ToClient)
    assert list(as_json(told.message.raw_content)["comms"]) == ["layout", "slider"]


def test_it_is_asked_on_control_as_well_since_it_may_be_busy() -> None:
    playbook = play(Session("kmux-1"))
    playbook.when(KernelLaunched(at=0, interrupt_mode="message", found=True)).expect(
        true_status("starting"),
        asks_kernel("kernel_info_request", SHELL),
        starts_timer("prove"),
        asks_kernel("kernel_info_request", CONTROL),
    )


def test_an_idle_kernel_tells_its_comms_and_all_states_on_shell() -> None:
    playbook, question = proven(busy=False)
    opens = question_of(tell(playbook, question), "comm_open")
    assert opens.metadata() == {"version": "1.0.0"}
    playbook.expect(
        asks_kernel("comm_open", target_name="jupyter.widget.control"), starts_timer("priming")
    )
    asked = question_of(idle(playbook, opens), "comm_msg")
    playbook.when(kernel.publishes(states(asked))).expect(asks_kernel("comm_close", comm_id="kmux"))
    is_filled(playbook)


def test_a_busy_kernel_does_so_on_a_subshell_which_is_deleted_in_the_end() -> None:
    playbook, question = proven(busy=True)
    wish = question_of(tell(playbook, question), "create_subshell_request")
    playbook.expect(asks_kernel("create_subshell_request", CONTROL), starts_timer("priming"))
    playbook.when(kernel.answers(None, reply(wish, subshell_id="s"), CONTROL))
    opens = question_of(playbook, "comm_open")
    asked = question_of(idle(playbook, opens), "comm_msg")
    close = question_of(playbook.when(kernel.publishes(states(asked))), "comm_close")
    assert {m.header.subshell_id for m in (opens, asked, close)} == {"s"}
    is_filled(playbook)
    idle(playbook, close).expect(asks_kernel("delete_subshell_request", CONTROL, subshell_id="s"))


def test_frontends_wait_for_it_and_see_nothing_of_it() -> None:
    playbook, question = proven(busy=False)
    asked = request("comm_info")
    playbook.when(alice.sends(asked)).expect()
    cell = request("execute", code="1")
    playbook.when(bob.sends(cell)).expect(to_kernel(cell, bob))
    tell(playbook, question, {"plot": {"target_name": "hv"}}).expect(
        answered(alice, asked, status="ok", comms={"plot": {"target_name": "hv"}})
    )


def test_a_kernel_that_refuses_the_control_comm_is_asked_for_each() -> None:
    """ipywidgets 7 has none."""
    playbook, question = proven(busy=False)
    opens = question_of(tell(playbook, question), "comm_open")
    refused = message("comm_close", {"comm_id": "kmux", "data": {}}, parent=opens)
    playbook.when(kernel.publishes(refused)).expect(
        asks_kernel("comm_msg", comm_id="layout"),
        asks_kernel("comm_msg", comm_id="slider"),
        starts_timer("priming"),
    )
    playbook.when(kernel.publishes(refused)).expect()
    for comm_id, state in (("layout", {}), ("slider", {"value": 7})):
        paths, buffers = ([["raw"]], [b"\x00"]) if comm_id == "slider" else ([], [])
        data = {"method": "update", "state": state, "buffer_paths": paths}
        said = message(
            "comm_msg",
            {"comm_id": comm_id, "data": data},
            parent=opens,
            session="kernel",
            buffers=buffers,
        )
        playbook.when(kernel.publishes(said))
    is_filled(playbook)


def test_one_that_does_not_answer_is_not_waited_for() -> None:
    """xeus-python and IRkernel answer no comm_info on control; busy, they answer nothing."""
    playbook, _ = proven(busy=True, subshells=False)
    asked = request("comm_info")
    playbook.when(alice.sends(asked)).expect()
    playbook.after(5).when(fires("priming")).expect(
        answered(alice, asked, status="ok", comms={}), true_status("busy")
    )


def test_the_states_of_one_that_is_busy_and_has_no_subshells_follow_when_it_is_idle() -> None:
    playbook, question = proven(busy=True, subshells=False)
    opens = question_of(tell(playbook, question), "comm_open")
    playbook.after(5).when(fires("priming")).after(5).when(fires("priming"))
    assert len(playbook.session.machines.comms.comms) == 2
    for comm_id in ("slider", "layout"):
        update = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
        said = message("comm_msg", {"comm_id": comm_id, "data": update}, parent=opens)
        playbook.when(kernel.publishes(said))
    comm = playbook.session.machines.comms.comms.get("slider")
    assert comm is not None
    assert comm.is_widget


def test_when_the_kernel_is_gone_who_waited_is_answered() -> None:
    playbook, _ = proven(busy=False)
    asked = request("comm_info")
    playbook.when(alice.sends(asked), kernel.dies())
    assert [c.message.parent for c in playbook.of_kind(ToClient)] == [asked.header]


def test_what_is_not_ours_is_not_shut_down() -> None:
    playbook, _ = proven(busy=False)
    playbook.when(ShuttingDown(at=0)).expect()


def remembered(session: str = "kernel") -> Restored:
    """What was known of the comms when kmux ended: the slider was at 7, and one has gone since."""
    known = []
    for comm_id, state in {**STATES, "gone": {"state": {}}}.items():
        content = {
            "comm_id": comm_id,
            "target_name": "jupyter.widget",
            "data": {"state": state["state"], "buffer_paths": []},
        }
        buffers = (b"\x00",) if comm_id == "slider" else ()
        if buffers:
            content["data"]["buffer_paths"] = [["raw"]]  # type: ignore[index]
        opened = message("comm_open", content, buffers=buffers)
        found = read(opened)
        assert found is not None
        known.append(
            RestoredComm(
                comm_id=comm_id,
                target_name="jupyter.widget",
                content=bytes(opened.raw_content),
                metadata=b'{"version": "2.1.0"}',
                buffers=buffers,
                fields=found.fields,
                opener=None,
            )
        )
    return Restored(at=0, kernel_session=session, comms=tuple(known))


def test_what_is_remembered_of_a_busy_kernel_holds_at_once() -> None:
    """One that tells its comms on control, and has no subshells for the rest."""
    playbook, question = proven(busy=True, subshells=False, known=remembered())
    tell(playbook, question).expect(
        asks_kernel("comm_msg", comm_id="layout", data={"method": "request_state"}),
        asks_kernel("comm_msg", comm_id="slider", data={"method": "request_state"}),
    )
    is_filled(playbook)


def test_it_is_corrected_when_the_kernel_has_time() -> None:
    playbook, question = proven(busy=True, subshells=False, known=remembered())
    tell(playbook, question)
    asked = [c.message for c in playbook.of_kind(ToKernel) if c.message.msg_type == "comm_msg"]
    data = {"method": "update", "state": {"value": 8}, "buffer_paths": []}
    answer = message("comm_msg", {"comm_id": "slider", "data": data}, parent=asked[1])
    playbook.when(kernel.publishes(status("busy", asked[1]))).expect()
    playbook.when(kernel.publishes(answer)).expect()
    playbook.when(kernel.publishes(status("idle", asked[1]))).expect()
    asked_by_alice = message("comm_msg", {"comm_id": "slider", "data": {"method": "request_state"}})
    playbook.when(alice.sends(asked_by_alice))
    told = next(c.message for c in playbook.done if c.message.msg_type == "comm_msg")  # type: ignore[attr-defined]
    assert told.content()["data"]["state"] == {"value": 8}


def test_what_is_remembered_of_another_kernel_is_nothing() -> None:
    playbook, question = proven(busy=False, known=remembered("another"))
    assert len(playbook.session.machines.comms.comms) == 0
    tell(playbook, question, {})
    assert len(playbook.session.machines.comms.comms) == 0


def test_an_idle_kernel_is_asked_all_the_same() -> None:
    playbook, question = proven(busy=False, known=remembered())
    opens = question_of(tell(playbook, question), "comm_open")
    asked = question_of(idle(playbook, opens), "comm_msg")
    playbook.when(kernel.publishes(states(asked))).expect(asks_kernel("comm_close", comm_id="kmux"))
    is_filled(playbook)
