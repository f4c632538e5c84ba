"""What runs on this machine: the registry of sessions, and how to ask one about itself."""
