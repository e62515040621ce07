"""What a preset stands for: networks, windows and memories that go together."""

from __future__ import annotations

from dataclasses import dataclass

_BEST = ("diagonal_lstm:12:kalman_units", "diagonal_lstm:12:kalman_units", "diagonal_lstm:48:frozen", "ar:24")


@dataclass(frozen=True)
class Preset:
    """Settings that go together, and sizes that follow from them.

    Attributes
    ----------
    one, several : tuple of str
        The networks of one channel and of several. The alerts of one channel hear its networks.
    values, pairs : int
        Codes that each memory of values and of pairs has room for (``scoring/novelty.py``).
    """

    one: tuple[str, ...]
    several: tuple[str, ...]
    values: int = 400
    pairs: int = 1024


PRESETS = {
    "default": Preset(("lstm", "gru", "diagonal_lstm"), ("lstm",)),
    "forecast": Preset(("lstm", "gru", *_BEST), _BEST),
}
