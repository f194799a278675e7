"use strict";
// What an annotator has decided: groups of trajectories with a name, steps that can be undone, and the table that
// is saved. No part of this file touches the page. The fields of `data` are described in
// facerec/reporting/review_data.py.
const ReviewWork = (() => {
  const COLUMNS = ["index", "id", "username", "movie_id", "cluster_id", "cluster_status", "label", "n_images",
    "created_on", "processing_time", "id_ref", "tag", "image_status", "trajectory"];
  const NEEDED = ["movie_id", "cluster_id", "cluster_status", "label", "tag", "image_status", "trajectory"];
  const USER = "report"; // user name in the table
  const MAX_LABEL = 200; // characters, as in facerec/annotations/apply.py

  // A name as evaluate.py compares it: without accents, case and punctuation.
  const plainName = (name) => name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "");
  const cleanName = (name) => name.replace(/[\s\p{Cc}]+/gu, " ").trim().slice(0, MAX_LABEL);
  const keyOf = (label) => label.id !== null ? `actor:${label.id}` : `typed:${plainName(label.name)}`;

  // The actor that a text names, by id or by name, or else a person with this name; null for an empty text.
  function labelOf(text, cast) {
    const name = cleanName(text), plain = plainName(name);
    const exact = cast.find(([id]) => id === name);
    if (exact) return { id: exact[0], name: exact[1] };
    const alike = cast.filter(([, other]) => plainName(other) === plain);
    if (alike.length === 1) return { id: alike[0][0], name: alike[0][1] };
    return plain ? { id: null, name } : null;
  }

  class Work {
    // data: {movie, clusters, cast: [[id, name]], cluster: [cluster of trajectory], seconds: [], tags: [[]]}
    constructor(data, steps = [], done = steps.length) {
      this.data = data;
      this.steps = steps;
      this.done = Math.max(0, Math.min(done, steps.length));
      this.replay();
    }

    replay() {
      const { cluster } = this.data;
      this.groups = new Map();
      this.groupOf = new Int32Array(cluster.length);
      this.rejects = new Map(); // by tag: "different" or "invalid"
      this.denied = new Set(); // "person key|group": not this person
      this.next = this.data.clusters;
      for (let id = 0; id < this.data.clusters; id++) this.groups.set(id, { id, trajectories: [], clusters: [id],
        from: null, status: "open", label: null, at: 0, took: 0 });
      cluster.forEach((id, index) => {
        this.groups.get(id).trajectories.push(index);
        this.groupOf[index] = id;
      });
      for (const step of this.steps.slice(0, this.done)) this.apply(step);
    }

    // A step is {at: ms since 1970, took: seconds, ops: [...]}; it is undone as a whole.
    do(ops, at = Date.now(), took = 0) {
      const step = { at, took, ops };
      this.steps.length = this.done;
      this.steps.push(step);
      this.done++;
      this.apply(step);
      return step;
    }
    undo() {
      if (!this.done) return null;
      this.done--;
      this.replay();
      return this.steps[this.done];
    }
    redo() {
      if (this.done >= this.steps.length) return null;
      this.apply(this.steps[this.done]);
      return this.steps[this.done++];
    }

    apply({ at, took, ops }) {
      for (const op of ops) {
        for (const id of op.groups || []) {
          const group = this.groups.get(id);
          if (!group) continue; // joined into another one since
          if (op.do === "deny") {
            this.denied.add(`${op.person}|${id}`);
            if (op.label) group.not = op.label;
          }
          else Object.assign(group, { status: op.do, label: op.label || null, at, took: took / op.groups.length });
        }
        if (op.do === "reject") {
          if (op.as) this.rejects.set(op.tag, op.as); else this.rejects.delete(op.tag);
        } else if (op.do === "split") this.split(op.group, op.trajectories, op.clusters || [], at);
        else if (op.do === "join") this.join(op.into, op.other);
      }
    }
    // The faces that leave become a new, open group; its id is predictable: see `next`.
    split(from, trajectories, clusters, at) {
      const group = this.groups.get(from), leaving = new Set(trajectories);
      const made = { id: this.next++, trajectories: [...trajectories], clusters, from, status: "open", label: null,
        at, took: 0 };
      group.trajectories = group.trajectories.filter((index) => !leaving.has(index));
      for (const index of trajectories) this.groupOf[index] = made.id;
      this.groups.set(made.id, made);
      if (!group.trajectories.length) this.groups.delete(from);
    }
    join(into, other) {
      const one = this.groups.get(into), two = this.groups.get(other);
      if (!one || !two || one === two) return;
      one.trajectories = [...one.trajectories, ...two.trajectories].sort((a, b) => a - b);
      one.clusters = [...one.clusters, ...two.clusters];
      for (const index of two.trajectories) this.groupOf[index] = into;
      this.groups.delete(other);
    }

    secondsOf(group) {
      return group.trajectories.reduce((sum, index) => sum + this.data.seconds[index], 0);
    }
    open() {
      return [...this.groups.values()].filter((group) => group.status === "open");
    }
    // Named people: by key, {key, label, groups}
    persons() {
      const found = new Map();
      for (const group of this.groups.values()) {
        if (group.status !== "named") continue;
        const key = keyOf(group.label);
        if (!found.has(key)) found.set(key, { key, label: group.label, groups: [] });
        found.get(key).groups.push(group);
      }
      return found;
    }
    // A label for a person whom nobody can name: "unknown 17" of cluster 17, or of the first free number.
    unknownLabel(group) {
      const taken = new Set([...this.persons().values()].map(({ label }) => label.name));
      let number = group.clusters.length ? Math.min(...group.clusters) : this.data.clusters;
      while (taken.has(`unknown ${number}`)) number = Math.max(number + 1, this.data.clusters);
      return { id: null, name: `unknown ${number}` };
    }

    // --- the table, as the labeling backend exports it: a row for each picture --------------------------
    // An annotation (id, id_ref) is what one group says of one cluster. So a cluster of two people has two.
    rows() {
      const { movie, cluster, tags } = this.data, parts = new Map();
      const divided = new Set(cluster.filter((id, index) => this.groupOf[index] !== id && this.groups.get(this.groupOf[index]).from !== null));
      const add = (group, index, status, label, pictures) => {
        const key = `${group.id}|${cluster[index]}|${status}`;
        if (!parts.has(key)) parts.set(key, { cluster: cluster[index], status, label, at: group.at, took: group.took,
          pictures: [] });
        for (const tag of tags[index]) {
          const answer = this.rejects.get(tag) || pictures;
          // "different" means different from a label, which other groups do not have
          parts.get(key).pictures.push([tag, answer === "different" && status !== "labeled" ? "" : answer, index]);
        }
      };
      const origin = (group) => { // the named group that these faces are not part of
        for (let one = this.groups.get(group.from); one; one = this.groups.get(one.from)) if (one.status === "named") return one;
        return group.not ? { ...group, label: group.not } : null;
      };
      for (const group of this.groups.values()) {
        const text = group.label && (group.label.id !== null ? group.label.id : group.label.name);
        const split = group.from !== null;
        for (const index of group.trajectories) {
          if (group.status === "named") add(group, index, "labeled", text, "same");
          else if (group.status === "face") add(group, index, "discarded", "", "invalid");
          else if (group.status === "later") add(group, index, "postponed", "", "");
          else if (group.status === "discarded") add(group, index, "discarded", "", "");
          else if (split && origin(group)) {
            const one = origin(group);
            add(one, index, "labeled", one.label.id !== null ? one.label.id : one.label.name, "different");
          } else if (split || divided.has(cluster[index])) add(group, index, "mixed", "", "");
          else if (tags[index].some((tag) => this.rejects.has(tag))) add(group, index, "", "", "");
        }
      }
      const table = [];
      let id = 0;
      for (const part of [...parts.values()].sort((a, b) => a.cluster - b.cluster || a.at - b.at)) {
        id++;
        for (const [tag, answer, index] of part.pictures) table.push([table.length, id, USER, movie, part.cluster,
          part.status, part.label, part.pictures.length, new Date(part.at).toISOString(), part.took.toFixed(1), id,
          tag, answer, index]);
      }
      return table;
    }
    csv(rows = this.rows()) {
      return toCsv([COLUMNS, ...rows]);
    }
    get empty() { // nothing to save
      return !this.rejects.size && [...this.groups.values()].every(({ status, from }) => status === "open" && from === null);
    }

    // The operations that repeat a table here: pictures are found by their tags, whatever cluster they are in now.
    // Returns {ops, found, lost}: the number of rows that were used, and of those of faces that are not here.
    opsOf(rows) {
      const { movie, cast, cluster, tags, clusters } = this.data;
      const indexOf = new Map(tags.flatMap((list, index) => list.map((tag) => [tag, index])));
      const answers = new Map(); // by trajectory: {part, status, label, pictures: Map(tag → answer)}
      let found = 0, lost = 0;
      for (const row of rows) {
        if (String(row.movie_id) !== String(movie)) continue;
        const index = indexOf.get(row.tag);
        if (index === undefined) { lost++; continue; }
        found++;
        if (!answers.has(index)) answers.set(index, { part: row.id_ref || row.id || row.cluster_id,
          status: row.cluster_status, label: row.label.trim(), pictures: new Map() });
        answers.get(index).pictures.set(row.tag, row.image_status);
      }
      const kinds = new Map(); // by kind: {status, label, different, clusters: Map(cluster → trajectories)}
      const rejects = [];
      for (const [index, { part, status, label, pictures }] of answers) {
        const all = [...pictures.values()], same = (one) => all.every((answer) => answer === one);
        const person = status === "labeled" ? labelOf(label, cast) : null;
        const different = person !== null && same("different");
        const kind = different ? `not ${keyOf(person)}` : person ? keyOf(person)
          : same("invalid") ? "face" : { mixed: `mixed ${part}`, postponed: "later", discarded: "discarded" }[status] || "";
        if (!different && kind !== "face") for (const [tag, answer] of pictures)
          if (answer === "different" || answer === "invalid") rejects.push({ do: "reject", tag, as: answer });
        if (!kind) continue;
        if (!kinds.has(kind)) kinds.set(kind, { person, different, kind, clusters: new Map() });
        const byCluster = kinds.get(kind).clusters;
        if (!byCluster.has(cluster[index])) byCluster.set(cluster[index], []);
        byCluster.get(cluster[index]).push(index);
      }
      const sizes = new Array(clusters).fill(0);
      for (const id of cluster) sizes[id]++;
      const ops = [...rejects];
      let next = clusters;
      const leaving = new Array(clusters).fill(0);
      // faces that are not the person leave first, so that the rest of a cluster stays what they left
      for (const { person, different, kind, clusters: byCluster } of [...kinds.values()].sort((a, b) => b.different - a.different)) {
        const groups = [];
        for (const [id, indices] of byCluster) {
          if (indices.length === sizes[id] && !different) groups.push(id);
          else if (leaving[id] + indices.length === sizes[id] && !different) groups.push(id); // the rest of a cluster
          else {
            ops.push({ do: "split", group: id, trajectories: indices });
            leaving[id] += indices.length;
            groups.push(next++);
          }
        }
        if (different) ops.push({ do: "deny", person: keyOf(person), label: person, groups });
        else if (person) ops.push({ do: "named", groups, label: person });
        else if (!kind.startsWith("mixed")) ops.push({ do: kind, groups });
      }
      return { ops, found, lost };
    }
  }

  // --- CSV --------------------------------------------------------------------------------------------------
  const cell = (value) => /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const toCsv = (rows) => rows.map((row) => row.map(cell).join(",") + "\n").join("");
  // Rows as objects by column. Throws an Error with a message for people.
  function parseCsv(text) {
    const rows = [[]];
    let value = "", quoted = false, fresh = true;
    const source = text.replace(/^\uFEFF/, "").replace(/^"?sep=.?"?\r?\n/i, ""); // a spreadsheet's own line
    const head = source.trimStart().split(/[\r\n]/)[0];
    const known = (one) => head.split(one).filter((name) => NEEDED.includes(name.replace(/^"|"$/g, ""))).length;
    const separator = [",", ";", "\t", "|"].reduce((best, one) => known(one) > known(best) ? one : best);
    const end = () => { rows.at(-1).push(value); value = ""; fresh = true; };
    for (let i = 0; i < source.length; i++) {
      const c = source[i];
      if (quoted) {
        if (c !== '"') value += c;
        else if (source[i + 1] === '"') { value += '"'; i++; } else quoted = false;
      } else if (c === '"' && fresh) { quoted = true; fresh = false; }
      else if (c === separator) end();
      else if (c === "\n" || c === "\r") {
        if (c === "\r" && source[i + 1] === "\n") i++;
        end();
        rows.push([]);
      } else { value += c; fresh = false; }
    }
    if (quoted) throw new Error("This is not a CSV table: a closing quote is missing.");
    end();
    const filled = rows.filter((row) => row.length > 1 || row[0] !== "");
    const header = filled.shift() || [];
    const missing = NEEDED.filter((name) => !header.includes(name));
    if (missing.length) throw new Error(`This is not a table of labels: it lacks the column ${missing.join(", ")}.`);
    filled.forEach((row, i) => {
      if (row.length !== header.length)
        throw new Error(`Row ${i + 1} of the table has ${row.length} cells, but the header has ${header.length}.`);
    });
    return filled.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]])));
  }
  return { Work, parseCsv, plainName, cleanName, keyOf, labelOf, MAX_LABEL };
})();
