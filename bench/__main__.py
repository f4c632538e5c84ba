"""Command line of the benchmarks: ``python -m bench [--json FILE] [--quick] [SCENARIO …]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import zmq

from bench import (
    burst,
    commands,
    daemon,
    environments,
    fanout,
    idle,
    latejoin,
    memory,
    micro,
    neighbour,
    pool,
    queue,
    record_burst,
    record_join,
    record_large,
    record_path,
    record_size,
    roundtrip,
    session,
    slider,
    web_burst,
    web_fanout,
    web_join,
    web_roundtrip,
)
from bench.effort import FULL, QUICK, Effort
from bench.errors import BenchError
from bench.report import Result, machine_facts
from bench.workspace import Workspace, open_workspace

SCENARIOS: dict[str, Callable[[Workspace, Effort], Result]] = {
    "micro": micro.micro,
    "session": session.session,
    "roundtrip-synthetic": roundtrip.synthetic,
    "roundtrip-ipykernel": roundtrip.ipykernel,
    "queue": queue.queue,
    "burst-synthetic": burst.synthetic,
    "burst-ipykernel": burst.ipykernel,
    "fanout": fanout.fanout,
    "latejoin": latejoin.latejoin,
    "slider": slider.slider,
    "idle": idle.idle,
    "memory": memory.memory,
    "daemon": daemon.daemon,
    "commands": commands.commands,
    "neighbour": neighbour.neighbour,
    "web-roundtrip": web_roundtrip.web_roundtrip,
    "web-burst": web_burst.web_burst,
    "web-fanout": web_fanout.web_fanout,
    "web-join": web_join.web_join,
    "environments": environments.environments,
    "pool": pool.pool,
    "record-path": record_path.record_path,
    "record-burst": record_burst.record_burst,
    "record-size": record_size.record_size,
    "record-join": record_join.record_join,
    "record-large": record_large.record_large,
}
LONG: dict[str, Callable[[Workspace, Effort], Result]] = {
    "record-size-million": record_size.record_size_million,
}
"""Those that run only when they are named."""


def main() -> int:
    options = _parse()
    signal.signal(signal.SIGTERM, _end)
    facts = machine_facts()
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    started = time.monotonic()
    with open_workspace() as workspace:
        for name in options.scenarios or SCENARIOS:
            print()
            if sys.stdout.isatty():
                print(f"… {name}", end="\r", flush=True)
            try:
                scenario = (SCENARIOS | LONG)[name]
                results[name] = scenario(workspace, QUICK if options.quick else FULL)
            except (BenchError, zmq.ZMQError, OSError) as error:
                failed[name] = f"{type(error).__name__}: {error}"
                print(f"{name} failed: {failed[name]}")
            else:
                print(results[name], flush=True)
    _print_summary(results, failed, time.monotonic() - started)
    if options.json:
        document = {
            "quick": options.quick,
            "machine": facts,
            "scenarios": {name: result.as_json() for name, result in results.items()},
            "failed": failed,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure kmux beside direct ZMQ, zmq_proxy, jupyter_server and its gateway.",
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"one of {', '.join(SCENARIOS)}; all. {', '.join(LONG)} only where it is named",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures here")
    parser.add_argument(
        "--quick", action="store_true", help="twelve minutes instead of forty; rough"
    )
    options = parser.parse_args()
    for name in options.scenarios:
        if name not in SCENARIOS | LONG:
            parser.error(f"no scenario {name!r}; there are {', '.join(SCENARIOS | LONG)}")
    return options


def _print_summary(results: dict[str, Result], failed: dict[str, str], seconds: float) -> None:
    print(f"\nTargets ({seconds:.0f} s)")
    for name, result in results.items():
        for target in result.targets:
            print(f"  {name:20} {target}")
    for name, why in failed.items():
        print(f"  {name:20} FAILED  {why}")


def _end(number: int, frame: FrameType | None) -> Any:
    """On SIGTERM leave as on Ctrl-C: by way of everything that ends processes."""
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
