"use strict";
// Pointer, wheel, keys and buttons of the timeline.
(() => {
  const { movie, people, clock, timeOf, frameAt, timeline } = facerec;
  const { canvas, scroller, length, view, zoom, pan, size, timeAtX, rowAt } = timeline;
  const overview = document.getElementById("overview"), tip = document.getElementById("timeline-tip");
  const visible = () => timeline.span()[1] - timeline.span()[0];

  // --- pointer ---------------------------------------------------------------------------------------
  const pointers = new Map();
  let pressed = null, pinch = null;
  const local = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.clientX);
    const [from, to] = timeline.span();
    pressed = { x: event.clientX, from, to, moved: false };
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      pinch = { far: Math.max(10, Math.abs(a - b)), from, to, at: timeAtX((a + b) / 2 - canvas.getBoundingClientRect().left) };
    }
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event.clientX);
    if (pinch && pointers.size === 2) {
      const [a, b] = [...pointers.values()], factor = pinch.far / Math.max(10, Math.abs(a - b));
      view(pinch.at - (pinch.at - pinch.from) * factor, pinch.at + (pinch.to - pinch.at) * factor);
    } else if (pressed) {
      const by = (pressed.x - event.clientX) / (size().width - size().gutter) * (pressed.to - pressed.from);
      if (Math.abs(event.clientX - pressed.x) > 4) pressed.moved = true;
      if (pressed.moved) view(pressed.from + by, pressed.to + by);
    } else hover(event);
  });
  const release = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size < 2) pinch = null;
    if (!pointers.size) setTimeout(() => { pressed = null; });
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("click", (event) => {
    if (pressed?.moved) return;
    const [x, y] = local(event), row = rowAt(y);
    const { gutter, ruler } = size(), rows = timeline.rows(), onRow = y > ruler && row < rows.length;
    if (onRow) timeline.select(row);
    if (x < gutter && onRow) location.hash = facerec.personHref(rows[row]);
    else if (x >= gutter) timeline.choose(frameAt(timeAtX(x)));
  });
  canvas.addEventListener("dblclick", (event) => {
    const [x] = local(event);
    if (x >= size().gutter) timeline.zoomToShot(facerec.shotOf(frameAt(timeAtX(x))));
  });
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * 0.004), timeAtX(Math.max(size().gutter, local(event)[0])));
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / size().width);
    else if (event.shiftKey) pan(event.deltaY / size().width);
    else return; // rows and page scroll as usual
    event.preventDefault();
  }, { passive: false });
  function hover(event) {
    const [x, y] = local(event), row = rowAt(y), rows = timeline.rows(), { width, height, gutter, ruler } = size();
    if (x < gutter || y < ruler || row >= rows.length) {
      tip.hidden = true;
      return;
    }
    const at = frameAt(timeAtX(x)), person = people[rows[row]];
    tip.textContent = `${person.name.slice(0, 60)} · ${clock(at)} · frame ${at} · shot ${facerec.shotOf(at) + 1}`;
    tip.hidden = false;
    tip.style.left = `${Math.max(4, Math.min(x + 12, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${scroller.scrollTop + Math.min(y + 16, height - 26)}px`;
  }
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  let dragging = false;
  const centre = (event) => {
    const [from, to] = timeline.span();
    const box = overview.getBoundingClientRect(), time = (event.clientX - box.left) / box.width * length;
    view(time - (to - from) / 2, time + (to - from) / 2);
  };
  overview.addEventListener("pointerdown", (event) => {
    dragging = true;
    overview.setPointerCapture(event.pointerId);
    const [from, to] = timeline.span();
    if (to - from >= length) view(0, length / 8);
    centre(event);
  });
  overview.addEventListener("pointermove", (event) => dragging && centre(event));
  overview.addEventListener("pointerup", () => { dragging = false; });

  // --- keys ------------------------------------------------------------------------------------------
  function appearance(step) { // the next or the previous appearance of the selected person
    if (timeline.current() < 0) return timeline.select(0);
    const { spans } = people[timeline.rows()[timeline.current()]];
    const begins = spans.filter((_, i) => i % 2 === 0), at = timeline.frame() === null ? -1 : timeline.frame();
    const next = step > 0 ? begins.find((begin) => begin > at) : begins.filter((begin) => begin < at).pop();
    if (next !== undefined) timeline.choose(next);
  }
  const keys = {
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5),
    "-": () => zoom(2), Home: () => view(0, visible()), End: () => view(length - visible(), length),
    ArrowUp: () => timeline.select(timeline.current() - 1),
    ArrowDown: () => timeline.select(timeline.current() + 1), 0: () => view(0, length),
    n: () => appearance(1), p: () => appearance(-1), s: () => timeline.stepShot(0),
    ".": () => timeline.stepShot(1), ",": () => timeline.stepShot(-1),
    Enter: () => timeline.current() >= 0 && facerec.showPerson(timeline.rows()[timeline.current()]),
  };
  scroller.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  const press = (id, action) => document.getElementById(id).addEventListener("click", action);
  press("zoom-in", () => { // around the chosen moment, if that is visible
    const [from, to] = timeline.span(), at = timeline.frame() === null ? -1 : timeOf(timeline.frame());
    zoom(0.5, at >= from && at <= to ? at : undefined);
  });
  press("zoom-out", () => zoom(2));
  press("zoom-all", () => view(0, length));
  press("shot-before", () => timeline.stepShot(-1));
  press("shot-after", () => timeline.stepShot(1));
  const goTo = document.getElementById("go");
  document.getElementById("go-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const at = parseMoment(goTo.value);
    goTo.setAttribute("aria-invalid", String(at === null));
    if (at === null) facerec.announce("Give a timecode such as 1:02:03.5, or a frame such as f1500.");
    else timeline.go(at);
  });
  function parseMoment(text) { // "1:02:03.5" or "62:03", "f1500" or "1500"
    const number = text.trim().match(/^(?:f|frame)?\s*(\d+)$/i);
    if (number) return Math.min(movie.frames - 1, Number(number[1]));
    if (!/^\d+(:\d{1,2}){1,2}(\.\d+)?$/.test(text.trim())) return null;
    return frameAt(text.trim().split(":").reduce((all, part) => all * 60 + Number(part), 0));
  }
})();
