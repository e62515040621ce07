"""The report of a run: one page that is complete in itself and opens without a network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from streamrnn import __version__
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines import demo
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.gap_log import GapEvent
from streamrnn.pipelines.kept import KeptRows, SeriesRows
from streamrnn.pipelines.summary import Summary
from streamrnn.pipelines.tables import NUMERIC, event_rows, name_text
from streamrnn.pipelines.view import view_of
from streamrnn.pipelines.web import pages, sections
from streamrnn.pipelines.web.columns import at_x, columns_of
from streamrnn.pipelines.web.figures import COLDEST, HOTTEST, calibration_item, charts_item, heat_item
from streamrnn.pipelines.web.heat import Heat, heat_of
from streamrnn.pipelines.web.kinds import slug
from streamrnn.pipelines.web.payload import for_script, series_payload
from streamrnn.pipelines.web.shown import Shown
from streamrnn.pipelines.words import percent
from streamrnn.records import KINDS, STATUSES

__all__ = ["Run", "write_report"]

_DRAWN = STATUSES[:4]  # others leave no row
_LONGEST_NAME = 60

Closely = dict[int, SeriesRows]


@dataclass(frozen=True)
class Run:
    """All that a report tells of.

    Attributes
    ----------
    summary : Summary
    kept : KeptRows
    shown : Shown
    command : sequence of str
        The arguments behind ``streamrnn`` that made it; empty: none did.
    episodes : sequence of demo.Verdict
    """

    summary: Summary
    kept: KeptRows
    shown: Shown
    command: Sequence[str] = ()
    episodes: Sequence[demo.Verdict] = field(default=())


def write_report(path: Path, run: Run) -> None:
    """Write the page.

    Raises
    ------
    SettingsError
        Where the file cannot be written.
    """
    page = pages.environment().get_template("page.html")
    try:
        with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.writelines(page.generate(_content(run)))
    except OSError as error:
        raise SettingsError(f"cannot write {printable(str(path))}: {error.strerror}") from None


def _content(run: Run) -> dict[str, Any]:
    """What the template shows; it escapes all but what is marked as safe here."""
    summary, kept = run.summary, run.kept
    codes = [one.code for one in summary.series if one.code < kept.n_kept]
    first = next(
        (event.series for event in summary.events if event.series in codes), codes[0] if codes else 0
    )
    timed = {code: view_of(kept.series(code)).timed for code in codes}
    heat = heat_of(kept, codes) if summary.n_series > 1 else None
    names = {code: name_text(summary.keys[code], _LONGEST_NAME) or "one series" for code in codes}
    levels = run.shown.calibration.levels()
    scripts = pages.inline_scripts("drawing.js", "inert.js", "page.js")
    placed = list(_placed(summary, timed))
    items = {"charts": charts_item(timed=timed.get(first, False)), "calibration": calibration_item(levels)}
    if heat is not None:
        items["heat"] = heat_item(heat, [names[code] for code in heat.codes])
    closeups = _closely(run, placed)
    page = {**_page_data(run, names, placed, heat, first), "closeups": list(closeups)}
    return {
        "live": False,
        "title": printable(summary.title),
        "lead": sections.lead(summary),
        "version": __version__,
        "policy": pages.policy(scripts),
        "style": pages.style(),
        "tiles": sections.tiles(summary),
        "heat": heat is not None,
        "heat_note": _heat_note(kept),
        "heat_ends": [f"{end:g}" for end in (COLDEST, HOTTEST)],
        "series": [{"code": code, "name": name} for code, name in names.items()],
        "channels": page["channels"],
        "coverage": percent(summary.settings.coverage),
        "kinds": _kinds(summary.events),
        "gaps_drawn": bool(summary.gaps),
        "marks": page["marks"],
        "statuses": [name for name in _DRAWN if summary.total.statuses[name]],
        "some_unlearned": _some_unlearned(summary),
        "numeric": NUMERIC,
        "events": _events_section(summary, placed),
        "episodes": sections.episodes_table(run.episodes),
        "verdict": summary.verdict,
        "race": sections.race_table(summary),
        "forecasts": sections.forecasts_table(summary),
        "calibration": {
            "text": sections.calibration_text(run.shown.calibration),
            "table": sections.calibration_table(levels) if run.shown.calibration.records else None,
        },
        "series_table": sections.series_table(summary),
        "facts": sections.facts(summary),
        "command": printable(shlex.join(["streamrnn", *run.command])) if run.command else "",
        "settings": sections.settings_table(summary),
        "page": Markup(for_script(page)),
        "items": [{"name": name, "json": Markup(for_script(item))} for name, item in items.items()],
        "blocks": _blocks(run, codes, closeups),
        "scripts": scripts,
    }


def _blocks(run: Run, codes: Sequence[int], closeups: Closely) -> Iterator[dict[str, Any]]:
    """The rows of one series after the other, never all of them as text at once; then the close-ups."""
    for code in codes:
        yield {"name": f"series-{code}", "json": _rows_json(run, run.kept.series(code))}
    for place, rows in closeups.items():
        yield {"name": f"close-{place}", "json": _rows_json(run, rows)}


def _rows_json(run: Run, rows: SeriesRows) -> Markup:
    learns = run.summary.settings.learn_anomalies
    columns = columns_of(rows, len(run.kept.channels), learns_anomalies=learns)
    return Markup(for_script(series_payload(columns)))


def _closely(run: Run, placed: Sequence[dict[str, Any] | None]) -> Closely:
    """Close-ups by the places of their events, of series that are thinned."""
    found = {}
    for event, drawn in zip(run.summary.events, placed, strict=False):
        if drawn is not None and run.kept.series(event.series).stride > 1:
            rows = run.shown.closeups.of(event)
            if rows is not None:
                found[drawn["place"]] = rows
    return found


def _page_data(
    run: Run, names: dict[int, str], placed: Sequence[dict[str, Any] | None], heat: Heat | None, first: int
) -> dict[str, Any]:
    """What the script knows beside the rows."""
    return {
        "first": first,
        "series": list(names),
        "names": names,
        "channels": [name_text(name) for name in run.kept.channels],
        "statuses": STATUSES,
        "events": [event for event in placed if event is not None],
        "marks": [
            {"series": 0, "start": one.episode.start / 1e6, "end": one.episode.end / 1e6}
            for one in run.episodes
        ],
        "heat": None if heat is None else {"codes": heat.codes},
    }


def _placed(summary: Summary, timed: dict[int, bool]) -> Iterator[dict[str, Any] | None]:
    """Every listed event and gap as it is drawn; None where it cannot be."""
    place = 0
    listed: list[Event | GapEvent] = [*summary.events, *summary.gaps]
    for number, event in enumerate(listed, start=1):
        drawn = None
        if event.series in timed:
            where = _where_gap(event, summary) if isinstance(event, GapEvent) else _where(event, timed)
            if None not in (where["start"], where["end"]):
                drawn = {"series": event.series, "number": number, "place": place, **where}
                place += 1
        yield drawn


def _where(event: Event, timed: dict[int, bool]) -> dict[str, Any]:
    in_time = timed[event.series]
    start = at_x(event.start, event.first, timed=in_time)
    end = at_x(event.end, event.last, timed=in_time) if event.last >= 0 else start
    channel = event.parts[0].channel if event.parts else 0
    return {"start": start, "end": end, "kind": slug(event.kind), "channel": channel}


def _where_gap(gap: GapEvent, summary: Summary) -> dict[str, Any]:
    last = summary.total.last
    newest = NO_TIME if last is None else last.time
    end = at_x(newest if gap.end == NO_TIME else gap.end, 0, timed=True)
    start = at_x(gap.start, 0, timed=True)
    return {"start": start, "end": end, "kind": "gap", "gap": True}


def _events_section(summary: Summary, placed: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    header, *rows = event_rows(summary, summary.events, summary.gaps)
    alerts = [*(event.alert for event in summary.events), *(False for _ in summary.gaps)]
    listed = [
        {"cells": cells, "alert": alert, "place": None if drawn is None else drawn["place"]}
        for cells, alert, drawn in zip(rows, alerts, placed, strict=True)
    ]
    return {"title": sections.events_title(summary), "header": header, "rows": listed}


def _kinds(events: Sequence[Event]) -> list[dict[str, str]]:
    """The kinds that occur, in the order in which they are known."""
    there = {event.kind for event in events}
    return [{"name": kind or "other event", "slug": slug(kind)} for kind in KINDS if kind in there]


def _some_unlearned(summary: Summary) -> bool:
    odd = summary.total.detections and not summary.settings.learn_anomalies
    return bool(odd or summary.total.statuses["missing"])


def _heat_note(kept: KeptRows) -> str:
    if kept.n_kept == kept.n_series:
        return ""
    return f"Shown are the first {kept.n_kept:,} series of {kept.n_series:,}; for more there is no room."
