"use strict";
// Who is on screen when: a canvas that draws the visible rows of the visible span, and the span over the whole film.
(() => {
  const { data, movie, people, seconds, timeOf, frameAt, count } = facerec;
  const ROW = 26, RULER = 26, MIN_SPAN = 0.2; // pixels, pixels, seconds
  const scroller = document.getElementById("timeline"), spacer = document.getElementById("timeline-space");
  const canvas = document.getElementById("timeline-canvas"), overview = document.getElementById("overview");
  const pen = canvas.getContext("2d"), length = seconds[movie.frames] || 1;
  const inView = document.getElementById("in-view");
  let from = 0, to = length; // the visible span in seconds
  let order = [], rows = [], current = -1, frame = null, width = 0, height = 0, gutter = 150, colours = {}, queued = false;

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ink", "quiet", "line", "card", "sure", "unsure", "unknown", "shared", "accent", "hole", "shot"])
      colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  function fit(target, w, h) { // the canvas in device pixels
    const ratio = window.devicePixelRatio || 1;
    if (target.width !== Math.round(w * ratio) || target.height !== Math.round(h * ratio)) {
      target.width = Math.round(w * ratio);
      target.height = Math.round(h * ratio);
    }
    const context = target.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    return context;
  }
  const xOf = (time) => gutter + (time - from) / (to - from) * (width - gutter);
  const timeAtX = (x) => from + (x - gutter) / (width - gutter) * (to - from);

  function niceStep(least) {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    return steps.find((step) => step >= least) || 7200;
  }
  function layout() {
    width = scroller.clientWidth;
    gutter = Math.min(170, Math.max(92, Math.round(width * 0.16)));
    height = Math.max(1, Math.min(rows.length, 14)) * ROW + RULER + 2;
    scroller.style.height = `${height + 2}px`;
    canvas.style.height = `${height}px`;
    canvas.style.width = `${width}px`;
    spacer.style.height = `${rows.length * ROW + RULER + 2}px`;
    redraw();
  }
  function redraw() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(paint);
  }
  function paint() {
    queued = false;
    draw();
    drawOverview();
  }

  function draw() {
    fit(canvas, width, height);
    const top = scroller.scrollTop, firstRow = Math.floor(top / ROW);
    const lastRow = Math.min(rows.length, firstRow + Math.ceil(height / ROW) + 1);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    drawShots();
    pen.save();
    pen.beginPath();
    pen.rect(0, RULER, width, height - RULER);
    pen.clip();
    for (let row = firstRow; row < lastRow; row++) drawRow(row, RULER + row * ROW - top);
    pen.restore();
    drawRuler();
    if (frame !== null) {
      const x = xOf(timeOf(frame));
      if (x >= gutter - 1 && x <= width) {
        pen.fillStyle = colours.accent;
        pen.fillRect(x - 0.75, RULER - 8, 1.5, height);
        pen.beginPath();
        pen.moveTo(x - 5, RULER - 10);
        pen.lineTo(x + 5, RULER - 10);
        pen.lineTo(x, RULER - 3);
        pen.fill();
      }
    }
  }
  function drawShots() { // shots as bands where they are wide enough, holes in the coverage as hatched areas
    const cuts = data.cuts, first = facerec.shotOf(frameAt(from)), last = facerec.shotOf(frameAt(to));
    if ((width - gutter) / (last - first + 1) > 7) {
      for (let shot = first; shot <= last; shot++) {
        const [begin, end] = facerec.shotRange(shot);
        const x1 = Math.max(gutter, xOf(timeOf(begin))), x2 = Math.min(width, xOf(timeOf(end)));
        if (shot % 2) {
          pen.fillStyle = colours.shot;
          pen.fillRect(x1, RULER, x2 - x1, height);
        }
      }
    }
    pen.fillStyle = colours.hole;
    for (const [begin, end] of data.coverage.holes) {
      const x1 = Math.max(gutter, xOf(timeOf(begin))), x2 = Math.min(width, xOf(timeOf(end)));
      if (x2 > x1) pen.fillRect(x1, RULER, x2 - x1, height);
    }
  }
  function drawRow(row, y) {
    const index = rows[row], person = people[index], kind = facerec.certainty(person), spans = person.spans;
    if (row === current) {
      pen.fillStyle = colours.line;
      pen.globalAlpha = 0.55;
      pen.fillRect(0, y, width, ROW);
      pen.globalAlpha = 1;
    }
    pen.fillStyle = colours.line;
    pen.fillRect(gutter, y + ROW - 1, width - gutter, 0.5);
    pen.fillStyle = colours[kind];
    const beginFrame = frameAt(from), endFrame = frameAt(to) + 1;
    let low = 0, high = spans.length / 2; // the first span that ends after the left edge
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[2 * middle + 1] <= beginFrame) low = middle + 1; else high = middle;
    }
    let right = -1;
    for (let i = low; 2 * i < spans.length && spans[2 * i] < endFrame; i++) {
      const x1 = Math.max(gutter, xOf(timeOf(spans[2 * i])));
      const x2 = Math.min(width, Math.max(x1 + 1.5, xOf(timeOf(spans[2 * i + 1]))));
      if (x2 <= right) continue;
      pen.fillRect(x1, y + 6, x2 - x1, ROW - 13);
      if (kind === "unsure" && x2 - x1 > 3) { // a pattern besides the colour
        pen.fillStyle = colours.card;
        pen.fillRect(x1 + 1, y + ROW / 2 - 1, x2 - x1 - 2, 1);
        pen.fillStyle = colours.unsure;
      }
      right = x2;
    }
    pen.fillStyle = row === current || kind === "sure" || kind === "unsure" ? colours.ink : colours.quiet;
    fillText(person.name, 10, y + ROW / 2, gutter - 18);
  }
  function fillText(text, x, y, most) {
    let shown = text.slice(0, 60);
    if (pen.measureText(shown).width > most) {
      while (shown && pen.measureText(`${shown}…`).width > most) shown = shown.slice(0, -1);
      shown += "…";
    }
    pen.direction = "ltr";
    pen.fillText(`\u2068${shown}\u2069`, x, y);
  }
  function drawRuler() {
    pen.fillStyle = colours.card;
    pen.fillRect(0, 0, width, RULER - 1);
    pen.fillStyle = colours.line;
    pen.fillRect(0, RULER - 1, width, 1);
    pen.fillStyle = colours.quiet;
    const step = niceStep((to - from) * 84 / (width - gutter)), digits = step < 1 ? 1 : 0;
    for (let k = Math.ceil(from / step - 1e-6); k * step <= to; k++) {
      const x = xOf(k * step), text = facerec.clockOf(k * step, digits);
      pen.fillRect(x, RULER - 6, 1, 5);
      if (x + pen.measureText(text).width / 2 < width - 2 && x - 20 > gutter - 26)
        pen.fillText(text, Math.max(gutter, x - pen.measureText(text).width / 2), RULER / 2 - 2);
    }
    if (width > 600) pen.fillText(count(rows.length, "row"), 10, RULER / 2 - 1);
  }

  // --- the whole film above: how many are on screen, and the visible span -----------------------------
  const density = (() => {
    const bins = new Float32Array(600);
    for (const { spans, shared } of people) {
      if (shared) continue;
      for (let i = 0; i < spans.length; i += 2) {
        const a = timeOf(spans[i]) / length * 600, b = timeOf(spans[i + 1]) / length * 600;
        for (let bin = Math.floor(a); bin < b && bin < 600; bin++)
          bins[bin] += Math.min(b, bin + 1) - Math.max(a, bin);
      }
    }
    return bins;
  })();
  const densest = density.reduce((most, value) => Math.max(most, value), 0) || 1;
  function drawOverview() {
    const w = overview.clientWidth, h = overview.clientHeight, brush = fit(overview, w, h);
    brush.fillStyle = colours.unknown;
    for (let bin = 0; bin < 600; bin++) {
      const tall = density[bin] / densest * (h - 6);
      const left = Math.round(bin * w / 600);
      brush.fillRect(left, h - 1 - tall, Math.round((bin + 1) * w / 600) - left, tall);
    }
    brush.fillStyle = colours.hole;
    for (const [begin, end] of data.coverage.holes)
      brush.fillRect(timeOf(begin) / length * w, 0, Math.max(2, (timeOf(end) - timeOf(begin)) / length * w), h);
    const x1 = from / length * w, x2 = Math.max(x1 + 3, to / length * w);
    brush.globalAlpha = 0.16;
    brush.fillStyle = colours.accent;
    brush.fillRect(x1, 0, x2 - x1, h);
    brush.globalAlpha = 1;
    brush.strokeStyle = colours.accent;
    brush.lineWidth = 1.5;
    brush.strokeRect(x1 + 0.75, 0.75, Math.max(1.5, x2 - x1 - 1.5), h - 1.5);
    if (frame !== null) {
      brush.fillStyle = colours.accent;
      brush.fillRect(timeOf(frame) / length * w - 0.75, 0, 1.5, h);
    }
  }

  // --- moving ----------------------------------------------------------------------------------------
  function view(begin, end) {
    const span = Math.min(length, Math.max(MIN_SPAN, end - begin));
    from = Math.max(0, Math.min(length - span, begin));
    to = from + span;
    const text = span >= length ? "the whole film" : `${facerec.clockOf(from, 1)} to ${facerec.clockOf(to, 1)}`;
    document.getElementById("timeline-span").textContent = text;
    if (inView.checked) chooseRows(); else redraw();
  }
  function chooseRows() { // all people of the list, or those who are on screen in the visible span
    const before = rows[current], first = frameAt(from), last = frameAt(to);
    rows = inView.checked ? order.filter((index) => firstSpan(people[index].spans, first) <= last) : order;
    current = rows.indexOf(before);
    layout();
  }
  function firstSpan(spans, at) { // the first frame of the first span that does not end before a frame
    let low = 0, high = spans.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[2 * middle + 1] <= at) low = middle + 1; else high = middle;
    }
    return 2 * low < spans.length ? spans[2 * low] : Infinity;
  }
  const zoom = (factor, at = (from + to) / 2) => view(at - (at - from) * factor, at + (to - at) * factor);
  const pan = (share) => view(from + (to - from) * share, to + (to - from) * share);
  function zoomToShot(shot) {
    const [begin, end] = facerec.shotRange(shot), a = timeOf(begin), b = timeOf(end);
    view(a - (b - a) * 0.04, b + (b - a) * 0.04);
  }
  function stepShot(step) {
    const here = frame !== null ? frame : frameAt((from + to) / 2);
    const shot = Math.max(0, Math.min(data.cuts.length, facerec.shotOf(here) + step));
    zoomToShot(shot);
    choose(facerec.shotRange(shot)[0]);
  }

  function choose(at) { // a moment
    frame = Math.max(0, Math.min(movie.frames - 1, at));
    const time = timeOf(frame);
    if (time < from || time > to) view(time - (to - from) / 2, time + (to - from) / 2);
    facerec.emit("moment", frame);
    redraw();
  }
  function go(at) { // from a link
    if (to - from > 60) view(timeOf(at) - 20, timeOf(at) + 20);
    choose(at);
  }
  const rowAt = (y) => Math.floor((y - RULER + scroller.scrollTop) / ROW);
  function select(row) {
    if (!rows.length) return;
    current = Math.max(0, Math.min(rows.length - 1, row));
    const y = current * ROW;
    if (y < scroller.scrollTop) scroller.scrollTop = y;
    if (y + ROW > scroller.scrollTop + height - RULER) scroller.scrollTop = y + ROW - height + RULER;
    const person = people[rows[current]];
    facerec.announce(`${person.name}, ${facerec.duration(person.seconds)} on screen`);
    redraw();
  }

  scroller.addEventListener("scroll", redraw, { passive: true });
  new ResizeObserver(layout).observe(scroller);
  inView.addEventListener("change", chooseRows);
  facerec.on("order", (chosen) => {
    order = chosen;
    chooseRows();
  });
  facerec.on("theme", () => {
    readColours();
    redraw();
  });
  let before = null; // the theme before printing, which is always light
  window.addEventListener("beforeprint", () => {
    before = document.documentElement.getAttribute("data-theme");
    document.documentElement.setAttribute("data-theme", "light");
    readColours();
    paint();
  });
  window.addEventListener("afterprint", () => {
    if (before) document.documentElement.setAttribute("data-theme", before);
    else document.documentElement.removeAttribute("data-theme");
    readColours();
    redraw();
  });
  readColours();
  facerec.timeline = {
    canvas, scroller, length, view, zoom, pan, zoomToShot, stepShot, choose, go, select, redraw, timeAtX, rowAt,
    span: () => [from, to], frame: () => frame, rows: () => rows, current: () => current,
    size: () => ({ width, height, gutter, ruler: RULER }),
  };
})();
