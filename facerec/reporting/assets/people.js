"use strict";
// The cards of people: search, sort, filter; a card is filled when it comes near the window.
(() => {
  const { people, clusters, trajectories, el, bdi, count, duration, percent, clock } = facerec;
  const FIRST = 24; // cards before "show all"
  const FACES = 6;
  const list = document.getElementById("people-list"), more = document.getElementById("people-more");
  const search = document.getElementById("search"), sort = document.getElementById("sort");
  const total = document.getElementById("people-count");
  const lowered = people.map((person) => [person.name, ...person.clusters.map((id) => `cluster ${id}`),
    person.uri || ""].join(" ").toLowerCase());
  const byText = new Intl.Collator("en", { numeric: true }).compare;
  const orders = {
    time: (a, b) => people[b].seconds - people[a].seconds || a - b,
    first: (a, b) => people[a].first - people[b].first || a - b,
    name: (a, b) => byText(people[a].name, people[b].name) || a - b,
    unsure: (a, b) => doubt(b) - doubt(a) || a - b,
    shots: (a, b) => people[b].shots - people[a].shots || a - b,
  };
  const filters = {
    all: (person) => !person.shared,
    named: (person) => person.named,
    unsure: (person) => facerec.certainty(person) === "unsure",
    unknown: (person) => !person.named && !person.shared,
    shared: (person) => person.shared,
  };
  let shownAll = false;

  // seconds on screen that may carry a wrong name
  const doubt = (index) => people[index].shared ? -1
    : people[index].seconds * (1 - (people[index].source === "annotator" ? 1 : people[index].probability || 0));

  function chosen() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filter = document.querySelector("input[name=filter]:checked").value;
    return people.map((_, index) => index).filter((index) => filters[filter](people[index])
      && words.every((word) => lowered[index].includes(word))).sort(orders[sort.value]);
  }

  const badge = (person) => {
    const kind = facerec.certainty(person);
    if (kind === "shared") return el("span", { class: "badge" }, "not one person");
    if (kind === "unknown" && person.source === "annotator") return el("span", { class: "badge unknown" }, "no name, by an annotator");
    if (kind === "unknown") {
      const [best] = person.clusters.flatMap((id) => clusters[id].names).sort((a, b) => b[2] - a[2]);
      return el("span", { class: "badge unknown" }, best ? ["perhaps ", bdi(best[1]), ` ${facerec.sureness(best[2])}`] : "no likely name");
    }
    return el("span", { class: `badge ${kind}` },
      person.source === "annotator" ? "by an annotator" : `${facerec.sureness(person.probability)} sure`);
  };

  function card(index) {
    const person = people[index], id = `person-${index}`;
    const title = el("h3", { id: `${id}-name` }, el("a", { href: facerec.personHref(index) }, bdi(person.name)));
    const node = el("article", { class: "card", id, "aria-labelledby": `${id}-name` },
      el("header", null, title, badge(person)));
    node.person = index;
    return node;
  }

  function faces(person) {
    const tags = person.faces.slice(0, FACES);
    if (!tags.length) return el("p", { class: "faces none" }, "No thumbnail was saved.");
    return el("div", { class: "faces" }, tags.map((tag) => faceLink(tag, person)));
  }
  function faceLink(tag, person) {
    const frame = facerec.frameOfTag(tag);
    return el("a", { href: facerec.momentHref(frame), title: `${clock(frame)}, frame ${frame}` },
      facerec.picture(tag, `${person.name} at ${clock(frame)}`));
  }

  function fill(node) {
    if (node.filled) return;
    node.filled = true;
    const index = node.person, person = people[index];
    const facts = el("dl", { class: "facts" },
      fact("On screen", `${duration(person.seconds)}`, percent(person.share)),
      fact("Shots", person.shots.toLocaleString("en")),
      fact("First", facerec.momentLink(person.first)),
      fact("Last", facerec.momentLink(person.last)));
    const company = facerec.companions[index].slice(0, 4);
    const others = el("p", { class: "with" }, el("span", { class: "label" }, "With "), company.length
      ? company.flatMap(([other, time], i) => [i ? ", " : "", facerec.personLink(other),
        el("span", { class: "quiet" }, ` ${duration(time)}`)]) : el("span", { class: "quiet" }, "nobody"));
    node.append(faces(person), facts, facerec.strip(person.spans, facerec.certainty(person)),
      person.shared ? el("p", { class: "with quiet" }, person.person.startsWith("trajectory:")
        ? "Annotators saw several people here."
        : "Faces too blurred, small or turned to be compared. They may be of several people.") : others,
      appearances(index));
    facerec.emit("card", node);
  }
  const fact = (term, ...values) => el("div", null, el("dt", null, term),
    values.map((value, i) => el("dd", { class: i ? "quiet" : null }, value)));

  function appearances(index) {
    const person = people[index];
    const label = person.clusters.length > 1 ? `${count(person.clusters.length, "cluster")}, ` : `cluster ${person.clusters[0]}, `;
    const body = el("div", { class: "appearances" });
    const details = el("details", null, el("summary", null,
      `${label}${count(person.trajectories, "appearance")}`), body);
    details.addEventListener("toggle", () => {
      if (!details.open || body.firstChild) return;
      body.append(el("p", { class: "quiet" }, `Mean height of the face: ${percent(person.height)} of the picture.`,
        person.uri ? [" Identifiers: ", ...identifiers(person.uri)] : null));
      for (const id of person.clusters) body.append(clusterBlock(id, person));
      body.append(appearanceList(index));
    });
    return details;
  }
  const identifiers = (uri) => uri.split(" ").flatMap((one, i) => [i ? ", " : "", /^https?:/i.test(one)
    ? el("a", { href: one, rel: "noopener noreferrer", target: "_blank" }, one.replace(/^https?:\/\/(www\.)?/i, "")) : one]);
  function clusterBlock(id, person) {
    const cluster = clusters[id];
    const likely = cluster.names.length
      ? cluster.names.flatMap(([, name, p], i) => [i ? ", " : "", bdi(name), ` ${facerec.sureness(p)}`]) : "no likely name";
    return el("section", { class: "cluster" }, el("h4", null, `Cluster ${id}`),
      el("p", { class: "quiet" }, likely, ` · ${count(cluster.trajectories, "trajectory", "trajectories")} · ${duration(cluster.seconds)}`),
      el("div", { class: "faces small" }, cluster.faces.map((tag) => faceLink(tag, person))));
  }
  function appearanceList(index) {
    const all = facerec.trajectoriesOf(index), STEP = 60;
    const items = el("ol", { class: "moments" });
    const button = el("button", { type: "button", class: "plain" });
    let shown = 0;
    const next = () => {
      for (const i of all.slice(shown, shown + STEP)) items.append(el("li", null,
        facerec.momentLink(trajectories.begin[i]),
        el("span", { class: "quiet" }, ` ${duration(facerec.timeOf(trajectories.end[i]) - facerec.timeOf(trajectories.begin[i]))}`)));
      shown = Math.min(all.length, shown + STEP);
      button.hidden = shown >= all.length;
      button.textContent = `Show ${Math.min(STEP, all.length - shown)} more`;
    };
    button.addEventListener("click", next);
    next();
    return el("div", null, items, button);
  }

  // near the window cards are filled; far away they are emptied, and keep their height
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      if (isIntersecting) {
        target.style.minHeight = "";
        fill(target);
      } else if (target.filled && shownAll && !target.contains(document.activeElement)
        && !target.querySelector("details[open]")) {
        target.style.minHeight = `${boundingClientRect.height}px`;
        while (target.childElementCount > 1) target.lastChild.remove();
        target.filled = false;
      }
    }
  }, { rootMargin: "900px 0px" });

  let order = [];
  function render() {
    order = chosen();
    near.disconnect();
    const drawn = shownAll ? order : order.slice(0, FIRST);
    const cards = drawn.map(card);
    list.replaceChildren(...cards);
    cards.slice(0, 6).forEach(fill); // without waiting for the observer
    cards.forEach((node) => near.observe(node));
    const everybody = people.filter((person) => !person.shared).length;
    total.textContent = order.length === everybody ? count(order.length, "person", "people")
      : `${order.length.toLocaleString("en")} of ${count(everybody, "person", "people")}`;
    more.hidden = drawn.length >= order.length;
    more.textContent = `Show all ${order.length.toLocaleString("en")}`;
    if (!order.length) list.append(el("p", { class: "quiet" }, people.length
      ? "Nobody matches." : "No face was found in this film."));
    facerec.emit("order", order);
  }

  function show(index) { // scroll to a person's card, whatever is filtered
    if (!order.includes(index)) {
      search.value = "";
      document.querySelector("input[name=filter][value=all]").checked = !people[index].shared;
      document.querySelector("input[name=filter][value=shared]").checked = people[index].shared;
      render();
    }
    if (!shownAll && order.indexOf(index) >= FIRST) {
      shownAll = true;
      render();
    }
    const node = document.getElementById(`person-${index}`);
    fill(node);
    node.scrollIntoView({ block: "center" });
    node.querySelector("h3 a").focus({ preventScroll: true });
    document.querySelectorAll(".card.chosen").forEach((card) => card.classList.remove("chosen"));
    node.classList.add("chosen");
  }

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      render();
      facerec.announce(total.textContent);
    }, 120);
  });
  document.getElementById("search-form").addEventListener("submit", (event) => event.preventDefault());
  sort.addEventListener("change", render);
  document.querySelectorAll("input[name=filter]").forEach((input) => {
    const n = people.filter(filters[input.value]).length;
    input.parentElement.querySelector(".n").textContent = n.toLocaleString("en");
    if (!n && input.value !== "all") input.parentElement.hidden = true;
    input.addEventListener("change", render);
  });
  more.addEventListener("click", () => {
    shownAll = true;
    const first = order[FIRST];
    render();
    document.querySelector(`#person-${first} h3 a`)?.focus();
  });
  window.addEventListener("beforeprint", () => [...list.children].slice(0, 60).forEach((node) => node.person !== undefined && fill(node)));
  facerec.showPerson = show;
  facerec.renderPeople = render;
  facerec.order = () => order;
})();
