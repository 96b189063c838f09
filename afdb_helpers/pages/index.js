"use strict";
// Search, filter and sort the rows that the page holds. Of thousands of rows those that match are found in memory and
// a screenful of them shown, so that each keystroke is answered within a frame. Without this script all rows are shown.
(() => {
  const FIRST = 20, MORE = 80;  // rows: to lay them out is what takes the time
  const COLUMNS = { target: 2, runbook: 1, outcome: 3, who: 4 };
  const TOOK = 5;
  const table = document.getElementById("records");
  const body = table.tBodies[0];
  const count = document.getElementById("count");
  const all = Array.from(body.rows, (row) => {
    const cells = Array.from(row.cells, (cell) => cell.textContent);
    return { row, cells, text: cells.join("\n").toLowerCase(), day: cells[0].slice(0, 10) };
  });
  const asked = { q: "", target: "", runbook: "", outcome: "", who: "", from: "", to: "" };
  const controls = {};
  let order = all;
  let shown = FIRST;

  const make = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const matches = () => {
    const words = asked.q.toLowerCase().split(/\s+/).filter(Boolean);
    const exact = Object.entries(COLUMNS).filter(([name]) => asked[name]);
    return order.filter((one) =>
      words.every((word) => one.text.includes(word)) &&
      exact.every(([name, column]) => one.cells[column] === asked[name]) &&
      (!asked.from || one.day >= asked.from) && (!asked.to || one.day <= asked.to));
  };

  const show = () => {
    const found = matches();
    body.replaceChildren(...found.slice(0, shown).map((one) => one.row));
    const some = found.length === all.length ? "" : `${found.length.toLocaleString("en")} of `;
    count.textContent = `${some}${all.length.toLocaleString("en")} record${all.length === 1 ? "" : "s"}`;
    more.hidden = found.length <= shown;
    more.textContent = `Show more (${(found.length - shown).toLocaleString("en")} left)`;
  };

  const ask = (name, value, keep = true) => {
    asked[name] = value;
    shown = FIRST;
    show();
    const set = Object.entries(asked).filter(([, given]) => given);
    if (keep) history.replaceState(null, "", `#${new URLSearchParams(set)}`);
  };

  const field = (name, label, control) => {
    controls[name] = control;
    control.id = `by-${name}`;
    control.addEventListener("input", () => ask(name, control.value, control.type !== "search"));
    control.addEventListener("change", () => ask(name, control.value));
    return make("label", { className: name === "q" ? "search" : "" }, label, control);
  };

  const choice = (name) => {
    const values = [...new Set(all.map((one) => one.cells[COLUMNS[name]]))].filter(Boolean).sort();
    return make("select", {}, make("option", { value: "", textContent: "all" }),
      ...values.map((value) => make("option", { value, textContent: value })));
  };

  const sort = (column, heading) => {
    const down = heading.ariaSort === "ascending";
    const key = column === TOOK
      ? (one) => Number.parseFloat(one.cells[TOOK].replaceAll(",", "")) || 0 : (one) => one.cells[column];
    const keyed = all.map((one) => [key(one), one]);
    keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    order = keyed.map(([, one]) => one);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.ariaSort = down ? "descending" : "ascending";
    show();
  };

  const more = make("button", { className: "more", type: "button" });
  more.addEventListener("click", () => { shown += MORE; show(); });
  table.parentElement.after(more);

  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = make("button", { type: "button", textContent: heading.textContent });
    button.addEventListener("click", () => sort(column, heading));
    heading.replaceChildren(button);
  });
  table.tHead.rows[0].cells[0].ariaSort = "descending";

  const search = make("input", { type: "search", placeholder: "any words; press /", autocomplete: "off" });
  const clear = make("button", { type: "button", textContent: "Show all" });
  const bar = make("div", { className: "filters", role: "search" }, field("q", "Search", search),
    field("target", "Target", choice("target")), field("runbook", "Runbook", choice("runbook")),
    field("outcome", "Outcome", choice("outcome")), field("who", "Who", choice("who")),
    field("from", "From", make("input", { type: "date" })), field("to", "To", make("input", { type: "date" })), clear);
  document.getElementById("filters").replaceWith(bar);

  const fill = (given) => {
    for (const name of Object.keys(asked)) {
      asked[name] = given.get(name) || "";
      controls[name].value = asked[name];
    }
    shown = FIRST;
    show();
  };
  const follow = () => fill(new URLSearchParams(location.hash.slice(1)));
  clear.addEventListener("click", () => { history.replaceState(null, "", "#"); follow(); search.focus(); });
  addEventListener("hashchange", follow);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select")) { event.preventDefault(); search.focus(); }
  });
  follow();
})();
