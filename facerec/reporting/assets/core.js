"use strict";
// What all parts of the report share: the data, time, elements, the state of search and selection.
// The fields of `data` are described in facerec/reporting/page_data.py.
const facerec = (() => {
  const data = JSON.parse(document.getElementById("facerec-data").textContent);
  const { movie, people, clusters, trajectories } = data;

  // --- time -----------------------------------------------------------------------------------------
  const seconds = (() => { // presentation time of every frame, and the end of the last one
    const count = movie.frames, at = new Float64Array(count + 1);
    const step = movie.frame_rate ? 1 / movie.frame_rate : 0;
    if (!data.times) {
      for (let i = 0; i <= count; i++) at[i] = i * step;
      return at;
    }
    const unit = data.times.unit;
    let frame = 0, ticks = 0;
    for (const [size, repeats] of data.times.runs)
      for (let i = 0; i < repeats && frame < count; i++) at[frame++] = (ticks += size) * unit;
    at[count] = count ? at[count - 1] + step : 0;
    return at;
  })();
  const timeOf = (frame) => seconds[Math.max(0, Math.min(movie.frames, frame))] || 0;
  const lowerBound = (array, value) => { // first index of an element not below value
    let low = 0, high = array.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (array[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };
  const frameAt = (time) => Math.max(0, Math.min(movie.frames - 1, lowerBound(seconds, time + 1e-6) - 1));
  const pad = (number) => String(number).padStart(2, "0");
  const clockOf = (time, digits) => {
    const unit = 10 ** digits, all = Math.round(time * unit);
    const whole = Math.floor(all / unit), part = digits ? "." + String(all % unit).padStart(digits, "0") : "";
    return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}${part}`;
  };
  const clock = (frame) => clockOf(timeOf(frame), 1);
  const timecode = (frame) => clockOf(timeOf(frame), 3).padStart(12, "0");
  const duration = (time) => {
    if (time < 59.95) return `${time.toFixed(1)} s`;
    const whole = Math.round(time), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours} h ${pad(minutes)} min` : `${minutes} min ${pad(whole % 60)} s`;
  };
  const percent = (share) => `${share >= 0.0995 || share < 0.0005 ? Math.round(100 * share) : (100 * share).toFixed(1)} %`;
  const sureness = (p) => p > 0.99 ? "over 99 %" : `${Math.floor(100 * p)} %`;
  const shotOf = (frame) => { // index of the shot that has the frame
    const cuts = data.cuts;
    return lowerBound(cuts, frame + 1);
  };
  const shotRange = (shot) => [shot ? data.cuts[shot - 1] : 0,
    shot < data.cuts.length ? data.cuts[shot] : movie.frames];

  // --- elements -------------------------------------------------------------------------------------
  const svgTags = new Set(["svg", "path", "rect", "line", "g", "title"]);
  function el(tag, attributes, ...children) {
    const node = svgTags.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : String(value));
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }
  // a name is isolated: its direction marks do not reorder the text around it
  const bdi = (text) => el("bdi", { class: "name", title: text.length > 40 ? text : null }, text);
  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many || one + "s"}`;
  const pictureUrl = (tag) => data.pictures ? data.pictures[tag] || null
    : data.images ? `${data.images}/${encodeURIComponent(`${movie.id}:${tag}.jpeg`)}` : null;
  const frameOfTag = (tag) => Number(tag.slice(0, tag.indexOf(":")));
  function picture(tag, text, attributes) {
    const url = pictureUrl(tag);
    if (!url) return null;
    const image = el("img", { src: url, alt: text, width: 72, height: 72, loading: "lazy", decoding: "async",
      ...attributes });
    image.addEventListener("error", () => image.classList.add("lost"));
    return image;
  }
  const momentHref = (frame) => `#frame=${frame}`;
  const momentLink = (frame, text) => el("a", { href: momentHref(frame), class: "moment",
    title: `frame ${frame}` }, text || clock(frame));
  const personHref = (index) => `#person=${encodeURIComponent(people[index].person)}`;
  const personLink = (index) => el("a", { href: personHref(index) }, bdi(people[index].name));
  const filmHref = (frame) => movie.film_href ? `${movie.film_href}#t=${timeOf(frame).toFixed(3)}` : null;
  function strip(spans, className) { // when somebody is on screen, over the whole film
    const width = 1000, scale = width / Math.max(1e-9, seconds[movie.frames]);
    let path = "", right = -1;
    for (let i = 0; i < spans.length; i += 2) {
      const x = timeOf(spans[i]) * scale, w = Math.max(2, timeOf(spans[i + 1]) * scale - x);
      if (x + w <= right) continue;
      path += `M${x.toFixed(1)} 0h${w.toFixed(1)}v8h-${w.toFixed(1)}z`;
      right = x + w;
    }
    return el("svg", { class: `strip ${className || ""}`, viewBox: "0 0 1000 8", preserveAspectRatio: "none",
      "aria-hidden": "true" }, el("path", { d: path }));
  }

  // --- people, in other orders ----------------------------------------------------------------------
  const indexOfPerson = new Map(people.map((person, index) => [person.person, index]));
  const companions = people.map(() => []);
  for (const [a, b, together] of data.together) {
    companions[a].push([b, together]);
    companions[b].push([a, together]);
  }
  for (const list of companions) list.sort((a, b) => b[1] - a[1]);
  const certainty = (person) => person.shared ? "shared" : !person.named ? "unknown"
    : person.source === "annotator" || person.probability >= 0.9 ? "sure" : "unsure";
  function onScreen(frame) { // indices of the people who are on screen
    return people.flatMap(({ spans }, index) => {
      let low = 0, high = spans.length / 2;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (spans[2 * middle + 1] <= frame) low = middle + 1; else high = middle;
      }
      return 2 * low < spans.length && spans[2 * low] <= frame ? [index] : [];
    });
  }
  const trajectoriesOf = (() => { // by person, in the order of time
    let lists = null;
    return (person) => {
      if (!lists) {
        lists = people.map(() => []);
        trajectories.person.forEach((owner, i) => lists[owner]?.push(i));
        for (const list of lists) list.sort((a, b) => trajectories.begin[a] - trajectories.begin[b]);
      }
      return lists[person];
    };
  })();

  // --- state ----------------------------------------------------------------------------------------
  const listeners = new Map();
  const on = (event, listener) => listeners.set(event, [...(listeners.get(event) || []), listener]);
  const emit = (event, value) => (listeners.get(event) || []).forEach((listener) => listener(value));
  const announce = (text) => { document.getElementById("live").textContent = text; };
  const remember = (key, value) => { // false where the browser keeps nothing
    try {
      if (value === undefined) return localStorage.getItem(`facerec.${key}`);
      if (value === null) localStorage.removeItem(`facerec.${key}`);
      else localStorage.setItem(`facerec.${key}`, value);
      return true;
    } catch { return false; }
  };
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page from a file may not use the clipboard in every browser
      const area = el("textarea", { class: "offscreen" }, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    announce(`Copied ${text}`);
  }
  return { data, movie, people, clusters, trajectories, seconds, timeOf, frameAt, lowerBound, clock, clockOf,
    timecode, duration, percent, sureness, shotOf, shotRange, el, bdi, count, picture, pictureUrl, frameOfTag,
    momentHref, momentLink, personHref, personLink, filmHref, strip, indexOfPerson,
    companions, certainty, onScreen, trajectoriesOf, on, emit, announce, remember, copy };
})();
