"""The error tree: who is to blame, one line that says what to do next, and an exit code.

Every error that kmux raises on purpose is a :class:`KmuxError`. The command line prints its
message as one line and exits with its code; the log keeps the traceback. Over HTTP it is a status
and the same line, and the kind by name, so that who asked can raise it again.
"""


class KmuxError(Exception):
    """The root of the tree. ``exit_code`` is what the command line exits with."""

    exit_code = 1
    status = 500
    """What HTTP answers with. Where it is 500 or more, it is not the fault of who asked."""


class ConfigError(KmuxError):
    """What the user asked for cannot be done as asked: a name, a file, a port, a setting."""

    exit_code = 2
    status = 400


class NotFound(ConfigError):
    """What was named is not there."""

    status = 404


class Conflict(ConfigError):
    """It could be done, but not as things are now: a name is taken, a kernel is starting."""

    status = 409


class NotTrusted(ConfigError):
    """A notebook lists what is to be installed, and nobody here has said that it may be."""

    status = 403


class KernelGone(KmuxError):
    """The kernel did not start, or is no longer there."""

    exit_code = 3
    status = 503


class EnvironmentFailed(KmuxError):
    """An environment could not be made, and asking for another one would not help: no network."""

    exit_code = 6
    status = 503


class Unreachable(EnvironmentFailed):
    """... because the network does not lead to where packages are. What is cached can be had."""


class StoreError(KmuxError):
    """Something on disk that kmux keeps could not be read or written."""

    exit_code = 4


class DiskFull(StoreError):
    """There is no room for it."""

    status = 507


class DaemonGone(KmuxError):
    """No daemon listens. Nothing was asked, so one may be started and asked instead."""

    exit_code = 5


class DaemonSilent(KmuxError):
    """The daemon hung up, or took too long. What it was asked for may be done all the same."""

    exit_code = 5


class InternalError(KmuxError):
    """A bug in kmux."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class ProtocolError(KmuxError):
    """Frames that are not a valid Jupyter message. Dropped, counted and logged, never fatal."""

    reason = "malformed"


class ClientProtocolError(ProtocolError):
    """A frontend sent it."""

    status = 400


class KernelProtocolError(ProtocolError):
    """A kernel sent it."""


def kind_of(error: KmuxError) -> str:
    """Return the name of the nearest kind in this file, for who gets the error over a wire."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)


def of_kind(name: str, message: str) -> KmuxError | None:
    """Make an error again of what came over a wire. None where there is no such kind."""
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, KmuxError):
        return kind(message)
    return None
