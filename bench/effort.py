"""How much is measured: every count and duration of a run, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Counts are per round and side; a round visits every side once."""

    rounds: int
    round_trips: int
    cell_rounds: int
    cells: int
    queue_rounds: int
    queue_cells: int
    burst_rounds: int
    burst_messages: int
    cell_burst_rounds: int
    cell_burst_messages: int
    fanout_rounds: int
    fanout_messages: int
    fanout_subscribers: tuple[int, ...]
    idle_seconds: float
    micro_repeats: int
    micro_messages: int
    latejoin_models: tuple[int, ...]
    latejoin_rounds: int
    latejoin_busy_rounds: int
    slider_rounds: int
    slider_updates: int
    session_turns: int
    session_replays: int
    memory_cycles: int
    memory_frontends: int
    memory_executions: int
    memory_models: tuple[int, ...]
    record_request_turns: int
    record_cell_turns: int
    record_burst_rounds: int
    record_burst_messages: int
    record_updates: tuple[int, ...]
    record_join_models: tuple[int, ...]
    record_join_rounds: int
    record_large_rounds: int
    daemon_sessions: tuple[int, ...]
    neighbour_rounds: int
    neighbour_seconds: float
    command_rounds: int
    command_sessions: tuple[int, ...]
    web_join_sliders: int
    web_join_rounds: int
    web_join_busy_rounds: int
    start_rounds: int
    cold_start_rounds: int


FULL = Effort(
    rounds=25,
    round_trips=400,
    cell_rounds=5,
    cells=60,
    queue_rounds=15,
    queue_cells=100,
    burst_rounds=7,
    burst_messages=100_000,
    cell_burst_rounds=5,
    cell_burst_messages=20_000,
    fanout_rounds=5,
    fanout_messages=20_000,
    fanout_subscribers=(1, 8, 32),
    idle_seconds=20.0,
    micro_repeats=5,
    micro_messages=10_000,
    latejoin_models=(10, 100, 1000),
    latejoin_rounds=15,
    latejoin_busy_rounds=7,
    slider_rounds=6,
    slider_updates=240,
    session_turns=100,
    session_replays=25,
    memory_cycles=3,
    memory_frontends=50,
    memory_executions=1000,
    memory_models=(1000, 6000),
    record_request_turns=200,
    record_cell_turns=300,
    record_burst_rounds=1,
    record_burst_messages=20_000,
    record_updates=(1_000, 10_000, 100_000),
    record_join_models=(300, 1000),
    record_join_rounds=8,
    record_large_rounds=6,
    daemon_sessions=(1, 10, 25, 50),
    neighbour_rounds=7,
    neighbour_seconds=2.0,
    command_rounds=7,
    command_sessions=(1, 20),
    web_join_sliders=100,
    web_join_rounds=5,
    web_join_busy_rounds=3,
    start_rounds=9,
    cold_start_rounds=3,
)
"""Some 40 minutes. Short rounds, and many of them: a shared machine is fast and slow by turns."""

QUICK = Effort(
    rounds=5,
    round_trips=200,
    cell_rounds=2,
    cells=15,
    queue_rounds=3,
    queue_cells=100,
    burst_rounds=1,
    burst_messages=20_000,
    cell_burst_rounds=1,
    cell_burst_messages=4_000,
    fanout_rounds=1,
    fanout_messages=4_000,
    fanout_subscribers=(1, 8, 32),
    idle_seconds=5.0,
    micro_repeats=3,
    micro_messages=3_000,
    latejoin_models=(10, 100, 1000),
    latejoin_rounds=3,
    latejoin_busy_rounds=1,
    slider_rounds=1,
    slider_updates=120,
    session_turns=20,
    session_replays=5,
    memory_cycles=2,
    memory_frontends=50,
    memory_executions=1000,
    memory_models=(1000,),
    record_request_turns=30,
    record_cell_turns=20,
    record_burst_rounds=1,
    record_burst_messages=4_000,
    record_updates=(1_000, 10_000),
    record_join_models=(300, 1000),
    record_join_rounds=3,
    record_large_rounds=2,
    daemon_sessions=(1, 10),
    neighbour_rounds=2,
    neighbour_seconds=1.0,
    command_rounds=2,
    command_sessions=(1, 20),
    web_join_sliders=100,
    web_join_rounds=1,
    web_join_busy_rounds=1,
    start_rounds=2,
    cold_start_rounds=1,
)
"""Twelve minutes, to see that everything works; the figures are rough."""
