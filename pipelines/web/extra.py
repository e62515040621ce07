"""Pages need Bokeh, which an extra brings."""

from __future__ import annotations

from importlib.util import find_spec

from streamrnn.errors import SettingsError

__all__ = ["need_bokeh"]


def need_bokeh(what: str) -> None:
    """Refuse what needs Bokeh where it is not installed; ``what`` is the option that asked.

    Raises
    ------
    SettingsError
    """
    if find_spec("bokeh") is None:
        raise SettingsError(f"{what} needs Bokeh; run: pip install 'streamrnn[web]'")
