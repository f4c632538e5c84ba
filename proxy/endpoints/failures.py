"""What an error of those who answer is to the client: the one place where that is decided."""

from __future__ import annotations

from proxy.endpoints.routes import Response, refusal
from proxy.errors import InternalError, KernelGone, KmuxError, kind_of


def innermost(error: Exception) -> Exception:
    """Take off the groups that nurseries put around an error. Of several, the first one counts."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def response_to(error: Exception) -> Response:
    """Tell a client what its request met with: its status, the line, and the kind by name."""
    if isinstance(error, KmuxError):
        return refusal(error.status, str(error), reason=kind_of(error))
    why = "something failed here; the log has what"
    return refusal(InternalError.status, why, reason=InternalError.__name__)


def is_ours(error: Exception) -> bool:
    """Whether an error is to be looked into here. A kernel that is gone has its own line."""
    return not isinstance(error, KmuxError) or (
        error.status >= KmuxError.status and not isinstance(error, KernelGone)
    )
