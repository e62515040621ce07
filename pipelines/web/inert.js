"use strict";
// Where the page's data are: in the page itself, of a report.
const Store = (() => {
  const data = (id) => {
    const block = document.getElementById(id);
    return block === null ? null : JSON.parse(block.textContent);
  };
  const page = data("page");
  const decoded = new Map();

  function rows({ series, close }) {
    const name = close === null ? `series-${series}` : `close-${close}`;
    if (!decoded.has(name)) {
      decoded.clear(); // one at a time: the others lie in the page as text
      decoded.set(name, Drawing.decoded(data(name)));
    }
    return decoded.get(name);
  }

  return {
    live: false,
    page,
    item: (name) => data(`item-${name}`),
    rows,
    begin: async () => {},
    load: async () => {},
    follow: () => {},
    nameOf: (code) => String(code),
    codeOf: (text) => (text === null ? null : Number(text)),
    placeOf: (event) => ({ close: page.closeups.includes(event.place) ? event.place : null }),
  };
})();
