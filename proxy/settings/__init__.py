"""What the user may choose, and where kmux keeps things."""

from proxy.settings.directories import config_file, data_dir, log_file, runtime_dir
from proxy.settings.loading import load
from proxy.settings.table import Settings

__all__ = ["Settings", "config_file", "data_dir", "load", "log_file", "runtime_dir"]
