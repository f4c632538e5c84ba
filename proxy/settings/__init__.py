"""What the user may choose, and where kmux keeps things."""

from proxy.settings.directories import (
    cache_dir,
    config_file,
    data_dir,
    data_path,
    log_file,
    runtime_dir,
    runtime_path,
)
from proxy.settings.loading import load
from proxy.settings.table import Settings

__all__ = [
    "Settings",
    "cache_dir",
    "config_file",
    "data_dir",
    "data_path",
    "load",
    "log_file",
    "runtime_dir",
    "runtime_path",
]
