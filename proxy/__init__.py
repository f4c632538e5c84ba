"""kmux: one Jupyter kernel, any number of frontends."""

__version__ = "0.1.0"
