"""What can go wrong with a benchmark."""


class BenchError(Exception):
    """A measurement could not be made, or what was measured was not what should have been."""
