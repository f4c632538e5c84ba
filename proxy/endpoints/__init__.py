"""Where frontends attach. Endpoints move bytes and decide nothing."""
