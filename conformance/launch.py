"""Count a kernel that goes through kmux, then become kmux.

The argv of the kernelspecs that stand in for real kernels: a suite also passes when the
redirection silently fails, so every kernel that kmux is asked for leaves a line. ``exec`` keeps
the process id: signals, the parent and the exit status are kmux's own.

    python -IS launch.py COUNT_FILE ARGUMENTS…   =   count, then: python -m proxy ARGUMENTS…
"""

import json
import os
import sys

if __name__ == "__main__":
    count_file, *arguments = sys.argv[1:]
    record = {"test": os.environ.get("PYTEST_CURRENT_TEST", ""), "argv": arguments}
    # One write of one short line in append mode: kernels that start at once do not mix theirs.
    with open(count_file, "a", buffering=1) as file:
        file.write(json.dumps(record) + "\n")
    os.execv(sys.executable, [sys.executable, "-m", "proxy", *arguments])
