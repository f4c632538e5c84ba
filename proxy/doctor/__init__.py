"""What goes wrong in practice: looked for, explained, and mended where that is safe.

One file for each check: a function from :class:`Surroundings` to findings, which looks at what is
there, changes nothing, and says what to do. What may be done without asking is a finding's ``fix``.
"""
