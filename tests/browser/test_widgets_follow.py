"""A slider in two windows of two servers: whoever moves it, it moves for all, once."""

from __future__ import annotations

import pytest

from tests.browser.lab import Desk

pytestmark = [pytest.mark.timeout(120), pytest.mark.thorough]

SLIDER = """\
import ipywidgets as W
speed = W.IntSlider(3, description="speed", max=1000)
seen = []
speed.observe(lambda change: seen.append(change["new"]), "value")
speed"""
STEPS = 30
MOST = 3
"""Messages for each that was sent: its echo or the kernel's own word, to each of two windows; and
one more, for whatever a new version finds necessary."""


@pytest.mark.parametrize("kernel", ["python3", "python3-silent"], ids=["echo", "no-echo"])
def test_a_slider_moves_everywhere(desk: Desk, kernel: str) -> None:
    desk.write(SLIDER, kernel=kernel)
    first = desk.window()
    first.shows("idle")
    first.run(0)
    first.save()
    second = desk.window("second")
    for mover, follower, where in ((first, second, 0.2), (second, first, 0.7)):
        mover.slider("speed").shows(follower.slider("speed").value())
        value = mover.slider("speed").click(where)
        follower.slider("speed").shows(value)
    assert first.value("speed.value = 70; speed.value") == "70"
    for window in (first, second):
        window.slider("speed").shows(70)

    for mover, follower in ((first, second), (second, first)):
        sent_before = len(mover.traffic.sent("comm_msg"))
        heard_before = [len(window.traffic.heard("comm_msg")) for window in (first, second)]
        there = [step / STEPS for step in range(1, STEPS + 1)]
        value = mover.slider("speed").drag([*there, *reversed(there), 0.1, 0.9, 0.4])
        mover.until(mover.traffic.is_settled, "the drag is over for the kernel")
        follower.slider("speed").shows(value)
        mover.slider("speed").shows(value)
        assert first.value("speed.value") == str(value)
        for window in (first, second):  # and it is still so: nothing came back
            window.slider("speed").shows(value)
        sent = len(mover.traffic.sent("comm_msg")) - sent_before
        heard = [
            len(window.traffic.heard("comm_msg")) - before
            for window, before in zip((first, second), heard_before, strict=True)
        ]
        desk.note(f"a drag of {2 * STEPS} steps: {sent} updates sent, {heard} heard")
        assert 0 < sent <= 2 * STEPS + 5, "no more than the mouse made"
        assert sum(heard) <= MOST * sent, "and no storm of them"
    assert len(eval(first.value("seen"))) <= 2 * (2 * STEPS + 5) + 5
