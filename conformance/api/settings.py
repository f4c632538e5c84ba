"""What Schemathesis is told besides the document: names that exist, and what is left alone.

Most of what it makes up names nothing. So that it gets further than 404, half of the names that it
uses are those of a session and a kernel that run.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

CHEAP_KERNEL = "bash"
"""Started again and again."""
UNKNOWN_IS_REFUSED = ["2xx", "400", "401", "403", "404", "409", "503"]
"""A kernelspec, a directory or a file may be a good name and not be there: no schema says that. A
kernel with any environment and arguments need not start."""
MAX_STEPS = 6
"""Of one conversation: a session begun, asked about, ended."""


class Running(msgspec.Struct, frozen=True):
    """What there is at the daemon from the start on."""

    session: str
    spare: str
    """Another session, which may be called otherwise, or ended."""
    connection_file: str
    kernel_id: str
    notebook_id: str
    blob: str
    """Of a picture that a cell of the session has shown."""


def configuration(running: Running, examples: int) -> str:
    """Write Schemathesis' configuration (TOML)."""
    return f"""\
[generation]
max-examples = {examples}
no-shrink = false

[phases.stateful]
max-steps = {MAX_STEPS}

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[checks.positive_data_acceptance]
expected-statuses = {msgspec.json.encode(UNKNOWN_IS_REFUSED).decode()}

[dictionaries.sessions]
values = ["{running.session}"]

[dictionaries.kernels]
values = ["{running.kernel_id}"]

[dictionaries.notebooks]
values = ["{running.notebook_id}"]

[dictionaries.kernelspecs]
values = ["{CHEAP_KERNEL}", "shared-{running.session}"]

[dictionaries.spare]
values = ["{running.spare}"]

[dictionaries.installed]
values = ["python3", "{CHEAP_KERNEL}"]

[dictionaries.pages]
values = ["index.html"]

[dictionaries.blobs]
values = ["{running.blob}"]

[dictionaries.resources]
values = ["logo-64x64.png"]

[dictionaries.connection_files]
values = ["{running.connection_file}"]

[parameters]
"path.name" = {{ dictionary = "sessions", probability = 0.5 }}
"path.kernel_id" = {{ dictionary = "kernels", probability = 0.5 }}
"path.sha256" = {{ dictionary = "blobs", probability = 0.5 }}
"path.session_id" = {{ dictionary = "notebooks", probability = 0.5 }}
"body.kernel" = {{ dictionary = "kernelspecs", probability = 0.7 }}
"body.connection_file" = {{ dictionary = "connection_files", probability = 0.5 }}

# Its end is the end of the run.
[[operations]]
include-name = "DELETE /kmux/daemon"
enabled = false

[[operations]]
include-name = "PATCH /kmux/sessions/{{name}}"
parameters = {{ "path.name" = {{ dictionary = "spare", probability = 0.5 }} }}

# DELETE detaches: an alias is gone then, but the session's own id goes on with its kernel.
[[operations]]
include-path-regex = "^/api/kernels/{{kernel_id}}"
checks.use_after_free.enabled = false

# Who asks for it without an upgrade is told to upgrade.
[[operations]]
include-path = ["/api/kernels/{{kernel_id}}/channels", "/kmux/watch"]
checks.positive_data_acceptance.expected-statuses = ["426", "404"]

[[operations]]
include-path = "/page/{{file}}"
parameters = {{ "path.file" = {{ dictionary = "pages", probability = 0.7 }} }}

[[operations]]
include-path-regex = "kernelspecs/{{name}}"
parameters = {{ "path.name" = {{ dictionary = "installed", probability = 0.7 }}, \
"path.file" = {{ dictionary = "resources", probability = 0.7 }} }}
"""


def write(directory: Path, running: Running, examples: int) -> Path:
    """Write it into a file."""
    file = directory / "schemathesis.toml"
    file.write_text(configuration(running, examples))
    return file
