"use strict";
// The review: asks an annotator one question after the other, keeps the answers in the browser, saves and loads
// labels.csv. What is decided is in review_work.js, what is asked in review_queue.js.
(() => {
  const { data, movie, el, bdi, count, duration, percent } = facerec, { keyOf } = ReviewWork;
  const root = document.getElementById("review"), source = document.getElementById("facerec-review");
  if (!root || !source) return;
  const $ = (name) => root.querySelector(`[data-part=${name}]`);
  const FACES = 90; // pictures of a group that are drawn at first
  const MAX_TOOK = 120; // seconds of an answer; a longer one includes a break
  const SUGGESTIONS = 5; // names with a digit
  const PAIR = 0.3; // probability from which a group is compared with a person
  const HASH = data.made_from["clusters.json"];
  const STORE = `review.${movie.id}.`;
  const base = {
    movie: movie.id,
    clusters: data.clusters.length,
    cast: data.cast,
    cluster: data.trajectories.cluster,
    seconds: data.trajectories.begin.map((begin, i) => facerec.timeOf(data.trajectories.end[i]) - facerec.timeOf(begin)),
    tags: data.trajectories.pictures.map((faces) => faces.map((face) => `${movie.id}:${face}`)),
  };
  let work = null, queue = null, questions = [], question = null, since = 0, kept = true, unsaved = false;
  let leaving = new Set(), ticked = new Set(), chosen = null, mode = "leave", wide = false;

  // --- what the browser keeps ---------------------------------------------------------------------------------
  function keep() {
    const state = JSON.stringify({ steps: work.steps, done: work.done, at: Date.now() });
    kept = facerec.remember(`${STORE}${HASH}.steps`, state) === true;
    $("kept").hidden = kept;
  }
  function stored(hash) {
    const text = facerec.remember(`${STORE}${hash}.steps`);
    if (typeof text !== "string") return null;
    try {
      const { steps, done, at } = JSON.parse(text);
      return Array.isArray(steps) ? { steps, done, at } : null;
    } catch { return null; }
  }
  // Work on an earlier clustering of this movie, the latest first: [{hash, state, faces}].
  function earlier() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const match = /^facerec\.review\.(\d+)\.([^.]+)\.faces$/.exec(localStorage.key(i));
        if (!match || match[1] !== String(movie.id) || match[2] === HASH) continue;
        const state = stored(match[2]);
        if (state) found.push({ state, faces: JSON.parse(facerec.remember(`${STORE}${match[2]}.faces`)) });
      }
    } catch { return []; }
    return found.sort((a, b) => b.state.at - a.state.at);
  }
  function restore() {
    const mine = stored(HASH);
    if (mine) {
      try {
        work = new ReviewWork.Work(base, mine.steps, mine.done);
        return;
      } catch { tell("What this browser kept of the review is damaged. The review starts from the beginning; load your last labels.csv."); }
    }
    work = new ReviewWork.Work(base);
    const [old] = earlier(), given = mine ? [] : rowsOfReport();
    if (old && !mine) {
      const rows = new ReviewWork.Work({ ...base, ...old.faces }, old.state.steps, old.state.done).rows();
      take(asObjects(rows), "The film was clustered again since your last review.");
    } else if (given.length) take(given, "The review begins with the answers in people.json.");
    // cluster and pictures, with which the answers are understood after another clustering
    facerec.remember(`${STORE}${HASH}.faces`,
      JSON.stringify({ clusters: base.clusters, cluster: base.cluster, tags: base.tags, seconds: base.seconds }));
  }
  const asObjects = (rows) => rows.map(([, id, , movieId, cluster, status, label, , , , ref, tag, answer]) => ({ id,
    movie_id: movieId, cluster_id: cluster, cluster_status: status, label, id_ref: ref, tag, image_status: answer }));
  // What annotators said before, as the report shows it.
  function rowsOfReport() {
    const rows = [];
    data.trajectories.person.forEach((index, i) => {
      const person = data.people[index], faceless = index < 0;
      if (!faceless && person.source !== "annotator") return;
      for (const tag of base.tags[i]) rows.push({ movie_id: movie.id, cluster_id: base.cluster[i], id_ref: index,
        cluster_status: faceless ? "discarded" : "labeled", label: faceless ? "" : person.actor_id || person.name, tag,
        image_status: faceless ? "invalid" : "same" });
    });
    return rows;
  }
  // Take the rows of a table as one step.
  function take(rows, begin) {
    const { ops, found, lost } = work.opsOf(rows);
    if (!found) {
      tell(`${begin} None of its ${count(lost, "face")} is in this film as it is now.`, true);
      return false;
    }
    if (ops.length) work.do(ops);
    tell(`${begin} ${count(found, "picture")} found${lost ? `, ${lost.toLocaleString("en")} no longer in the film` : ""}.`);
    return true;
  }

  // --- answers -------------------------------------------------------------------------------------------------
  function answer(ops, text) {
    const took = since ? Math.min(MAX_TOOK, (performance.now() - since) / 1000) : 0;
    work.do(ops, Date.now(), Math.round(took * 10) / 10);
    unsaved = true;
    keep();
    next();
    facerec.announce(text);
  }
  const splitOps = (group) => { // the faces that were picked leave first
    const indices = [...leaving].filter((index) => work.groupOf[index] === group.id);
    return indices.length && indices.length < group.trajectories.length
      ? [{ do: "split", group: group.id, trajectories: indices }] : [];
  };
  function name(group, label) {
    answer([...splitOps(group), { do: "named", groups: [group.id], label }], `${label.name}.`);
  }
  function decide(status, text) {
    answer([...splitOps(question.group), { do: status, groups: [question.group.id] }], text);
  }
  const suggested = () => question?.kind === "who" && question.likely[0]?.p >= PAIR ? question.likely[0] : null;
  function confirm() {
    if (!question) return $("again")?.click();
    if (question.kind === "same") {
      const yes = question.options.filter(({ group }) => ticked.has(group.id)).map(({ group }) => group);
      const no = question.options.filter(({ group }) => !ticked.has(group.id)).map(({ group }) => group.id);
      const ops = yes.flatMap(splitOps);
      if (no.length) ops.push({ do: "deny", person: question.key, groups: no });
      if (yes.length) ops.push({ do: "named", groups: yes.map(({ id }) => id), label: question.label });
      answer(ops, `${count(yes.length, "group")} confirmed as ${question.label.name}.`);
    } else if (suggested()) name(question.group, suggested().label);
    else $("name").focus(); // nobody is likely enough to be confirmed by accident
  }
  function deny() {
    const one = suggested();
    if (!one) return;
    chosen = question.group.id;
    answer([{ do: "deny", person: one.key, groups: [question.group.id] }], `Not ${one.label.name}.`);
  }
  function splitOff() {
    const group = question.kind === "who" ? question.group : null, ops = group ? splitOps(group) : [];
    if (!ops.length) return tell("Choose some of the faces first, but not all of them.");
    chosen = group.id;
    answer(ops, `${count(ops[0].trajectories.length, "appearance")} split off.`);
  }
  function undo(again) {
    const step = again ? work.redo() : work.undo();
    if (!step) return facerec.announce(again ? "Nothing to redo." : "Nothing to undo.");
    unsaved = true;
    const id = step.ops.flatMap((op) => op.groups || (op.group !== undefined ? [op.group] : [])).find((one) => work.groups.has(one));
    chosen = !again && id !== undefined && work.groups.get(id).status === "open" && step.ops.every((op) => (op.groups || []).length < 2) ? id : null;
    keep();
    next();
    facerec.announce(again ? "Done again." : "Undone.");
  }

  // --- drawing -------------------------------------------------------------------------------------------------
  const face = (tag, text, attributes) => facerec.picture(tag.slice(tag.indexOf(":") + 1), text, attributes);
  const nameOf = (group) => group.label ? group.label.name : group.clusters.length ? `cluster ${group.clusters.join(", ")}`
    : `faces that left cluster ${base.cluster[group.trajectories[0]]}`;
  const facts = (group) => `${nameOf({ ...group, label: null })} · ${count(group.trajectories.length, "appearance")} · ${duration(work.secondsOf(group))}`;
  function best(trajectories, n) { // the best pictures, of different appearances
    const quality = data.trajectories.quality;
    return [...trajectories].sort((a, b) => quality[b] - quality[a]).map((index) => base.tags[index][0]).filter(Boolean).slice(0, n);
  }
  function rejectOps(tag) {
    const as = mode === "none" ? "invalid" : "different";
    return [{ do: "reject", tag, as: work.rejects.get(tag) === as ? "" : as }];
  }
  function grid(group, limit) {
    const box = el("div", { class: "review-faces", role: "group", "aria-label": "Faces of this group" });
    const order = [...group.trajectories], tags = order.flatMap((index) => base.tags[index].map((tag) => [tag, index]));
    for (const [tag, index] of wide ? tags : tags.slice(0, limit)) {
      const rejected = work.rejects.get(tag);
      const button = el("button", { type: "button", class: `pick ${rejected || ""}`, "aria-pressed": String(leaving.has(index)),
        title: facerec.clock(data.trajectories.begin[index]), "data-index": index, "data-tag": tag },
        face(tag, `Face at ${facerec.clock(facerec.frameOfTag(tag.slice(tag.indexOf(":") + 1)))}${rejected ? `, ${rejected}` : ""}`));
      button.addEventListener("click", (event) => {
        if (mode === "leave") {
          if (leaving.has(index)) leaving.delete(index); else leaving.add(index);
          for (const other of root.querySelectorAll(`.pick[data-index="${index}"]`)) other.setAttribute("aria-pressed", String(leaving.has(index)));
          drawLeaving();
          if (event.detail) $("title").focus({ preventScroll: true }); // Enter confirms after a click
        } else {
          if (question.kind === "who") chosen = question.group.id;
          answer(rejectOps(tag), "Picture marked.");
        }
      });
      box.append(button);
    }
    if (!wide && tags.length > limit) box.append(el("button", { type: "button", class: "plain",
      onclick: () => { wide = true; draw(); } }, `Show all ${tags.length.toLocaleString("en")} pictures`));
    return box;
  }
  function drawLeaving() {
    const button = $("split");
    if (!button) return;
    button.hidden = !leaving.size;
    button.textContent = `Split off ${count(leaving.size, "appearance")}`;
    $("leaving").textContent = leaving.size
      ? `${count(leaving.size, "appearance")} will leave the group and be asked about later.` : "";
  }
  function modes() {
    const options = [["leave", "takes the appearance out"], ["different", "rejects that picture only"], ["none", "means: no face in it"]];
    return el("fieldset", { class: "chips" }, el("legend", null, "Clicking a face"), options.map(([value, text]) => el("label", null,
      el("input", { type: "radio", name: "review-mode", value, checked: mode === value, onchange: () => { mode = value; } }), el("span", { class: "chip" }, text))));
  }
  // The two kinds of percentages, and what the cards say of this group.
  const numbers = (group) => {
    const names = queue.predicted(group).slice(0, 2).flatMap(([actor, p], i) => [i ? ", " : "", bdi(queue.nameOf(actor)), ` ${facerec.sureness(p)}`]);
    return el("p", { class: "quiet" }, "Percentages here also weigh this film’s faces, places and scenes, and your answers. By the pictures of the actor database alone, as on the cards: ",
      ...(names.length ? names : ["no likely name"]), ".");
  };
  const key = (text) => el("kbd", null, text);
  const act = (text, letter, action, part) => el("button", { type: "button", onclick: action, "data-part": part || null }, text, " ", key(letter));

  function drawWho() {
    const { group, likely, poor } = question, first = likely[0];
    const known = first && first.p >= PAIR ? [...work.persons().values()].find((one) => one.key === first.key) : null;
    const others = known ? best(known.groups.flatMap(({ trajectories }) => trajectories), 6) : [];
    const title = poor ? "Too poor to compare: is there one person in all of them?" : known ? "Are these two the same person?"
      : first && first.p >= PAIR ? ["Is this ", bdi(first.label.name), "?"] : "Who is this?";
    const suggestions = likely.slice(0, SUGGESTIONS).filter(({ p }) => p >= 0.02);
    return [
      heading(title, [facts(group), group.status === "open" ? "" : ` · decided: ${{ named: group.label?.name, face: "no face", later: "later", discarded: "nobody in particular" }[group.status]}`]),
      known ? el("div", { class: "review-two" }, el("figure", null, el("div", { class: "faces" }, others.map((tag) => face(tag, `Face of ${first.label.name}`))),
        el("figcaption", null, bdi(first.label.name), el("span", { class: "quiet" }, ` confirmed, ${count(known.groups.length, "group")}`))),
      el("figure", null, el("div", { class: "faces" }, best(group.trajectories, 6).map((tag) => face(tag, "Face of this group"))),
        el("figcaption", null, `this group, ${percent(first.p)} likely the same`))) : null,
      el("div", { class: "review-answers" },
        suggestions.map(({ label, p }, i) => el("button", { type: "button", class: i || !first || first.p < PAIR ? "suggestion" : "suggestion main", onclick: () => name(group, label) },
          known && !i ? "Yes, " : "", bdi(label.name), el("small", null, ` ${percent(p)} `), key(i || first.p < PAIR ? String(i + 1) : "Enter"))),
        first && first.p >= PAIR ? act(known ? "No, they are two" : ["No, not ", bdi(first.label.name)], "n", deny) : null),
      suggestions.length ? numbers(group) : null,
      nameBox(group),
      el("div", { class: "review-answers" },
        act("I do not know the name", "u", () => name(group, work.unknownLabel(group))),
        act("No face", "x", () => decide("face", "No face.")),
        act(poor ? "Several people: leave them" : "Nobody in particular", "s", () => decide("discarded", "Left out.")),
        act("Ask me later", "l", () => decide("later", "Later."))),
      el("div", { class: "review-tools" }, modes(), el("button", { type: "button", "data-part": "split", hidden: true, onclick: splitOff }, "Split off"),
        el("p", { class: "quiet", "data-part": "leaving", role: "status" })),
      grid(group, FACES),
    ];
  }
  function drawSame() {
    const { label, options } = question, known = work.persons().get(question.key);
    const others = known ? best(known.groups.flatMap(({ trajectories }) => trajectories), 8) : [];
    return [
      heading(["Which of these are ", bdi(label.name), "?"], known ? "confirmed so far:" : "by the pictures of the actor database"),
      el("p", { class: "quiet" }, "Percentages here also weigh this film’s faces, places and scenes, and your answers; those on the cards do not."),
      others.length ? el("div", { class: "faces" }, others.map((tag) => face(tag, `Face of ${label.name}`))) : null,
      el("div", { class: "review-answers" }, el("button", { type: "button", class: "suggestion main", onclick: confirm, "data-part": "confirm" }, "Confirm")),
      el("div", { class: "review-options" }, options.map(({ group, p }, i) => {
        const box = el("input", { type: "checkbox", checked: ticked.has(group.id), id: `review-option-${group.id}` });
        box.addEventListener("change", () => {
          if (box.checked) ticked.add(group.id); else ticked.delete(group.id);
          drawCount();
        });
        return el("label", { class: "review-option" }, el("span", { class: "row" }, box, i < 10 ? key(String(i + 1).slice(-1)) : "", ` ${percent(p)}`,
          el("button", { type: "button", class: "plain", onclick: () => { chosen = group.id; next(); } }, "Look closer")),
        el("span", { class: "faces" }, best(group.trajectories, 4).map((tag) => face(tag, `Face of ${nameOf(group)}`))), el("small", null, facts(group)));
      })),
    ];
  }
  function drawCount() {
    for (const option of root.querySelectorAll(".review-option")) option.classList.toggle("ticked", option.querySelector("input").checked);
    $("confirm").replaceChildren(ticked.size ? `${count(ticked.size, "group")} ${ticked.size === 1 ? "is" : "are"} ` : "None is ", bdi(question.label.name), " ", key("Enter"));
  }
  const heading = (title, note) => el("header", null, el("h3", { "data-part": "title", tabindex: -1 }, title), el("p", { class: "quiet" }, note));

  // A name with type-ahead: the cast, names typed before, and groups that are the same person.
  function nameBox(group) {
    const input = el("input", { "data-part": "name", type: "text", role: "combobox", maxlength: ReviewWork.MAX_LABEL, autocomplete: "off", spellcheck: "false",
      "aria-expanded": "false", "aria-controls": "review-names", "aria-autocomplete": "list", placeholder: "Type a name, or a cluster’s number" });
    const list = el("ul", { id: "review-names", role: "listbox", "aria-label": "Names", hidden: true });
    let items = [], at = -1;
    const shut = () => { list.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
    const mark = () => list.querySelectorAll("li").forEach((node, i) => {
      node.setAttribute("aria-selected", String(i === at));
      if (i === at) { input.setAttribute("aria-activedescendant", node.id); node.scrollIntoView({ block: "nearest" }); }
    });
    const choose = (item) => {
      if (!item) return;
      if (item.group) {
        chosen = item.group.id;
        answer([...splitOps(group), { do: "join", into: item.group.id, other: group.id }], `Joined with ${nameOf(item.group)}.`);
      } else name(group, item.label);
    };
    const fill = () => {
      const text = ReviewWork.cleanName(input.value), plain = ReviewWork.plainName(text);
      const labels = new Map(data.cast.map(([id, other]) => [`actor:${id}`, { id, name: other }]));
      for (const { key: one, label } of work.persons().values()) labels.set(one, label);
      const rank = (label) => { const other = ReviewWork.plainName(label.name); return other.startsWith(plain) ? 0 : other.includes(`_${plain}`) ? 1 : other.includes(plain) ? 2 : 3; };
      items = [...labels.values()].map((label) => ({ label, rank: rank(label) })).filter((item) => plain && item.rank < 3)
        .sort((a, b) => a.rank - b.rank || a.label.name.localeCompare(b.label.name)).slice(0, 8);
      if (/^\d+$/.test(text)) {
        const other = work.groups.get(Number(text)); // a group has the number of its cluster
        if (other && other !== group && other.status !== "named") items.push({ group: other });
        else if (other?.label && other !== group) items.push({ label: other.label });
      }
      const typed = ReviewWork.labelOf(text, data.cast);
      if (typed && !items.some(({ label }) => label && keyOf(label) === keyOf(typed))) items.push({ label: typed, typed: true });
      list.replaceChildren(...items.map((item, i) => {
        const node = el("li", { role: "option", id: `review-name-${i}` }, item.group ? `The same person as cluster ${item.group.id}`
          : item.typed ? ["Somebody else: ", bdi(item.label.name)] : bdi(item.label.name));
        node.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(item); });
        return node;
      }));
      list.hidden = !items.length;
      input.setAttribute("aria-expanded", String(items.length > 0));
      at = items.length ? 0 : -1;
      mark();
    };
    input.addEventListener("input", fill);
    input.addEventListener("blur", shut);
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (list.hidden) fill();
        if (items.length) at = (at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length;
        mark();
      } else if (event.key === "Enter") choose(items[at]);
      else if (event.key === "Escape") { input.value = ""; shut(); $("title").focus(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return el("div", { class: "review-name" }, el("label", null, el("span", null, "Another name "), key("t"), input), list);
  }

  function draw() {
    const left = queue.progress(questions);
    $("bar").value = left.share;
    $("bar").textContent = percent(left.share);
    $("left").textContent = left.questions
      ? `${percent(left.share)} of the time on screen decided · ${count(left.questions, "question")} left, about ${left.minutes < 1 ? "a minute" : count(Math.round(left.minutes), "minute")}`
      : `${percent(left.share)} of the time on screen decided`;
    $("undo").disabled = !work.done;
    $("redo").disabled = work.done >= work.steps.length;
    $("save").disabled = work.empty;
    drawDecided();
    const body = $("question");
    if (!question) {
      const later = [...work.groups.values()].filter(({ status }) => status === "later").sort((a, b) => a.at - b.at);
      const use = "Save labels.csv, then run apply_labels.py with it.";
      if (!later.length) body.replaceChildren(heading("Everything is decided.", use));
      else body.replaceChildren(heading(`Everything else is decided: ${count(later.length, "group")} to be asked later.`, use),
        el("div", { class: "review-answers" }, el("button", { type: "button", class: "suggestion main", "data-part": "again",
          onclick: () => { chosen = later[0].id; next(); } }, "Ask now ", key("Enter"))));
    } else {
      body.replaceChildren(...(question.kind === "who" ? drawWho() : drawSame()).filter(Boolean));
      if (question.kind === "who") drawLeaving(); else drawCount();
    }
  }
  function drawDecided() {
    const people = [...work.persons().values()].map(({ label, groups }) => [label.name, groups]);
    const rest = [["No face", "face"], ["Nobody in particular", "discarded"], ["Later", "later"]]
      .map(([text, status]) => [text, [...work.groups.values()].filter((group) => group.status === status)]);
    const seconds = (groups) => groups.reduce((sum, group) => sum + work.secondsOf(group), 0);
    people.sort((a, b) => seconds(b[1]) - seconds(a[1]));
    $("decided").replaceChildren(...[...people, ...rest.filter(([, groups]) => groups.length)].map(([text, groups]) => el("li", null, bdi(text),
      el("span", { class: "quiet" }, ` ${duration(seconds(groups))} `), groups.slice(0, 40).map((group) => el("button", { type: "button", class: "plain",
        title: facts(group), "aria-label": `Look at ${nameOf({ ...group, label: null })} again`, onclick: () => { chosen = group.id; next(); } },
      group.clusters.length ? String(group.clusters[0]) : count(group.trajectories.length, "appearance"))))));
    $("decided-box").hidden = !$("decided").childElementCount;
  }
  function next() {
    leaving = new Set();
    wide = false;
    const group = chosen !== null ? work.groups.get(chosen) : null;
    chosen = null;
    questions = queue.questions();
    question = group ? { kind: "who", group, likely: queue.likely(group, queue.people()), poor: queue.isPoor(group) } : questions[0] || null;
    ticked = new Set(question?.kind === "same" ? question.options.filter((one) => one.ticked).map(({ group: one }) => one.id) : []);
    draw();
    since = performance.now();
    $("title")?.focus({ preventScroll: true });
    root.scrollTop = 0;
  }

  // --- files ---------------------------------------------------------------------------------------------------
  function save() {
    const rows = work.rows();
    if (!rows.length) return tell("Nothing is decided yet.");
    const address = URL.createObjectURL(new Blob([work.csv(rows)], { type: "text/csv" }));
    const link = el("a", { href: address, download: "labels.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    unsaved = false;
    tell(`Saved answers for ${count(rows.length, "picture")} as labels.csv. Then: apply_labels.py --path ${movie.id}-data --labels labels.csv`);
  }
  async function load(file) {
    try {
      if (take(ReviewWork.parseCsv(await file.text()), `Loaded ${file.name}.`)) {
        unsaved = true;
        keep();
        next();
      }
    } catch (error) { tell(error.message, true); }
  }
  function tell(text, wrong) {
    const note = $("note");
    note.textContent = text;
    note.hidden = false;
    note.classList.toggle("wrong", Boolean(wrong));
  }

  // --- opening and keys ----------------------------------------------------------------------------------------
  function open(cluster) {
    if (!work) {
      queue = null;
      restore();
      queue = new ReviewQueue.Queue(work, { ...JSON.parse(source.textContent),
        names: data.clusters.map(({ names }) => names.map(([id, , p]) => [id, p])),
        poor: data.clusters.flatMap(({ shared }, id) => shared ? [id] : []) });
      keep();
    }
    document.body.classList.add("reviewing");
    root.hidden = false;
    chosen = cluster === undefined ? null : work.groupOf[base.cluster.indexOf(cluster)];
    next();
  }
  function close() {
    document.body.classList.remove("reviewing");
    root.hidden = true;
    if (location.hash === "#review") history.replaceState(null, "", location.pathname + location.search);
    button.focus();
  }
  const letters = { n: deny, s: () => press("s"), x: () => press("x"), l: () => press("l"), u: () => press("u"), z: () => undo(false), y: () => yes() };
  function press(letter) {
    [...root.querySelectorAll(".review-answers button")].find((one) => one.querySelector("kbd")?.textContent === letter)?.click();
  }
  const yes = () => suggested() ? confirm() : undo(true);
  document.addEventListener("keydown", (event) => {
    if (root.hidden) return;
    const letter = event.key.toLowerCase(), typing = event.target.matches?.("input[type=text], select, textarea");
    if ((event.ctrlKey || event.metaKey) && (letter === "z" || letter === "y") && !typing) undo(letter === "y" || event.shiftKey);
    else if ((event.ctrlKey || event.metaKey) && letter === "s") save();
    else if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    else if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      if (event.target.matches?.("button, a, summary")) return; // what has the focus is pressed
      confirm();
    } else if (letter === "t" || letter === "/") { $("name")?.focus(); }
    else if (/^\d$/.test(letter)) {
      if (question?.kind === "same") root.querySelectorAll(".review-option input")[letter === "0" ? 9 : Number(letter) - 1]?.click();
      else root.querySelectorAll(".suggestion")[Number(letter) - 1]?.click();
    } else if (letter === "z" && event.shiftKey) undo(true);
    else if (Object.hasOwn(letters, letter) && !event.shiftKey) letters[letter]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  $("undo").addEventListener("click", () => undo(false));
  $("redo").addEventListener("click", () => undo(true));
  $("save").addEventListener("click", save);
  $("close").addEventListener("click", close);
  $("load").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) load($("file").files[0]);
    $("file").value = "";
  });
  window.addEventListener("beforeunload", (event) => { if (unsaved && !kept) event.preventDefault(); });
  const button = el("button", { type: "button", id: "review-open", onclick: () => open() }, "Review");
  document.getElementById("bar-actions").append(button);
  facerec.on("card", (node) => {
    const person = data.people[node.person];
    if (person.clusters.length) node.append(el("button", { type: "button", class: "plain review-this", onclick: () => open(person.clusters[0]) }, "Review"));
  });
  const follow = () => { if (location.hash === "#review") open(); };
  window.addEventListener("hashchange", follow);
  follow();
  facerec.review = { open, close, state: () => ({ question, work, queue }) };
})();
