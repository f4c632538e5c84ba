"""Real kernels: found, launched, connected, watched, ended."""
