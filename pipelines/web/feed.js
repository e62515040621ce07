"use strict";
// What a live page says in words: its header, the feed of events, and what may be said of them.
const element = (name, text = "", properties = {}) => Object.assign(document.createElement(name), { textContent: text }, properties);

const Tiles = (() => {
  function show(tiles) {
    const list = document.getElementById("tiles");
    if (list.childElementCount !== tiles.length) {
      list.replaceChildren(...tiles.map(({ name }) => {
        const one = element("li");
        one.append(element("h3", name), element("p", "", { className: "big" }), element("p"));
        return one;
      }));
    }
    tiles.forEach(({ value, text, tone }, place) => {
      const one = list.children[place];
      one.className = tone;
      if (one.children[1].textContent !== value) one.children[1].textContent = value;
      one.children[2].textContent = text;
    });
  }
  return { show };
})();

const Feed = (() => {
  const HOUR_S = 3600;
  const byId = (id) => document.getElementById(id);
  const VERBS = { confirm: "Confirm", "not-an-anomaly": "Not an anomaly", forget: "Take back" };
  let drawn = "";

  function show(events, page) {
    const text = JSON.stringify(events);
    if (text === drawn) return;
    drawn = text;
    const open = events.filter((event) => event.open).length, alerts = events.filter((event) => event.alert).length;
    byId("events-said").textContent = events.length
      ? `The newest ${events.length}, ${open} open; ${alerts} reached the alert level (in bold).` : "No events yet.";
    byId("events").hidden = !events.length;
    byId("events").classList.toggle("alone", page.n_series < 2);
    const focused = document.activeElement?.dataset ?? {};
    byId("events").tBodies[0].replaceChildren(...events.map((event) => row(event, page)));
    const again = focused.say ? `[data-say="${focused.say}"]` : focused.event ? "[data-event]" : null;
    const id = focused.about ?? focused.event;
    if (again !== null) {
      const same = [...document.querySelectorAll(`#events ${again}`)].find((one) => (one.dataset.about ?? one.dataset.event) === id);
      same?.focus();
    }
  }

  function row(event, page) {
    const made = element("tr", "", { className: [event.alert && "alert", (event.said === "not an anomaly" || event.quiet) && "hushed"].filter(Boolean).join(" ") });
    const head = element("th", "", { scope: "row" });
    head.append(event.series === null ? String(event.number) : button(String(event.number), { event: event.place }, `Show event ${event.number}`));
    const kind = element("td");
    kind.append(element("i", "", { className: `box kind-${event.kind}` }), event.looks);
    const actual = page.channels.length > 1 && event.name ? `${event.name} ${event.actual}` : event.actual;
    const surprise = event.surprise === null ? "" : event.surprise.toFixed(1);
    const number = { className: "number" };
    made.append(head, element("td", event.key), element("td", event.began), element("td", event.open ? "open" : event.lasted), kind,
      element("td", surprise, number), element("td", actual, number), element("td", event.expected, number), said(event));
    return made;
  }

  function said(event) {
    const cell = element("td", "", { className: "said" });
    if (event.said) cell.append(element("b", event.said), " ");
    else if (event.quiet) cell.append(element("span", "looks like one that is no anomaly"), " ");
    const verbs = event.gap ? [] : event.said ? ["forget"] : ["confirm", "not-an-anomaly"];
    for (const verb of verbs) cell.append(button(VERBS[verb], { say: verb, about: event.place }, `${VERBS[verb]}: event ${event.number}`));
    const snooze = event.snoozed ? ["wake", `Wake (snoozed to ${event.snoozed})`] : ["snooze", "Snooze 1 h"];
    cell.append(button(snooze[1], { say: snooze[0], about: event.place }, `${snooze[1]}: ${event.key}`));
    return cell;
  }

  function button(text, data, label) {
    const made = element("button", text, { type: "button" });
    Object.assign(made.dataset, data);
    made.setAttribute("aria-label", label);
    return made;
  }

  async function say(verb, id) {
    if (verb === "snooze" || verb === "wake") return Store.told("snooze", { event: id, seconds: verb === "wake" ? 0 : HOUR_S });
    if (verb === "not-an-anomaly" && !(await sure(id))) return null;
    return Store.told("say", { verb, event: id });
  }

  // What it would have hidden, before it is said.
  async function sure(id) {
    const { began } = await Store.asked(`alike?${new URLSearchParams({ verb: "not-an-anomaly", event: id })}`);
    const some = began.length === 1 ? "1 other alert" : `${began.length || "no"} other ${began.length ? "alerts" : "alert"}`;
    const text = `What looks like it will raise no alert. It would have hidden ${some} of the past${began.length ? ":" : "."}`;
    return answered("Not an anomaly?", text, began.slice(-10).reverse());
  }

  function answered(title, text, lines) {
    const ask = byId("ask");
    byId("ask-title").textContent = title;
    byId("ask-text").textContent = text;
    byId("ask-list").replaceChildren(...lines.map((line) => element("li", line)));
    ask.returnValue = "";
    ask.showModal();
    return new Promise((done) => ask.addEventListener("close", () => done(ask.returnValue === "yes"), { once: true }));
  }

  function begin() {
    byId("ask-yes").addEventListener("click", () => byId("ask").close("yes"));
    byId("ask-no").addEventListener("click", () => byId("ask").close(""));
    byId("events").addEventListener("click", async ({ target }) => {
      const pressed = target.closest("[data-say]");
      if (pressed === null) return;
      pressed.disabled = true;
      try {
        if ((await say(pressed.dataset.say, pressed.dataset.about)) === null) pressed.disabled = false;
      } catch (error) {
        pressed.disabled = false;
        answered("That did not work", error.message, []);
      }
    });
  }

  return { begin, show };
})();

// A threshold that is tried out: how many events a day it would have given.
const Preview = (() => {
  const byId = (id) => document.getElementById(id);
  let page = null, view = null, counts = null, of = null, at = 0, asking = 0;
  let wanted = null, applied = null, present = null; // rates of false alarms: shown, applied, in force

  const rate = (rates, k) => rates?.[k] ?? 0;
  const number = (value) => (value === 0 ? "none" : value >= 10 ? String(Math.round(value)) : value.toPrecision(2));

  async function show(threshold) {
    const line = Drawing.model("preview"), slider = byId("threshold");
    const k = Math.round((threshold - page.lowest) / page.step);
    const kept = Math.min(Math.max(k, 0), Number(slider.dataset.last));
    const surprise = page.lowest + kept * page.step;
    slider.value = String(kept);
    slider.setAttribute("aria-valuetext", `surprise ${surprise.toFixed(1)}`);
    if (!line.visible || Math.abs(line.location - surprise) > 1e-6) line.setv({ location: surprise, visible: true });
    const number_ = (asking += 1);
    byId("apply").disabled = true; // until what it would apply is shown
    if (of !== view.series || Date.now() - at > 10_000) {
      counts = await Store.asked(`threshold?series=${view.series}`);
      [of, at] = [view.series, Date.now()];
    }
    if (number_ === asking) await tell(surprise, kept, number_);
  }

  async function tell(surprise, k, number_) {
    const per = counts.timed ? "a day" : "in 1,000 records", p = (10 ** -surprise).toPrecision(2);
    const others = counts.n > 1 ? `, ${number(rate(counts.all, k))} in all ${counts.n} series` : "";
    const name = counts.n > 1 ? page.names[view.series] : "this series";
    byId("preview-said").textContent =
      `At surprise ${surprise.toFixed(1)} (p ${p}), events ${per}: ${number(rate(counts.one, k))} in ${name}${others}.`;
    const mean = counts.timed && counts.n ? rate(counts.all, k) / counts.n : "";
    const made = await Store.asked(`line?${new URLSearchParams({ surprise: surprise.toFixed(2), a_day: mean })}`);
    if (number_ !== asking) return;
    wanted = made.false_alarms;
    byId("preview-toml").textContent = made.line;
    byId("apply").disabled = false;
    byId("preview-line").hidden = false;
  }

  async function apply() {
    const said = byId("apply-said");
    try {
      applied = (await Store.told("apply", { false_alarms: wanted })).asked;
      said.textContent = applied === present ? `false_alarms = ${applied} holds already.` : `false_alarms = ${applied} is asked for; it holds from the next record on.`;
    } catch (error) {
      said.textContent = `That did not work: ${error.message}`;
    }
  }

  // What holds at present: what was applied, once the daemon has it, or what its file says again.
  function heard(asked) {
    if (asked === present) return;
    byId("asked").textContent = present = asked;
    if (applied !== null) byId("apply-said").textContent = `false_alarms = ${asked} holds now.`;
  }

  function hide() {
    Drawing.model("preview").visible = false;
    byId("preview-line").hidden = true;
    byId("preview-said").textContent = "\u00a0";
  }

  function begin(itsPage, itsView) {
    [page, view] = [itsPage, itsView];
    const slider = byId("threshold"), line = Drawing.model("preview");
    Object.assign(slider, { min: "0", max: "70", step: "1" });
    slider.dataset.last = slider.max;
    slider.addEventListener("input", () => show(page.lowest + Number(slider.value) * page.step));
    byId("threshold-off").addEventListener("click", hide);
    byId("apply").addEventListener("click", apply);
    const now = Store.rows(view).rows.threshold.findLast(Number.isFinite) ?? 4; // where it is at present
    slider.value = String(Math.round((now - page.lowest) / page.step));
    line.setv({ location: now, visible: true });
    line.properties.location.change.connect(() => show(line.location));
  }

  return { begin, heard };
})();
