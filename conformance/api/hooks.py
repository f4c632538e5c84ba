"""Loaded by Schemathesis: the session that runs for the whole time stays, others do not pile up.

It also counts how each operation was answered: one that is never got through to conforms to
anything.
"""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import schemathesis

MAX_SESSIONS = 6
"""How many may run at the same time, of those that were begun by chance."""
URL = os.environ["KMUX_CONFORMANCE_URL"]
TOKEN = os.environ["KMUX_CONFORMANCE_TOKEN"]
STAYS = os.environ["KMUX_CONFORMANCE_STAYS"]
"""The session that nobody may end, or call otherwise."""
STATUSES = Path(os.environ["KMUX_CONFORMANCE_STATUSES"])
"""Where the counts go in the end: by operation, by status."""
_begun: dict[str, None] = {}
_statuses: dict[str, Counter[int]] = defaultdict(Counter)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what would end the session that the rest is asked about."""
    of_it = case.path_parameters.get("name") == STAYS
    return not (of_it and case.method in ("DELETE", "PATCH") and case.path.endswith("{name}"))


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count, and end the oldest session where there are too many."""
    _statuses[f"{case.method} {case.path}"][response.status_code] += 1
    if response.status_code != 201 or "location" not in response.headers:
        return
    made = response.json()
    kernel = made.get("kernel") if isinstance(made.get("kernel"), dict) else made
    name = kernel["kmux"]["session"] if "kmux" in kernel else made["name"]
    if name != STAYS:
        _begun[name] = None
    while len(_begun) > MAX_SESSIONS:
        oldest = next(iter(_begun))
        del _begun[oldest]
        request = Request(f"{URL}kmux/sessions/{oldest}", method="DELETE")
        request.add_header("Authorization", f"token {TOKEN}")
        with suppress(OSError):  # Schemathesis may have ended it
            urlopen(request).close()


@atexit.register
def _write() -> None:
    STATUSES.write_text(json.dumps(_statuses))
