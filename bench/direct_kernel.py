"""A kernel that jupyter_client starts, as a program would without kmux.

``python -m bench.direct_kernel KERNEL`` says ``ready`` when the kernel has answered, and ends it
when its stdin is closed.
"""

from __future__ import annotations

import sys

from jupyter_client.manager import start_new_kernel


def main() -> None:
    manager, client = start_new_kernel(kernel_name=sys.argv[1])
    print("ready", flush=True)
    sys.stdin.read()
    client.stop_channels()
    manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
