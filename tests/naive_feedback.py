"""A plain twin of what feedback makes quiet (``streamrnn/scoring/feedback.py``)."""

from __future__ import annotations

import copy
from math import nan

import numpy as np
from naive_scoring import Alerts

from streamrnn.feedback import CONFIRMED, DISMISSED, Signature
from streamrnn.scoring import alert, feedback, novelty


def looks_like(seen: Signature, template: Signature) -> bool:
    """The same channels lead, to the same side, not much farther out and not much less."""
    shares, others = np.array(seen.share), np.array(template.share)
    if not shares @ others >= feedback.ALIKE * np.sqrt((shares @ shares) * (others @ others)):
        return False
    for d in np.flatnonzero(others >= feedback.LEADING * others.max()):
        sign = np.sign(template.deviation[d])
        peak, began = sign * template.deviation[d], sign * template.onset[d]
        least, most = feedback.LEAST * min(began, peak), (1 + feedback.ROOM) * peak
        higher = sign * (seen.value[d] - template.value[d])
        deviation = sign * seen.deviation[d]
        if not (deviation > 0 and least <= deviation <= most and higher <= feedback.ROOM * peak):
            return False
    return True


class Feedback:
    """What was said of events, what may still be spoken of, and the alert layer after it."""

    def __init__(self) -> None:
        self.templates: dict[tuple[int, int], tuple[int, Signature]] = {}
        self.told: Alerts | None = None  # while there are templates
        self.known: dict[tuple[int, int], tuple[tuple[float, float], Signature]] = {}
        self.expected = np.zeros(0)
        self.ringing: list[float] = []  # what records made quiet asked for, since the first template

    def say(self, event: tuple[int, int], mark: int, alerts: Alerts) -> None:
        """Mark an event that is known."""
        self.told = self.told or copy.deepcopy(alerts)
        self.templates[event] = mark, self.known[event][1]

    def shown(self, alerts: Alerts) -> Alerts:
        """The layer whose events users see."""
        return self.told or alerts

    def weigh(
        self,
        alerts: Alerts,
        record: Signature,
        verdict: tuple[float, float],
        demand: tuple[bool, float, tuple[int, int], bool],
    ) -> tuple[float, float]:
        """(alert strength, alert level) of a record that ``alerts`` has judged.

        ``record``: its deviation is that from its own forecast; ``verdict`` = (strength, surprise);
        ``demand`` = (detection, asked, its position, whether it lasts).
        """
        detection, asked, position, lasts = demand
        forecast = record.value - record.deviation
        if alerts.open and alerts.position == position:
            self.expected = forecast
        elif alerts.open:
            forecast = self.expected
        deviation = record.value - forecast
        seen = record._replace(deviation=deviation, onset=deviation)
        strength, level = verdict[0], nan
        if self.told is not None:
            self.told.end_if_calm()
            self.told.allowed, level = alerts.allowed, self.told.alert_level
            strength = self.told.judge(detection, self._asked(seen, asked), position, lasts)
        self._remember(self.shown(alerts), seen, (strength, verdict[1]))
        return strength, level

    def _asked(self, seen: Signature, asked: float) -> float:
        """What a record asks for after what was said."""
        said = {mark for mark, template in self.templates.values() if looks_like(seen, template)}
        if CONFIRMED in said:
            return asked * (1.0 + novelty._DISCOUNT * self.told.recent * novelty.KEEP)
        loudest = max(self.ringing[-alert.PAUSE :], default=0.0)
        dismissed = DISMISSED in said and asked > 0.0
        self.ringing.append(max(asked, loudest) if dismissed else 0.0)
        return 0.0 if dismissed or asked <= loudest else asked

    def _remember(self, alerts: Alerts, seen: Signature, rank: tuple[float, float]) -> None:
        if not alerts.open:
            return
        before = self.known.get(alerts.position)
        if before is None:
            self.known[alerts.position] = rank, seen
        elif rank > before[0]:
            self.known[alerts.position] = rank, seen._replace(onset=before[1].onset)
