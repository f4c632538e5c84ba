"""Other projects' test suites, run unmodified: once directly, and once through kmux.

``python -m conformance`` prints the difference test by test. See README.md beside this file.
"""
