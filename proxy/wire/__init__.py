"""Bytes to messages and back: framing, signing, connection files. Pure functions."""
