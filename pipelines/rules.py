"""The rules by which incidents are judged; light, since settings are read before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SEVERITIES", "Rules", "Span"]

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True)
class Span:
    """How long something lasts: so many scored records, or a duration; the other is 0.

    Attributes
    ----------
    records : int
    ns : int
    """

    records: int = 0
    ns: int = 0

    def is_over(self, records: int, ns: int) -> bool:
        """Whether so many records, or so much time, are enough."""
        return records >= self.records if self.records else ns >= self.ns


@dataclass(frozen=True)
class Rules:
    """When an incident is over, and how bad it is.

    Attributes
    ----------
    quiet : Span
        Without a detection, after which a series is well again.
    surprise : (float, float)
        -log10 p at its peak that makes an incident a warning, and critical.
    lasts : (Span, Span)
        From its first to its last detection, what does the same.
    """

    quiet: Span = Span(records=60)
    surprise: tuple[float, float] = (4.0, 6.0)
    lasts: tuple[Span, Span] = (Span(records=20), Span(records=120))

    def severity(self, surprise: float, records: int, ns: int) -> str:
        """How bad it is, by either."""
        pairs = zip(self.surprise, self.lasts, strict=True)
        return SEVERITIES[sum(surprise >= odd or span.is_over(records, ns) for odd, span in pairs)]
