"""What commands find out about a notebook's environment before they do something about it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from proxy.environments import chosen, finding
from proxy.environments.detection import Detection
from proxy.errors import ConfigError
from proxy.settings import Settings


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    notebook: Path
    text: str | None
    """What is in it, of which the detection is; None: it is not there yet."""
    detection: Detection

    @property
    def is_trusted(self) -> bool:
        """Whether Jupyter trusts it."""
        from proxy import trust  # it takes long to import

        return self.text is not None and trust.is_trusted(self.text)


def detected(notebook: Path, settings: Settings) -> Detected:
    """Find out which kernel and environment a notebook gets, by what is installed and chosen here.

    Raises :class:`ConfigError` where that cannot be known.
    """
    from proxy.kernels.specs import RealKernelSpecManager

    if not notebook.parent.is_dir():
        raise ConfigError(f"there is no directory {notebook.parent}")
    text = finding.text_of(notebook)
    choice = chosen.choice_of(settings, tuple(RealKernelSpecManager().find_kernel_specs()))
    detection = finding.of_text(text, notebook, notebook.parent, choice)
    return Detected(notebook=notebook, text=text, detection=detection)
