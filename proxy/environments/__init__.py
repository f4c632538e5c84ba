"""Which environment a notebook wants, and how it comes to be."""
