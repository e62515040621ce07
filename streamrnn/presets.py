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
    k1, k2 : int
        Of the detector's networks, where the settings say nothing; of shared ones while a prior is fitted.
    pairs : int
        Codes that each memory of pairs has room for (``scoring/novelty.py``).
    longest : int
        Records that an alert's demand is compared with at most (``scoring/alert.py``).
    recalls : bool
        Whether what was learned before a fault is kept, to be put back (``scoring/recall.py``).
    events, templates : int
        Newest events that a series remembers, and those that users spoke of (``scoring/feedback.py``).
    """

    one: tuple[str, ...]
    several: tuple[str, ...]
    k1: int = 1
    k2: int = 16
    pairs: int = 1024
    longest: int = 200
    recalls: bool = True
    events: int = 16
    templates: int = 8


PRESETS = {
    "default": Preset(("lstm", "gru", "diagonal_lstm"), ("lstm",)),
    "forecast": Preset(("lstm", "gru", *_BEST), _BEST),
    "light": Preset(
        ("rnn:7",), ("rnn:7",), k1=4, k2=4, pairs=144, longest=25, recalls=False, events=4, templates=2
    ),
    "shared": Preset(
        ("rnn:7:shared",), ("rnn:7:shared",), pairs=144, longest=25, recalls=False, events=4, templates=2
    ),
}
