"""The figures of every page, still empty: the page's script gives them data and colours.

A tag on a model says which of its properties have which colour of the page's style sheet,
so that light and dark are one set of figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.embed import json_item
from bokeh.model import Model
from bokeh.models import (
    BasicTickFormatter,
    BoxZoomTool,
    ColumnDataSource,
    DatetimeTickFormatter,
    FixedTicker,
    LinearColorMapper,
    LogTickFormatter,
    NumeralTickFormatter,
    PanTool,
    PlainText,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.models.annotations import Span
from bokeh.models.glyphs import Image
from bokeh.plotting import column, figure

from streamrnn.pipelines.evaluation import CalibrationLevel
from streamrnn.pipelines.web.heat import Heat

__all__ = ["COLDEST", "HOTTEST", "calibration_item", "charts_item", "heat_item"]

_FONT, _SIZE = "system-ui, sans-serif", "12px"
_LEFT = 64  # px for the labels of y, the same in all figures, so that they stand in line
_MOST_NAMES = 40  # rows of a fleet that are named
COLDEST, HOTTEST = 1.0, 6.0  # surprise: all beyond has the same colour


def charts_item(*, timed: bool, preview: bool = False) -> dict[str, Any]:
    """Values, surprise and the ribbon of one series, one above the other over the same x.

    With ``preview`` there is a line over surprise that can be dragged.
    """
    x = Range1d(start=0.0, end=1.0, name="x")
    rows = ColumnDataSource({name: [] for name in ("x", "yhat", "surprise", "threshold")}, name="rows")
    spans = ColumnDataSource({name: [] for name in ("x0", "x1", "colour")}, name="spans")
    silences = ColumnDataSource({name: [] for name in ("x0", "x1")}, name="silences")
    values, score, ribbon = (
        _figure(height, x, name=name, timed=timed)
        for height, name in ((300, "value"), (150, "score"), (74, "ribbon"))
    )
    for place in (values, score):
        place.vstrip("x0", "x1", source=silences, **_hatched())
        strip = place.vstrip("x0", "x1", source=spans, fill_color="colour", line_color="colour")
        strip.glyph.fill_alpha, strip.glyph.line_alpha = 0.22, 0.7
    _draw_value(values, rows)
    _draw_score(score, rows)
    _draw_ribbon(ribbon)
    for place in (values, score):
        place.xaxis.visible = False
    for place in (values, score):
        cursor = Span(dimension="height", line_width=1.5, visible=False, name=f"cursor_{place.name}")
        place.add_layout(_coloured(cursor, line_color="accent"))
    if preview:
        dragged = Span(dimension="width", line_width=3, location=0.0, editable=True, name="preview")
        score.add_layout(_coloured(dragged, line_color="alarm", hover_line_color="accent"))
    return _item(column([values, score, ribbon], sizing_mode="stretch_width", spacing=2))


def heat_item(heat: Heat, names: Sequence[str]) -> dict[str, Any]:
    """The strip of a fleet: a row for each series, the first on top.

    Parameters
    ----------
    heat : Heat
    names : sequence of str
        Of its rows.
    """
    n = len(heat.codes)
    y = Range1d(start=0.0, end=n)
    height = int(np.clip(n * 16, 90, 420)) + 40
    place = _figure(height, Range1d(start=heat.start, end=heat.end), name="heat", timed=heat.timed, y_range=y)
    mapper = LinearColorMapper(
        low=COLDEST, high=HOTTEST, palette=["#888888"], nan_color="#00000000", name="mapper"
    )
    cells = ColumnDataSource({"image": [heat.cells[::-1].astype(np.float32)]}, name="cells")
    glyph = Image(
        image="image", x=heat.start, y=0.0, dw=heat.end - heat.start, dh=float(n), color_mapper=mapper
    )
    place.add_glyph(cells, glyph)
    chosen = ColumnDataSource({"bottom": [0.0], "top": [1.0]}, name="chosen")
    box = place.hstrip("bottom", "top", source=chosen, fill_alpha=0.0, line_width=2)
    _coloured(box.glyph, line_color="text")
    named = range(n if n <= _MOST_NAMES else 0)
    place.yaxis.ticker = FixedTicker(ticks=[n - k - 0.5 for k in named])
    place.yaxis.major_label_overrides = {n - k - 0.5: PlainText(text=_cut(names[k])) for k in named}
    place.ygrid.visible = False
    return _item(place)


def calibration_item(levels: Sequence[CalibrationLevel]) -> dict[str, Any]:
    """How often p-values came beside how often they should: on the diagonal where they mean what they say."""
    known = [level for level in levels if level.realised and level.expected]
    smallest = min((level.level for level in known), default=0.1) / 2.0
    asked = np.array([level.level for level in known])
    came, low, high = (
        asked * np.array([getattr(level, name) for level in known])
        for name in ("ratio", "ratio_low", "ratio_high")
    )
    ends = Range1d(start=smallest, end=1.5)
    place = figure(
        name="calibration",
        x_axis_type="log",
        y_axis_type="log",
        x_range=ends,
        y_range=Range1d(start=smallest / 3.0, end=3.0),
        height=300,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
    )
    diagonal = np.array([smallest, 1.0])
    twice = place.varea(diagonal, diagonal / 2.0, diagonal * 2.0, fill_alpha=0.16)
    _coloured(twice.glyph, fill_color="muted")
    _coloured(place.line(diagonal, diagonal, line_dash="dashed").glyph, line_color="muted")
    bars = place.segment(asked, np.maximum(low, smallest / 3.0), asked, high, line_width=1.5)
    _coloured(bars.glyph, line_color="forecast")
    dots = place.scatter(asked, came, size=7)
    _coloured(dots.glyph, line_color="forecast", fill_color="forecast")
    place.xaxis.axis_label, place.yaxis.axis_label = "p-value at most", "share of records"
    for axis in (*place.xaxis, *place.yaxis):
        axis.formatter = LogTickFormatter(min_exponent=3)
    _dress(place)
    return _item(place)


def _draw_value(place: figure, rows: ColumnDataSource) -> None:
    band = ColumnDataSource({"xs": [], "ys": []}, name="band")
    ranges = ColumnDataSource({"x": [], "y": []}, name="ranges")
    alone = ColumnDataSource({"x": [], "y": []}, name="alone")
    hits = ColumnDataSource({"x": [], "y": []}, name="value_hits")
    marks = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": []}, name="marks")
    area = place.patches("xs", "ys", source=band, line_alpha=0.0, fill_alpha=0.24)
    _coloured(area.glyph, fill_color="forecast")
    forecast = place.line("x", "yhat", source=rows, line_width=1.2)
    _coloured(forecast.glyph, line_color="forecast")
    line = place.line("x", "y", source=ranges, line_width=1.2, line_join="round")
    _coloured(line.glyph, line_color="value")
    dots = place.scatter("x", "y", source=alone, size=3)
    _coloured(dots.glyph, line_color="value", fill_color="value")
    known = place.quad("left", "right", "top", "bottom", source=marks, line_width=2)
    _coloured(known.glyph, line_color="known", fill_color="known")
    _draw_hits(place, hits)
    numbers = ColumnDataSource({"x": [], "y": [], "text": []}, name="labels")
    text = place.text(
        source=numbers, text_align="center", text_baseline="top", text_font=value(_FONT), text_font_size=_SIZE
    )
    _coloured(text.glyph, text_color="text")


def _draw_score(place: figure, rows: ColumnDataSource) -> None:
    line = place.line("x", "surprise", source=rows, line_width=1.1)
    _coloured(line.glyph, line_color="value")
    threshold = place.line("x", "threshold", source=rows, line_dash="dashed", line_width=1.4)
    _coloured(threshold.glyph, line_color="alarm")
    _draw_hits(place, ColumnDataSource({"x": [], "y": []}, name="score_hits"))
    place.yaxis.axis_label = "surprise"


def _draw_hits(place: figure, source: ColumnDataSource) -> None:
    dots = place.scatter("x", "y", source=source, size=7, line_width=1)
    _coloured(dots.glyph, line_color="surface", fill_color="alarm")


def _draw_ribbon(place: figure) -> None:
    source = ColumnDataSource(
        {name: [] for name in ("left", "right", "bottom", "top", "colour")}, name="stretches"
    )
    place.quad("left", "right", "top", "bottom", source=source, fill_color="colour", line_alpha=0.0)
    place.yaxis.ticker = FixedTicker(ticks=[0.5, 1.5])
    place.yaxis.major_label_overrides = {0.5: PlainText(text="learning"), 1.5: PlainText(text="status")}
    place.ygrid.visible = False


def _figure(
    height: int, x_range: Range1d, *, name: str, timed: bool, y_range: Range1d | None = None
) -> figure:
    """An empty figure over x, with tools that zoom along it."""
    box = BoxZoomTool(dimensions="width")
    place = figure(
        name=name,
        height=height,
        x_range=x_range,
        y_range=Range1d(start=0.0, end=2.0, name=f"y_{name}") if y_range is None else y_range,
        x_axis_type="datetime" if timed else "linear",
        sizing_mode="stretch_width",
        tools=[box, PanTool(dimensions="width"), WheelZoomTool(dimensions="width"), ResetTool()],
        toolbar_location=None,
        active_drag=box,
        output_backend="canvas",
    )
    place.toolbar.active_scroll = None
    place.min_border_left = _LEFT
    place.min_border_right = 12
    place.yaxis.formatter = BasicTickFormatter(use_scientific=True, power_limit_high=6)
    if not timed:
        place.xaxis.formatter = NumeralTickFormatter(format="0,0")
    else:
        names = DatetimeTickFormatter(days="%d %b", months="%b %Y")
        names.hours = names.hourmin = names.minutes = "%H:%M"
        names.minsec = names.seconds = "%H:%M:%S"
        place.xaxis.formatter = names
    _dress(place)
    return place


def _dress(place: figure) -> None:
    """Nothing but the data, and axes in the page's colours."""
    place.background_fill_color = place.border_fill_color = None
    place.outline_line_color = None
    for axis in (*place.xaxis, *place.yaxis):
        axis.major_label_text_font = axis.axis_label_text_font = _FONT
        axis.major_label_text_font_size = axis.axis_label_text_font_size = _SIZE
        axis.axis_label_text_font_style = "normal"
        axis.minor_tick_line_color = None
        colours = dict.fromkeys(("axis_line_color", "major_tick_line_color"), "rule")
        _coloured(axis, major_label_text_color="muted", axis_label_text_color="muted", **colours)
    for grid in (*place.xgrid, *place.ygrid):
        _coloured(grid, grid_line_color="grid")


def _coloured(model: Any, **colours: str) -> Any:
    """Say which colours of the style sheet a model's properties have."""
    model.tags = [colours]
    return model


def _hatched() -> dict[str, Any]:
    return {
        "fill_alpha": 0.0,
        "line_alpha": 0.0,
        "hatch_pattern": "right_diagonal_line",
        "hatch_alpha": 0.5,
        "hatch_color": "#888888",
        "hatch_scale": 9.0,
        "hatch_weight": 1.0,
    }


def _cut(name: str, longest: int = 14) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _item(root: Model) -> dict[str, Any]:
    made: dict[str, Any] = dict(json_item(root))
    return made
