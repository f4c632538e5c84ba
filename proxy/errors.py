"""The error tree: who is to blame, one line that says what to do next, and an exit code.

Every error that kmux raises on purpose is a :class:`KmuxError`. The command line prints its
message as one line and exits with its code; the log keeps the traceback.
"""


class KmuxError(Exception):
    """The root of the tree. ``exit_code`` is what the command line exits with."""

    exit_code = 1


class ConfigError(KmuxError):
    """What the user asked for cannot be done as asked: a name, a file, a port, a setting."""

    exit_code = 2


class KernelGone(KmuxError):
    """The kernel did not start, or is no longer there."""

    exit_code = 3


class StoreError(KmuxError):
    """Something on disk that kmux keeps could not be read or written."""

    exit_code = 4


class InternalError(KmuxError):
    """A bug in kmux."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class ProtocolError(KmuxError):
    """Frames that are not a valid Jupyter message. Dropped, counted and logged, never fatal."""

    reason = "malformed"


class ClientProtocolError(ProtocolError):
    """A frontend sent it."""


class KernelProtocolError(ProtocolError):
    """A kernel sent it."""
