"""What can go wrong before a suite can run at all."""


class ConformanceError(Exception):
    """A suite cannot be run as asked; the message is one line that says what to do."""
