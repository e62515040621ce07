"""Plain twins of what a run counts and keeps: ``kernels/tally.py`` and ``kernels/thinning.py``."""

from __future__ import annotations

from collections import defaultdict
from math import floor

import numpy as np
from naive_evidence import Autoregression

from streamrnn.kernels import tally as kernel
from streamrnn.kernels.plan import CALIBRATED, LATE, NO_TIME, PROVISIONAL
from streamrnn.scoring import autoregression


class Linear:
    """An autoregression of one channel, as a forecaster."""

    def __init__(self):
        self.model, self.magnitude = Autoregression(False), 0.0
        self.past = np.zeros(autoregression.ORDER)

    def forecast(self, value):
        """The forecast of a value, which is then learned; None before there is one."""
        model = self.model
        self.magnitude = max(self.magnitude, abs(value))
        known = model.count >= autoregression.ORDER
        deviation = np.sqrt(model.variance) + autoregression._FLOOR * self.magnitude
        model.assess(self.past, value, self.magnitude)
        forecast = value - model.error * deviation
        model.learn(value, 1.0)
        self.past = np.append(value, self.past[:-1])
        return forecast if known else None


class SeriesTally:
    """The counts of one series, by name."""

    def __init__(self, channels: int, season: int = 0, step_ns: float = 0.0) -> None:
        self.n = defaultdict(int)
        self.moments = {}
        self.steps = []
        self.longest = (0, NO_TIME)
        self.newest = self.start = NO_TIME
        self.strength = self.surprise = -1.0
        self.season, self.step_ns = season, step_ns
        self.slots = {}  # number -> {channel: value}
        self.newest_in_place = {}
        self.before = [None] * channels
        self.smooth = [None] * channels
        self.linear = [Linear() for _ in range(channels)]
        self.errors = [defaultdict(list) for _ in range(channels)]
        self.within = [0] * channels
        self.event = None
        self.window = None

    def add(self, batch, found, label, i):
        status, hit = int(found.status[i]), bool(found.is_anomaly[i])
        time, offset = int(batch.times[i]), int(batch.offsets[i])
        scored, in_order = status in (PROVISIONAL, CALIBRATED), status < LATE
        self.n["status", status] += 1
        self.n["alarm", status] += hit
        self.moments.setdefault("first", (offset, time))
        if in_order:
            self.moments["last"] = (offset, time)
        if scored:
            self.n["normal"] += not hit
            self.moments.setdefault("scored", (offset, time))
            if status == CALIBRATED:
                self.moments.setdefault("sure", (offset, time))
            self.strength = np.fmax(self.strength, found.alert_strength[i])
            self.surprise = np.fmax(self.surprise, found.surprise[i])
        if time != NO_TIME:
            self._step(time, in_order)
        if in_order:
            self._compare(batch.values[i], found, i, scored, time)
            alerted = self._event(found, i, label)
            self._label(label, status, hit, scored, alerted, time)

    def _step(self, time, in_order):
        if self.newest == NO_TIME:
            if in_order:
                self.start = time
        elif time == self.newest:
            self.n["repeated"] += 1
        elif time < self.newest:
            self.n["backwards"] += 1
        else:
            step = min(time - self.newest, 2**63 - 1)
            self.steps.append(step)
            if step > self.longest[0]:
                self.longest = (step, self.newest)
        if in_order:
            self.newest = time

    def _season_ago(self, time):
        """The values of the slot one season ago, and the time's own slot, to be filled."""
        if not self.season or time == NO_TIME:
            return {}, {}
        slot = floor((float(time) - float(self.start)) / self.step_ns + 0.5)
        if slot < 0:
            return {}, {}
        place, ago = slot % self.season, {}
        if self.newest_in_place.get(place) == slot - self.season:
            ago = self.slots[slot - self.season]
        if self.newest_in_place.get(place) != slot:
            self.slots[slot] = {}
        self.newest_in_place[place] = slot
        return ago, self.slots[slot]

    def _compare(self, values, found, i, scored, time):
        ago, now = self._season_ago(time)
        for d, value in enumerate(values):
            if not abs(value) <= 1e100:
                continue
            yhat, linear = found.yhat[i, d], self.linear[d].forecast(value)
            if scored and abs(yhat) <= 1e100:
                error = abs(value - yhat)
                self.errors[d]["forecast"].append(error)
                self.within[d] += found.yhat_lower[i, d] <= value <= found.yhat_upper[i, d]
                for name, other in (
                    ("last", self.before[d]),
                    ("season", ago.get(d)),
                    ("ewma", self.smooth[d]),
                    ("linear", linear),
                ):
                    if other is not None:
                        self.errors[d][name].append((abs(value - other), error))
            smooth = self.smooth[d]
            self.before[d] = value
            self.smooth[d] = value if smooth is None else smooth + kernel.SMOOTHING * (value - smooth)
            now[d] = value

    def _event(self, found, i, label):
        if found.event_offset[i] < 0:
            return False
        name = (found.event_partition[i], found.event_offset[i])
        if self.event is None or self.event["name"] != name:
            self.event = {"name": name, "facts": set(), "label": False}
            self.n["events"] += 1
        event, facts = self.event, self.event["facts"]
        loud = found.is_anomaly[i] or found.alert_strength[i] >= kernel.LOUD
        event["label"] |= bool(label)
        before = set(facts)
        if loud and event["label"]:
            facts.add("overlaps")
        if found.alert_strength[i] >= found.alert_level[i]:
            facts.add("alerts")
            if found.status[i] == CALIBRATED:
                facts.add("sure_alerts")
        if "overlaps" in facts:
            facts |= {f"true_{fact}" for fact in facts & {"alerts", "sure_alerts"}}
        for fact in facts - before:
            self.n[fact] += 1
        return loud and "alerts" in facts

    def _label(self, label, status, hit, scored, alerted, time):
        if not label:
            self.window = None
            if status == CALIBRATED:
                self.n["quiet"] += 1
                self.n["quiet_alarms"] += hit
            return
        if self.window is None:
            self.window = {"facts": set(), "records": 0, "time": time}
            self.n["windows"] += 1
        window = self.window
        now = {"windows_scored": scored, "windows_found": hit, "windows_alerted": alerted}
        for fact, true in now.items():
            if true and fact not in window["facts"]:
                window["facts"].add(fact)
                self.n[fact] += 1
                if fact == "windows_found":
                    self.n["delay_records"] += window["records"]
                    if window["time"] != NO_TIME and time >= window["time"]:
                        self.n["delays_timed"] += 1
                        self.n["delay_ns"] += time - window["time"]
        window["records"] += 1


def step_bin(step: float) -> int:
    """Eight bins to an octave, from 2^10 ns on."""
    exponent = floor(np.log2(step))
    return int(np.clip(8 * (exponent - 10) + floor((step / 2.0**exponent - 1.0) * 8), 0, kernel.BINS - 1))


def thinned(records: list[dict], most: int) -> list[dict]:
    """Records of one series in at most ``most`` bins of 2^k: extremes, and the most surprising one."""
    stride = 1
    while -(-len(records) // stride) > most:
        stride *= 2
    bins = []
    for start in range(0, len(records), stride):
        part = records[start : start + stride]
        surprise = [np.nan_to_num(record["surprise"], nan=-1.0) for record in part]
        top = dict(part[int(np.argmax(surprise))])
        values = np.array([record["values"] for record in part])
        top["lowest"], top["highest"] = np.fmin.reduce(values), np.fmax.reduce(values)
        top["hit"] = any(record["hit"] for record in part)
        top["strength"] = max(record["strength"] for record in part)
        bins.append(top)
    return bins
