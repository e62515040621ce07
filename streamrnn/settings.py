"""Every setting of a model.

Structural settings say what the numbers of a state mean: changing one needs a
new state. Tunable settings may change under a running model.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from streamrnn.errors import SettingsError
from streamrnn.networks import NetworkSpec, parse
from streamrnn.presets import PRESETS
from streamrnn.prior import Prior

__all__ = ["Settings"]

# A budget is counted in the series' own time; months and years are the usual averages.
_PERIODS_NS = {
    "hour": 3_600_000_000_000,
    "day": 86_400_000_000_000,
    "week": 604_800_000_000_000,
    "month": 2_592_000_000_000_000,
    "year": 31_536_000_000_000_000,
}
_DEFAULT_BUDGET = "1/week"
_DEFAULT_RATE = 1e-3
_NO_NETWORKS = ("none",)
_LONGEST_SEASON = 65_536
_LAG_UNIT = 8  # lags fill whole vectors of float64
_STRUCTURAL = (
    "channels", "preset", "networks", "hidden", "k1", "k2", "recompute", "horizons", "lags", "season", "seed",
    "prior",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a detector or a fleet.

    Parameters
    ----------
    channels : sequence of str
        Structural. Names of a record's values, in order.
    preset : str
        Structural. Networks and memories for a purpose: ``"default"``; ``"forecast"`` for the best
        forecasts at some three times the cost; ``"light"`` for many series: one small network
        and short memories in 20 KB a series of one channel; ``"shared"``, the same in 14 KB with the
        weights of a ``prior`` that it must have.
    networks : sequence of str
        Structural. The networks themselves; empty is the preset's. An entry is
        ``cell``, ``cell:units``, ``cell:unitsxlayers`` or ``cell:units:training``. Cells ``"lstm"``,
        ``"gru"``, ``"rnn"``, ``"rnn_relu"``, ``"rnn_logistic"``, ``"jordan"`` and ``"tdnn"``
        are networks of the detector; each channel's forecasts come from the others:
        ``"diagonal_lstm"``, trained by a Kalman filter, a cell with the training
        ``kalman``, ``adam_heads`` or ``frozen``, and ``"ar:24"``, an autoregression on 24 values. Without one
        of these the detector's networks forecast. ``"none"`` is no network at all: each forecast is the
        running mean, and no alert listens to it.
    hidden : int
        Structural. Hidden units of each network that does not say its own, 0 to 512; with
        0 only its readout is left, a linear forecaster on the lags.
    k1, k2 : int
        Structural. Truncated backpropagation through time: every ``k1`` records,
        through the last ``k2`` steps; 1 <= k1 <= k2 <= 4096. 0 is the preset's: 1 and 16,
        with ``"light"`` 4 and 4.
    recompute : bool
        Structural. Go back through activations recomputed under the current
        weights instead of those stored when each step was made.
    horizons : sequence of int
        Structural. How many records ahead to forecast; 1 is always among them.
    lags : int
        Structural. Past values of its own channel that a readout sees, and records that a
        ``tdnn`` sees; a multiple of 8, at most 64.
    season : int or str
        Structural. Records of a season, 2 to 65,536, whose values the forecasters see;
        ``"auto"`` looks for one, up to 682 records, ``"off"`` does not.
    seed : int
        Structural. Seed of the initial weights, 0 to 2^63 - 1.
    prior : Prior or None
        Structural. What series begin from instead of nothing: a file of ``streamrnn prior fit``,
        fitted on other series with these structural settings, but for ``seed``.
    false_alarms : str, float or None
        Tunable. A budget of events in the series' own time (``"1/week"``,
        ``"3/day"``) or the share of normal records that may alarm (``1e-4``).
        None is one a week where records have times and 1e-3 where they don't.
    coverage : float
        Tunable. Share of values that forecast intervals should hold, .5 to .999.
    learn_anomalies : bool
        Tunable. Whether records that alarm are learned from, after they are scored.
    learning_rate : float
        Tunable. Step size of Adam.

    Raises
    ------
    SettingsError
        Where a value is out of range; the message names it and says what fits.

    Examples
    --------
    >>> Settings(channels=["temperature"], false_alarms="2/day").hidden
    12
    >>> Settings(hidden=-1)
    Traceback (most recent call last):
    ...
    streamrnn.errors.SettingsError: hidden is -1; give a whole number from 0 to 512
    """

    channels: tuple[str, ...] = ("value",)
    preset: str = "default"
    networks: tuple[str, ...] = ()
    hidden: int = 12
    k1: int = 0
    k2: int = 0
    recompute: bool = False
    horizons: tuple[int, ...] = (1,)
    lags: int = 8
    season: int | str = "auto"
    seed: int = 0
    prior: Prior | None = None
    false_alarms: str | float | None = None
    coverage: float = 0.95
    learn_anomalies: bool = True
    learning_rate: float = 1.5e-3

    def __post_init__(self) -> None:
        _set(self, "channels", _names("channels", self.channels))
        if self.preset not in PRESETS:
            raise SettingsError(f"preset is {self.preset!r}; give one of {', '.join(PRESETS)}")
        preset = PRESETS[self.preset]
        default = preset.one if len(self.channels) == 1 else preset.several
        _set(self, "networks", _names("networks", self.networks or default))
        if len(set(self.channels)) != len(self.channels):
            raise SettingsError(f"channels names one channel twice: {list(self.channels)}")
        _check_together(self.specs)
        _whole("hidden", self.hidden, 0, 512)
        _set(self, "k2", self.k2 or preset.k2)
        _whole("k2", self.k2, 1, 4096)
        _set(self, "k1", self.k1 or min(preset.k1, self.k2))
        _whole("k1", self.k1, 1, self.k2)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _set(self, "prior", _prior(self.prior))
        _whole("lags", self.lags, _LAG_UNIT, 64)
        if self.lags % _LAG_UNIT:
            raise SettingsError(f"lags is {self.lags}; give a multiple of {_LAG_UNIT}")
        if self.season not in ("auto", "off"):
            _whole("season", self.season, 2, _LONGEST_SEASON, "auto", "off")
        given = [self.horizons] if isinstance(self.horizons, int) else list(self.horizons)
        for horizon in given:
            _whole("horizons", horizon, 1, 100_000)
        _set(self, "horizons", tuple(sorted({1, *given})))
        _fraction("coverage", self.coverage, 0.5, 0.999)
        _fraction("learning_rate", self.learning_rate, 0.0, 1.0)
        for name in ("recompute", "learn_anomalies"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is {getattr(self, name)!r}; give True or False")
        self.alarm_rate()

    @property
    def specs(self) -> tuple[NetworkSpec, ...]:
        """Each network that there is."""
        return () if self.networks == _NO_NETWORKS else tuple(map(parse, self.networks))

    def alarm_rate(self) -> tuple[float, float]:
        """(p-value that alarms, events a nanosecond) that ``false_alarms`` asks for.

        With a budget the second is positive and rules wherever the series'
        own time is known; the first serves where it is not.
        """
        asked = self.false_alarms
        if isinstance(asked, str) and "/" in asked:
            return _DEFAULT_RATE, _budget(asked)
        if asked is None:
            return _DEFAULT_RATE, _budget(_DEFAULT_BUDGET)
        try:
            rate = float(asked)
        except ValueError:
            raise SettingsError(_false_alarms_help(asked)) from None
        if isinstance(asked, bool) or not 1e-9 <= rate <= 0.5:
            raise SettingsError(_false_alarms_help(asked))
        return rate, 0.0

    def structural(self) -> dict[str, Any]:
        """The structural settings, by name."""
        return {name: getattr(self, name) for name in _STRUCTURAL}

    def to_dict(self) -> dict[str, Any]:
        """All settings, by name, of types that JSON knows."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["prior"] = self.prior and self.prior.digest
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def saved(self) -> dict[str, Any]:
        """The same with the prior itself, as a saved state holds it."""
        return {**self.to_dict(), "prior": self.prior}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from names and values; an unknown name is refused with the nearest one."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; settings are {', '.join(known)}"
                raise SettingsError(f"there is no setting {name!r}{hint}")
        return cls(**values)


def _check_together(specs: Sequence[NetworkSpec]) -> None:
    """Whether these can be the networks of one model."""
    if len({spec.training for spec in specs if not spec.forecasts}) > 1:
        raise SettingsError("some networks are shared and others adam; make all shared, or none")


def _set(settings: Settings, name: str, value: object) -> None:
    object.__setattr__(settings, name, value)


def _names(name: str, given: str | Iterable[str]) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else tuple(given)
    if not values or not all(isinstance(value, str) for value in values):
        raise SettingsError(f"{name} is {given!r}; give one name or several")
    return values


def _prior(given: object) -> Prior | None:
    if isinstance(given, str):  # of a saved state, which has the rest elsewhere
        return Prior(given)
    if given is not None and not isinstance(given, Prior):
        raise SettingsError(f"prior is {type(given).__name__}; give a Prior")
    return given


def _whole(name: str, value: object, low: int, high: int, *words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        others = "".join(f", or {word!r}" for word in words)
        raise SettingsError(f"{name} is {value!r}; give a whole number from {low} to {high}{others}")


def _fraction(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise SettingsError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")


def _false_alarms_help(asked: object) -> str:
    return (
        f"false_alarms is {asked!r}; give a budget such as '1/week' (periods: {', '.join(_PERIODS_NS)}) "
        "or the share of normal records that may alarm, from 1e-9 to 0.5"
    )


def _budget(asked: str) -> float:
    """Events a nanosecond of a budget such as ``"3/day"``."""
    count, _, period = asked.partition("/")
    try:
        events = float(count)
        length = _PERIODS_NS[period.strip()]
    except (ValueError, KeyError):
        raise SettingsError(_false_alarms_help(asked)) from None
    if not 0.0 < events <= 1e6:
        raise SettingsError(_false_alarms_help(asked))
    return events / length
