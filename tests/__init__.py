"""Tests of kmux. The tree mirrors ``proxy/``; frontends/ holds what needs real frontends."""
