"use strict";
// The controls of the page, and what it says at the cursor.
(() => {
  const SHOWN = 12; // channels at the cursor
  const KEPT = ["series", "channel", "close", "whole", "from", "to", "theme"]; // of the view, in the address
  const byId = (id) => document.getElementById(id);
  const page = Store.page;
  const view = { series: null, channel: null, close: null, whole: null, from: null, to: null, cursor: null, theme: null };
  let queued = false, remembering = 0, chosen = null; // the event that was gone to
  let wanted = view; // the view that was asked for last

  const series = () => Store.rows(view);
  const channel = () => series().channels[view.channel];
  const events = () => page.events.filter((event) => event.series === view.series).map((event) => ({ ...event, end: endOf(event) }));
  const marks = () => page.marks.filter((mark) => mark.series === view.series);
  const whole = () => {
    const { rows: { x }, step } = series();
    return x.length ? [x[0] - step / 2, x.at(-1) + step / 2] : [0, 1];
  };

  const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(5))).replace("-", "\u2212") : "\u2013");
  const moment = (x) => (series().timed ? new Date(Math.round(x)).toISOString().replace("T", " ").replace(/(:00)?(\.000)?Z$/, " UTC") : "");

  // The view is drawn once a frame, however often it is asked for.
  function redraw() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      Drawing.show(series(), channel(), series().limits[view.channel], shown(), events(), marks());
      clearTimeout(remembering);
      remembering = setTimeout(remember, 200); // browsers take a few changes of the address a second
    });
  }

  const shown = () => {
    const [first, last] = whole();
    return [view.from ?? first, view.to ?? last];
  };

  function zoomTo(start, end) {
    const [first, last] = whole();
    const least = 4 * series().step, middle = (start + end) / 2;
    if (end - start < least) [start, end] = [middle - least / 2, middle + least / 2];
    const wide = Math.min(end - start, last - first);
    start = Math.min(Math.max(start, first), last - wide);
    const all = wide >= last - first;
    view.from = all ? null : start;
    view.to = all ? null : start + wide;
    redraw();
  }

  const zoomBy = (factor) => {
    const [start, end] = shown();
    const middle = view.cursor !== null && view.cursor >= start && view.cursor <= end ? view.cursor : (start + end) / 2;
    zoomTo(middle - (middle - start) * factor, middle + (end - middle) * factor);
  };
  const moveBy = (share) => {
    const [start, end] = shown();
    zoomTo(start + share * (end - start), end + share * (end - start));
  };

  // Show other rows as soon as they are there; false where something else was asked for meanwhile.
  async function turnTo(changes) {
    const wish = wanted = { ...view, from: null, to: null, ...changes };
    await Store.load(wish);
    if (wish !== wanted) return false;
    Object.assign(view, wish, { theme: view.theme });
    return true;
  }

  async function chooseSeries(code) {
    if (!(await turnTo({ series: code, cursor: null, close: null }))) return false;
    const top = page.events.find((event) => event.series === code && !event.gap);
    if (page.channels.length > 1 || view.channel === null) view.channel = top?.channel ?? view.channel ?? 0;
    drawAll();
    const first = events().find((event) => !event.gap) ?? events()[0];
    const { rows: { x } } = series();
    setCursor(first && !Store.live ? peak(first) : (x.at(-1) ?? null));
    return true;
  }

  function drawAll() {
    byId("series").value = String(view.series);
    byId("channel").value = String(view.channel);
    const name = page.names[view.series], one = page.channels[view.channel];
    const close = view.close === null ? "" : `, close-up of event ${page.events[view.close].number}`;
    byId("shown").textContent = `${page.series.length > 1 ? `${name}: ` : ""}${one}${close}`;
    if (byId("span")) byId("span").value = view.whole === null ? "" : "1";
    for (const id of ["before", "next"]) byId(id).disabled = !events().length;
    const { stride } = series();
    const many = stride.toLocaleString("en");
    byId("thinned").textContent = view.close !== null
      ? "Every record around the beginning of the event; \u201cWhole run\u201d leads back."
      : stride > 1 ? `Each place stands for ${many} records: the range of their values, and all else of the most surprising one.` : "";
    Drawing.drawSeries(series(), events());
    Drawing.drawChannel(series(), channel());
    const row = page.heat?.codes.indexOf(view.series) ?? -1;
    const below = (page.heat?.codes.length ?? 0) - 1 - row; // the first row is on top
    if (row >= 0) Drawing.model("chosen").data = { bottom: [below], top: [below + 1] };
    redraw();
  }

  function chooseChannel(place) {
    view.channel = place;
    drawAll();
    setCursor(view.cursor);
  }

  async function showEvent(event) {
    if (event.series !== view.series && !(await chooseSeries(event.series))) return;
    const place = Store.placeOf(event, view);
    if (Object.entries(place).some(([name, value]) => view[name] !== value) && !(await show(place))) return;
    if (!event.gap && page.channels.length > 1 && event.channel !== view.channel) chooseChannel(event.channel);
    const end = endOf(event), room = Math.max(4 * (end - event.start), 40 * series().step);
    zoomTo(event.start - room, end + room);
    setCursor(peak(event), true);
    chosen = event.place;
    mark();
  }

  function mark() {
    for (const button of document.querySelectorAll("[data-event]")) {
      button.closest("tr").classList.toggle("chosen", button.dataset.event === String(chosen));
    }
  }

  // Other rows of the same series: those around an event, the newest, the whole run.
  async function show(place) {
    if (!(await turnTo(place))) return false;
    drawAll();
    return true;
  }

  async function wholeRun() {
    if (view.close !== null && !(await show({ close: null }))) return;
    zoomTo(...whole());
  }

  const endOf = (event) => event.end ?? whole()[1]; // of one that goes on

  function stepEvent(by) {
    const ordered = events().toSorted((a, b) => a.start - b.start);
    const here = ordered.findIndex((event) => event.place === chosen), now = view.cursor ?? -Infinity;
    const found = by > 0 ? ordered.find((event) => event.start > now) : ordered.findLast((event) => endOf(event) < now);
    const next = here >= 0 ? ordered[here + by] : found;
    if (ordered.length) showEvent(next ?? ordered.at(by > 0 ? 0 : -1));
  }

  // Where an event is most surprising.
  function peak(event) {
    const { x, surprise } = series().rows;
    const last = Math.min(Drawing.at(x, endOf(event)), x.length - 1);
    let found = Math.min(Drawing.at(x, event.start), last);
    for (let i = found; i <= last; i++) if (surprise[i] > surprise[found] || surprise[found] !== surprise[found]) found = i;
    return x[found];
  }

  // The place nearest to an x that holds a record.
  function nearest(x) {
    const { rows } = series();
    const right = Math.min(Drawing.at(rows.x, x), rows.x.length - 1), left = Math.max(right - 1, 0);
    const place = x - rows.x[left] < rows.x[right] - x ? left : right;
    return rows.status[place] === 255 ? Math.min(place + 1, rows.x.length - 1) : place;
  }

  function setCursor(x, aloud = false) {
    if (x === null || !series().rows.x.length) return Drawing.cursor(null);
    const place = nearest(x);
    view.cursor = series().rows.x[place];
    chosen = null;
    Drawing.cursor(view.cursor);
    say(place, aloud);
  }

  function stepCursor(by) {
    const { rows: { x, status } } = series();
    let place = view.cursor === null ? x.length - 1 : nearest(view.cursor) + by;
    if (status[place] === 255) place += by;
    if (place < 0 || place >= x.length) return;
    setCursor(x[place], true);
    const [start, end] = shown();
    if (x[place] < start || x[place] > end) moveBy(by > 0 ? 0.5 : -0.5);
  }

  const actual = (one, i) => (one.low[i] === one.high[i] || one.low[i] !== one.low[i]
    ? number(one.low[i]) : `${number(one.low[i])} to ${number(one.high[i])}`);

  function say(i, aloud) {
    const { rows, channels } = series(), one = channel();
    const p = 10 ** -rows.surprise[i];
    const facts = [
      ["record", rows.offset[i].toLocaleString("en")],
      ["status", page.statuses[rows.status[i]] ?? ""],
      ["surprise", `${number(rows.surprise[i])} (threshold ${number(rows.threshold[i])})`],
      ["p-value", Number.isFinite(p) ? p.toPrecision(2) : "\u2013"],
      ["learned", rows.learned[i] === 1 ? "yes" : "no"],
    ];
    const time = moment(rows.x[i]);
    if (time) facts.unshift(["time", time]);
    const list = byId("cursor");
    list.replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
    const order = channels.map((_, d) => d).sort((a, b) => (channels[b].share[i] || 0) - (channels[a].share[i] || 0));
    byId("shares").tBodies[0].replaceChildren(...order.slice(0, SHOWN).map((d) => shareRow(channels[d], d, i)));
    if (aloud) {
      const odd = rows.hit[i] === 1 ? ", detection" : "";
      byId("cursor-said").textContent =
        `${time || `record ${rows.offset[i]}`}: actual ${actual(one, i)}, expected ${number(one.yhat[i])}, surprise ${number(rows.surprise[i])}${odd}`;
    }
  }

  function shareRow(one, d, i) {
    const row = element("tr"), share = one.share[i];
    const cells = [element("th", page.channels[d]), element("td", actual(one, i)), element("td", number(one.yhat[i])), element("td")];
    cells[0].scope = "row";
    cells[1].className = cells[2].className = "number";
    if (Number.isFinite(one.lower[i])) cells[2].append(element("small", `${number(one.lower[i])} to ${number(one.upper[i])}`));
    if (Number.isFinite(share)) {
      const bar = element("meter");
      bar.value = share;
      bar.setAttribute("aria-hidden", "true");
      cells[3].append(bar, ` ${Math.round(100 * share)}%`);
    }
    row.append(...cells);
    return row;
  }

  function element(name, text = "") {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  // The whole view is in the address, so that a link shows what its sender saw.
  function remember() {
    const text = (name) => (name === "series" ? Store.nameOf(view.series) : String(view[name]));
    const kept = KEPT.filter((name) => view[name] !== null).map((name) => [name, text(name)]);
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  }

  async function recall() {
    const said = new URLSearchParams(location.hash.slice(1));
    const numeric = (name) => (said.get(name) !== null && Number.isFinite(Number(said.get(name))) ? Number(said.get(name)) : null);
    view.theme = ["light", "dark"].includes(said.get("theme")) ? said.get("theme") : null;
    setTheme();
    view.whole = Store.live && said.get("whole") ? 1 : null;
    const code = Store.codeOf(said.get("series"));
    await chooseSeries(page.series.includes(code) ? code : page.first);
    const place = numeric("channel"), close = page.events.find((event) => event.place === numeric("close"));
    if (place !== null && Number.isInteger(place) && page.channels[place] !== undefined) chooseChannel(place);
    if (close !== undefined && page.closeups.includes(close.place) && close.series === view.series) await show({ close: close.place });
    if (numeric("from") !== null && numeric("to") > numeric("from")) zoomTo(numeric("from"), numeric("to"));
  }

  function setTheme() {
    const dark = view.theme === null ? matchMedia("(prefers-color-scheme: dark)").matches : view.theme === "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    byId("theme").textContent = dark ? "Light theme" : "Dark theme";
    Drawing.paint();
  }

  const KEYS = {
    ArrowLeft: () => stepCursor(-1), ArrowRight: () => stepCursor(1),
    PageUp: () => moveBy(-0.1), PageDown: () => moveBy(0.1),
    "+": () => zoomBy(0.5), "-": () => zoomBy(2), 0: wholeRun,
    n: () => stepEvent(1), p: () => stepEvent(-1),
  };

  function listen() {
    const click = (id, act) => byId(id).addEventListener("click", act);
    click("in", () => zoomBy(0.5));
    click("out", () => zoomBy(2));
    click("earlier", () => moveBy(-0.5));
    click("later", () => moveBy(0.5));
    click("whole", wholeRun);
    click("next", () => stepEvent(1));
    click("before", () => stepEvent(-1));
    click("theme", () => {
      view.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      setTheme();
      drawAll();
    });
    byId("series").addEventListener("change", (event) => chooseSeries(Number(event.target.value)));
    byId("channel").addEventListener("change", (event) => chooseChannel(Number(event.target.value)));
    byId("charts").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || KEYS[event.key] === undefined) return;
      event.preventDefault();
      KEYS[event.key]();
    });
    document.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-event]");
      if (button === null) return;
      showEvent(page.events.find((event) => String(event.place) === button.dataset.event));
      byId("charts").scrollIntoView({ block: "nearest" });
    });
    byId("span")?.addEventListener("change", ({ target }) => show({ whole: target.value ? 1 : null }));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { setTheme(); drawAll(); });
    addEventListener("resize", redraw);
    listenToFigures();
  }

  function listenToFigures() {
    const x = Drawing.model("x");
    // What a tool of the figure changed; what we set ourselves is the same.
    const follow = () => {
      const [start, end] = shown();
      const wide = end - start;
      if (Math.abs(x.start - start) > 1e-6 * wide || Math.abs(x.end - end) > 1e-6 * wide) zoomTo(x.start, x.end);
    };
    x.change.connect(follow);
    for (const name of ["value", "score", "ribbon"]) {
      Drawing.model(name).on_event("mousemove", (event) => setCursor(event.x));
      Drawing.model(name).on_event("tap", (event) => setCursor(event.x, true));
    }
    listenToHeat();
  }

  function listenToHeat() {
    const heat = Drawing.model("heat");
    if (heat === null) return;
    const code = (event) => page.heat.codes[page.heat.codes.length - 1 - Math.floor(event.y)];
    heat.on_event("tap", (event) => code(event) !== undefined && chooseSeries(code(event)));
    heat.on_event("mousemove", (event) => {
      byId("heat-at").textContent = page.names[code(event)] ?? "\u00a0";
    });
  }

  // What a live page tells when there is more of what is shown, other events, another strip, other series.
  const news = {
    // What is in sight stays in sight; where that was the newest, the newest is.
    rows(before) {
      const last = series().rows.x.at(-1);
      if (view.to !== null && view.to >= before) [view.from, view.to] = [view.from + last - before, view.to + last - before];
      const following = view.cursor === null || view.cursor >= before;
      drawAll();
      if (following) setCursor(last);
    },
    events() {
      drawAll();
      mark();
    },
    heat(another) {
      if (another) {
        Drawing.paint();
        listenToHeat();
      }
      drawAll();
    },
    series: fillSeries,
  };

  function fillSeries() {
    const option = (name, at) => Object.assign(element("option", name), { value: String(at) });
    byId("series").replaceChildren(...page.series.map((code) => option(page.names[code], code)));
    byId("channel").replaceChildren(...page.channels.map(option));
    byId("series-label").classList.toggle("hidden", page.series.length < 2);
    byId("channel-label").classList.toggle("hidden", page.channels.length < 2);
    if (view.series !== null) byId("series").value = String(view.series);
  }

  async function start() {
    await Store.begin();
    await Drawing.embed(Store.item("charts"), byId("charts"));
    for (const name of ["heat", "calibration"]) if (byId(name) && Store.item(name)) await Drawing.embed(Store.item(name), byId(name));
    if (Store.live) fillSeries();
    listen();
    await recall();
    Store.follow(view, news);
    document.documentElement.dataset.ready = "yes";
  }
  start();
})();
