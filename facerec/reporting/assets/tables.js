"use strict";
// The matrix of who is with whom, histograms, timings of shards.
(() => {
  const { data, people, el, bdi, duration, count } = facerec;

  // --- who is with whom ------------------------------------------------------------------------------
  const table = document.getElementById("together-table"), size = document.getElementById("together-size");
  const pair = document.getElementById("together-pair");
  const ranked = people.map((_, i) => i).filter((i) => !people[i].shared)
    .sort((a, b) => people[b].seconds - people[a].seconds);
  const lookup = new Map(data.together.map(([a, b, time]) => [a < b ? `${a} ${b}` : `${b} ${a}`, time]));
  const withEach = (a, b) => lookup.get(a < b ? `${a} ${b}` : `${b} ${a}`) || 0;

  function drawMatrix() {
    const shown = ranked.slice(0, Number(size.value));
    const most = Math.max(0, ...shown.flatMap((a) => shown.map((b) => a === b ? 0 : withEach(a, b))));
    const head = el("tr", null, el("td"), shown.map((b) => el("th", { scope: "col" }, el("span", null, bdi(people[b].name)))));
    const body = shown.map((a) => el("tr", null, el("th", { scope: "row" }, facerec.personLink(a)),
      shown.map((b) => cell(a, b, most))));
    table.replaceChildren(el("thead", null, head), el("tbody", null, body));
    table.querySelector("tbody td[data-pair]")?.setAttribute("tabindex", "0");
    pair.replaceChildren();
    document.getElementById("together-empty").hidden = shown.length > 1;
    table.parentElement.hidden = shown.length < 2;
  }
  function cell(a, b, most) {
    if (a === b) return el("td", { class: "self", "aria-label": "the same person" });
    const time = withEach(a, b);
    const node = el("td", { "data-pair": `${a} ${b}`, tabindex: "-1",
      title: `${people[a].name.slice(0, 60)} and ${people[b].name.slice(0, 60)}: ${duration(time)}`,
      "aria-label": `with ${people[b].name}: ${duration(time)}` });
    if (time) {
      node.className = `heat h${Math.max(1, Math.ceil(6 * Math.sqrt(time / most)))}`;
      node.textContent = time >= 60 ? `${Math.round(time / 60)}m` : `${time < 10 ? time.toFixed(1) : Math.round(time)}`;
    }
    return node;
  }
  function openPair(node) {
    const [a, b] = node.dataset.pair.split(" ").map(Number);
    const both = overlaps(people[a].spans, people[b].spans);
    pair.replaceChildren(el("h3", null, bdi(people[a].name), " and ", bdi(people[b].name)),
      el("p", { class: "quiet" }, both.length ? `${duration(withEach(a, b))} together, ${count(both.length, "time")}` : "Never on screen together."),
      el("ol", { class: "moments" }, both.slice(0, 120).map(([begin, end]) => el("li", null, facerec.momentLink(begin),
        el("span", { class: "quiet" }, ` ${duration(facerec.timeOf(end) - facerec.timeOf(begin))}`)))),
      both.length > 120 ? el("p", { class: "quiet" }, `and ${both.length - 120} more`) : null);
    table.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
    node.classList.add("chosen");
    facerec.announce(pair.textContent.slice(0, 300));
  }
  function overlaps(one, other) {
    const found = [];
    for (let i = 0, j = 0; i < one.length && j < other.length;) {
      const begin = Math.max(one[i], other[j]), end = Math.min(one[i + 1], other[j + 1]);
      if (begin < end) found.push([begin, end]);
      if (one[i + 1] < other[j + 1]) i += 2; else j += 2;
    }
    return found;
  }
  table.addEventListener("click", (event) => {
    const node = event.target.closest("td[data-pair]");
    if (node) focusCell(node), openPair(node);
  });
  function focusCell(node) {
    table.querySelectorAll("td[tabindex='0']").forEach((other) => other.setAttribute("tabindex", "-1"));
    node.setAttribute("tabindex", "0");
    node.focus();
  }
  table.addEventListener("keydown", (event) => {
    const node = event.target.closest("td[data-pair]");
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      openPair(node);
      return;
    }
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    let row = node.parentElement.rowIndex, column = node.cellIndex;
    do {
      row += move[0];
      column += move[1];
    } while (table.rows[row]?.cells[column]?.className === "self");
    const next = table.rows[row]?.cells[column];
    if (next?.dataset.pair) focusCell(next);
  });
  size.addEventListener("change", drawMatrix);
  facerec.drawMatrix = drawMatrix;

  // --- histograms ------------------------------------------------------------------------------------
  for (const figure of document.querySelectorAll("figure[data-histogram]")) {
    const { edges, counts } = data.histograms[figure.dataset.histogram], unit = figure.dataset.unit || "";
    const most = Math.max(1, ...counts), wide = 300 / counts.length;
    const bars = counts.map((n, i) => el("rect", { x: (i * wide + 1).toFixed(1), y: (80 - 78 * n / most).toFixed(1),
      width: (wide - 2).toFixed(1), height: (78 * n / most).toFixed(1), rx: 1 },
      el("title", null, `${edges[i]} to ${edges[i + 1]}${unit}: ${n.toLocaleString("en")}`)));
    const all = counts.reduce((a, b) => a + b, 0);
    figure.prepend(el("svg", { viewBox: "0 0 300 81", class: "histogram", role: "img", preserveAspectRatio: "none",
      "aria-label": `${figure.querySelector("figcaption").textContent.trim()}: ${counts.map((n, i) => `${edges[i]} to ${edges[i + 1]}${unit}: ${n}`).join(", ")}` }, bars),
      el("div", { class: "axis", "aria-hidden": "true" }, el("span", null, `${edges[0]}${unit}`), el("span", null, count(all, "face")), el("span", null, `${edges[edges.length - 1]}${unit}`)));
  }

  // --- timings of shards -----------------------------------------------------------------------------
  const shards = document.getElementById("shards");
  shards?.addEventListener("toggle", () => {
    if (!shards.open || shards.querySelector("table")) return;
    const parts = data.shards.parts, slowest = Math.max(1e-9, ...data.shards.rows.map((row) => row.seconds || 0));
    const number = (value) => value === null || value === undefined ? "" : value.toFixed(1);
    const made = el("table", { class: "sortable numbers" },
      el("thead", null, el("tr", null, ["shard", "frames", "faces", "saved", "seconds", ...parts, "host"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", null, data.shards.rows.map((row) => el("tr", null,
        el("td", null, String(row.shard)), el("td", null, facerec.momentLink(row.begin, `${row.begin}–${row.end}`)),
        el("td", null, String(row.faces ?? "")), el("td", null, String(row.saved ?? "")),
        el("td", null, number(row.seconds), row.seconds ? meter(row.seconds / slowest) : null),
        parts.map((part) => el("td", null, number(row.parts[part]))), el("td", { class: "text" }, bdi(row.host || ""))))));
    shards.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Shards" }, made));
    sortableTable(made);
  });
  const meter = (share) => el("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("rect", { width: (100 * (share || 0)).toFixed(1), height: 4 }));
})();
