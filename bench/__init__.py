"""Benchmarks: kmux beside direct ZMQ, libzmq's own proxy and jupyter_server's WebSocket."""
