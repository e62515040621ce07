"use strict";
// Where the page's data are: with a daemon, which tells once a second what is new.
const Store = (() => {
  const WHOLE_MS = 5000, HEAT_MS = 10000, AGAIN_MS = 1000; // between two looks
  const byId = (id) => document.getElementById(id);
  const page = { run: null, first: 0, series: [], names: [], channels: [], statuses: [], events: [], marks: [], closeups: [], heat: null };
  const held = new Map(); // rows by series and whether of the whole run
  const items = {};
  let stream = null, followed = null, view = null, news = null, told = "";

  async function asked(path) {
    const answer = await fetch(path);
    if (answer.status === 401) location.reload(); // the token has changed
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  async function told_(path, body) {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  // What there is; until there is a series, ask again.
  async function begin() {
    for (;;) {
      try {
        const { charts, ...others } = await asked("page");
        Object.assign(page, others);
        items.charts = charts;
        byId("title").textContent = document.title = page.title;
        document.title += ": streamrnn live";
        if (page.series.length) break;
        link("Waiting for the first records \u2026");
      } catch {
        link("The daemon does not answer \u2026");
      }
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
    await lookAtFleet();
  }

  const key = ({ series, whole }) => `${series}${whole ? "-whole" : ""}`;

  async function load(wish) {
    if (!held.has(key(wish))) {
      const payload = await asked(`series?series=${wish.series}${wish.whole ? "&whole=1" : ""}`);
      for (const name of held.keys()) if (parseInt(name, 10) !== wish.series) held.delete(name);
      held.set(key(wish), { ...Drawing.decoded(payload), seen: payload.seen, most: payload.most, at: Date.now() });
    }
    if (wish.series !== followed && stream !== null) listen(wish.series);
  }

  function link(text) {
    if (text !== told) byId("link").textContent = told = text;
  }

  // Be told what is new, also of one series; the browser comes back by itself where the daemon goes away.
  function listen(code) {
    stream?.close();
    followed = code;
    const seen = held.get(String(code))?.seen ?? "";
    stream = new EventSource(`stream?run=${page.run}&series=${code}&seen=${seen}`);
    stream.onmessage = (message) => take(JSON.parse(message.data));
    stream.onerror = () => {
      link("The daemon is away; waiting for it \u2026");
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(code), AGAIN_MS);
    };
  }

  async function take(message) {
    if (message.trouble !== undefined) return link(message.trouble);
    if (message.run !== page.run) return location.reload(); // another process, which may number its series otherwise
    link("Live");
    Tiles.show(message.tiles);
    Preview.heard(message.asked);
    if (message.n_series !== page.series.length) await moreSeries();
    if (message.events !== undefined) {
      page.events = message.events.filter((event) => event.series !== null);
      Feed.show(message.events, page);
      news.events();
    }
    if (message.rows !== undefined) addRows(message.rows);
    lookAtRun();
  }

  async function moreSeries() {
    const { charts, ...others } = await asked("page");
    const { events, heat } = page;
    Object.assign(page, others, { events, heat });
    news.series();
  }

  function addRows(payload) {
    const name = String(payload.code), before = held.get(name);
    const fresh = Drawing.decoded(payload);
    if (before === undefined && !payload.all) return;
    if (payload.timed !== page.timed) location.reload(); // the axis is another
    const last = before?.rows.x.at(-1) ?? -Infinity;
    const joined = payload.all ? fresh : Drawing.joined(before, fresh, payload.most);
    held.set(name, { ...joined, seen: payload.seen, most: payload.most });
    if (payload.code === view.series && view.whole === null) news.rows(last);
  }

  // The whole run and the strip are looked at now and then.
  let looking = false;
  async function lookAtRun() {
    if (looking) return;
    looking = true;
    try {
      if (Date.now() - fleetAt > HEAT_MS) await lookAtFleet();
      const rows = held.get(key({ ...view, whole: 1 }));
      if (view.whole !== null && rows !== undefined && Date.now() - rows.at > WHOLE_MS) {
        const last = rows.rows.x.at(-1), wish = { ...view };
        held.delete(key(wish));
        await load(wish);
        if (view.whole !== null && view.series === wish.series) news.rows(last);
      }
    } catch {
      // The next beat of the stream says what is wrong.
    } finally {
      looking = false;
    }
  }

  let fleetAt = 0;
  async function lookAtFleet() {
    fleetAt = Date.now();
    if (page.series.length < 2) return;
    const strip = await asked("heat");
    if (strip.codes === undefined) return;
    byId("fleet").hidden = false;
    byId("more-series").textContent = page.n_series > strip.codes.length
      ? `Shown are the first ${strip.codes.length} series of ${page.n_series}; for more there is no room.` : "";
    const another = page.heat?.codes.length !== strip.codes.length;
    page.heat = { codes: strip.codes };
    if (another) items.heat = await asked("heat-figure");
    if (news === null) return;
    if (another) await Drawing.embed(items.heat, byId("heat"));
    Drawing.fillHeat(strip, strip.codes.map((code) => page.names[code]));
    news.heat(another);
  }

  function rows(wish) {
    const found = held.get(key(wish));
    if (found === undefined && wish.whole) return held.get(String(wish.series)); // while it comes anew
    return found;
  }

  // Where an event can be seen: among the newest records, or only in the whole run.
  function placeOf(event) {
    const newest = held.get(String(event.series));
    return { whole: newest !== undefined && event.start >= newest.rows.x[0] ? null : 1 };
  }

  function follow(shownView, itsNews) {
    [view, news] = [shownView, itsNews];
    Preview.begin(page, view);
    Feed.begin();
    listen(view.series);
    addEventListener("pagehide", () => stream.close());
  }

  return {
    live: true,
    page,
    asked,
    told: told_,
    item: (name) => items[name] ?? null,
    rows,
    begin,
    load,
    follow,
    placeOf,
    nameOf: (code) => page.names[code] ?? "",
    codeOf: (name) => page.names.indexOf(name),
  };
})();
