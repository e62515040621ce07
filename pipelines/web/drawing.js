"use strict";
// Fills the figures with what is kept of a series, in the colours of the style sheet.
const Drawing = (() => {
  const BREAK = 255; // a place without a record, where lines stop
  const LABEL_ROOM = 22; // px that the number of an event needs
  const STATUSES = ["warming", "provisional", "calibrated", "missing"];
  const documents = new Map(); // by the ids of their places

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const model = (name) => {
    for (const one of documents.values()) {
      const found = one.get_model_by_name(name);
      if (found !== null) return found;
    }
    return null;
  };
  const fill = (name, data) => { model(name).data = data; };

  // Draw a figure, in place of what was there.
  async function embed(item, place) {
    const before = documents.get(place.id);
    if (before !== undefined) {
      before.clear();
      Bokeh.documents.splice(Bokeh.documents.indexOf(before), 1);
      place.replaceChildren();
    }
    await Bokeh.embed.embed_item(item, place);
    documents.set(place.id, Bokeh.documents.at(-1));
  }

  function unpacked({ type, base, data }) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    if (type === "u1") return bytes;
    if (type === "f8") return new Float64Array(bytes.buffer);
    return Float64Array.from(new Float32Array(bytes.buffer), (value) => value + base);
  }

  // A series as it lies in the page, its columns as arrays of numbers.
  function decoded(payload) {
    const arrays = (columns) => Object.fromEntries(Object.entries(columns).map(([name, one]) => [name, unpacked(one)]));
    const channels = payload.channels.map(arrays);
    for (const channel of channels) channel.high ??= channel.low;
    return { ...payload, rows: arrays(payload.rows), channels };
  }

  // Rows with newer ones behind them, so many records at most.
  function joined(older, newer, most) {
    const { status } = newer.rows;
    let skip = Math.max(older.rows.x.length + status.length - most, 0); // interruptions count too: there are few
    while (skip > 0 && older.rows.status[skip - 1] === BREAK) skip--;
    const both = (before, after) => {
      const kept = before.subarray(skip), made = new before.constructor(kept.length + after.length);
      made.set(kept);
      made.set(after, kept.length);
      return made;
    };
    const columns = (before, after) => Object.fromEntries(Object.keys(before).map((name) => [name, both(before[name], after[name])]));
    const channels = older.channels.map(({ low, yhat, lower, upper, share }, d) => {
      const made = columns({ low, yhat, lower, upper, share }, newer.channels[d]);
      return { ...made, high: made.low };
    });
    return { ...newer, rows: columns(older.rows, newer.rows), channels };
  }

  // Runs [first, last] of places where inside(i) holds and key(i) stays the same.
  function* runs(n, inside, key = () => 0) {
    for (let i = 0, j; i < n; i = j) {
      for (j = i + 1; j < n && inside(i) && inside(j) && key(j) === key(i); ) j++;
      if (inside(i)) yield [i, j - 1];
    }
  }

  function band(x, { lower, upper }) {
    const xs = [], ys = [];
    for (const [first, last] of runs(x.length, (i) => lower[i] === lower[i] && upper[i] === upper[i])) {
      const along = x.subarray(first, last + 1);
      xs.push([...along, ...along.slice().reverse()]);
      ys.push([...upper.subarray(first, last + 1), ...lower.slice(first, last + 1).reverse()]);
    }
    return { xs, ys };
  }

  // Through the smallest and the largest value of each row, which are one where nothing is thinned.
  function ranges(x, { low, high }) {
    if (low === high) return { x, y: low };
    const twice = new Float64Array(2 * x.length), y = new Float64Array(2 * x.length);
    x.forEach((at, i) => { twice[2 * i] = twice[2 * i + 1] = at; y[2 * i] = low[i]; y[2 * i + 1] = high[i]; });
    return { x: twice, y };
  }

  function points(x, y, wanted) {
    const places = [];
    for (let i = 0; i < x.length; i++) if (wanted(i) && y[i] === y[i]) places.push(i);
    return { x: places.map((i) => x[i]), y: places.map((i) => y[i]) };
  }

  function stretches({ rows, step }) {
    const data = { left: [], right: [], bottom: [], top: [], colour: [] };
    const add = (column, bottom, names) => {
      for (const [first, last] of runs(rows.x.length, (i) => column[i] !== BREAK, (i) => column[i])) {
        data.left.push(rows.x[first] - step / 2);
        data.right.push(rows.x[last] + step / 2);
        data.bottom.push(bottom + 0.12);
        data.top.push(bottom + 0.88);
        data.colour.push(colour(names[column[first]]));
      }
    };
    add(rows.status, 1, STATUSES.map((name) => `status-${name}`));
    add(rows.learned, 0, ["frozen", "learned"]);
    return data;
  }

  function drawSeries(series, events) {
    const { rows } = series, wide = series.step / 2;
    const strips = events.filter((event) => !event.gap), gaps = events.filter((event) => event.gap);
    fill("spans", {
      x0: strips.map((event) => event.start - wide),
      x1: strips.map((event) => event.end + wide),
      colour: strips.map((event) => colour(`kind-${event.kind}`)),
    });
    fill("silences", { x0: gaps.map((event) => event.start), x1: gaps.map((event) => event.end) });
    fill("stretches", stretches(series));
    fill("score_hits", points(rows.x, rows.surprise, (i) => rows.hit[i] === 1));
  }

  function drawChannel(series, channel) {
    const { x, surprise, threshold, hit } = series.rows, { low, high } = channel;
    const known = (i) => low[i] === low[i];
    fill("rows", { x, yhat: channel.yhat, surprise, threshold });
    fill("band", band(x, channel));
    fill("ranges", ranges(x, channel));
    fill("alone", points(x, low, (i) => known(i) && !known(i - 1) && !known(i + 1)));
    const farther = high.map((value, i) => (Math.abs(value - channel.yhat[i]) >= Math.abs(low[i] - channel.yhat[i]) ? value : low[i]));
    fill("value_hits", points(x, farther, (i) => hit[i] === 1));
  }

  // Smallest and largest of some columns between two places, some room around; null where there is nothing.
  function extent(first, last, ...columns) {
    let low = Infinity, high = -Infinity;
    for (const column of columns) {
      for (let i = first; i <= last; i++) {
        if (column[i] < low) low = column[i];
        if (column[i] > high) high = column[i];
      }
    }
    if (low > high) return null;
    const room = high - low || Math.abs(high) || 1;
    return { start: low - 0.08 * room, end: high + 0.14 * room };
  }

  // Show the stretch from one x to another; y follows what is there.
  function show(series, channel, limits, [start, end], events, marks) {
    const { x, surprise, threshold } = series.rows;
    const first = Math.max(at(x, start) - 1, 0), last = Math.min(at(x, end) + 1, x.length - 1);
    model("x").setv({ start, end });
    const values = extent(first, last, channel.low, channel.high, channel.lower, channel.upper) ?? { start: 0, end: 1 };
    if (first === 0 && last === x.length - 1) [values.start, values.end] = limits; // a few wild values may lie outside
    model("y_value").setv(values);
    const score = extent(first, last, surprise, threshold);
    const tried = model("preview"), least = tried?.visible ? tried.location : 1; // a line that is dragged stays in sight
    model("y_score").setv({ start: 0, end: 1.12 * Math.max(score?.end ?? 1, least, 1) });
    const height = values.end - values.start;
    fill("marks", {
      left: marks.map((mark) => mark.start),
      right: marks.map((mark) => mark.end),
      bottom: marks.map(() => values.start + 0.015 * height),
      top: marks.map(() => values.start + 0.035 * height),
    });
    label(events, start, end, values.end);
  }

  // Numbers above events, the strongest first, where there is room.
  function label(events, start, end, y) {
    const pixels = document.getElementById("charts").clientWidth / (end - start);
    const taken = [], data = { x: [], y: [], text: [] };
    for (const event of events.filter((one) => !one.gap)) {
      const middle = (Math.max(event.start, start) + Math.min(event.end, end)) / 2;
      if (event.end < start || event.start > end || taken.some((other) => Math.abs(other - middle) * pixels < LABEL_ROOM)) continue;
      taken.push(middle);
      data.x.push(middle);
      data.y.push(y);
      data.text.push(String(event.number));
    }
    fill("labels", data);
  }

  // The first place that is not before a given x.
  function at(x, wanted) {
    let low = 0, high = x.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Newer cells in the strip of a fleet, whose rows may have changed places.
  function fillHeat({ cells, start, end, scale, codes }, names) {
    const figure = model("heat"), source = model("cells"), image = source.data.image[0];
    unpacked(cells).forEach((cell, place) => { image[place] = cell === 255 ? NaN : cell / scale; });
    figure.renderers.find((one) => one.data_source === source).glyph.setv({ x: { value: start }, dw: { value: end - start } });
    figure.x_range.setv({ start, end });
    source.change.emit();
    const axis = figure.left[0];
    if (axis.ticker.ticks.length) axis.major_label_overrides = new Map(names.map((name, row) => [codes.length - row - 0.5, cut(name)]));
  }

  const cut = (name) => (name.length <= 14 ? name : `${name.slice(0, 13)}\u2026`);

  function cursor(x) {
    for (const name of ["cursor_value", "cursor_score"]) model(name).setv({ location: x, visible: x !== null });
  }

  function mixed(colours, n) {
    const numbers = colours.map((name) => [1, 3, 5].map((place) => parseInt(colour(name).slice(place, place + 2), 16)));
    return Array.from({ length: n }, (_, i) => {
      const at = (i / (n - 1)) * (numbers.length - 1), k = Math.min(Math.floor(at), numbers.length - 2);
      const parts = numbers[k].map((part, c) => Math.round(part + (at - k) * (numbers[k + 1][c] - part)));
      return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    });
  }

  // Give every property that a tag names its colour.
  function paint() {
    for (const one of documents.values()) {
      for (const each of one._all_models.values()) {
        for (const tag of each.tags ?? []) {
          const names = tag instanceof Map ? [...tag] : Object.entries(tag);
          each.setv(Object.fromEntries(names.map(([property, name]) => [property, colour(name)])));
        }
      }
    }
    const mapper = model("mapper");
    if (mapper !== null) mapper.palette = mixed(["heat-low", "heat-middle", "heat-high"], 64);
  }

  return { at, cursor, decoded, drawChannel, drawSeries, embed, fillHeat, joined, model, paint, show };
})();
