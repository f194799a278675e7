"use strict";
// The people of several films: search, sort, and a bar for each film that somebody is in.
(() => {
  const { films, people } = JSON.parse(document.getElementById("facerec-data").textContent);
  const STEP = 60;
  const list = document.getElementById("list"), more = document.getElementById("more");
  const search = document.getElementById("search"), sort = document.getElementById("sort");
  const across = document.getElementById("across"), total = document.getElementById("count");
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) if (value !== false) node.setAttribute(key, value);
    node.append(...children.flat().filter((child) => child));
    return node;
  }
  const bdi = (text) => el("bdi", { class: "name", title: text.length > 40 && text }, text);
  const duration = (time) => time < 59.95 ? `${time.toFixed(1)} s`
    : time < 3600 ? `${Math.floor(time / 60)} min ${String(Math.round(time) % 60).padStart(2, "0")} s`
      : `${Math.floor(time / 3600)} h ${String(Math.floor(time / 60) % 60).padStart(2, "0")} min`;
  const collator = new Intl.Collator("en", { numeric: true });
  const orders = {
    films: (a, b) => b.in.length - a.in.length || b.seconds - a.seconds,
    seconds: (a, b) => b.seconds - a.seconds,
    name: (a, b) => collator.compare(a.name, b.name),
  };
  const words = people.map((person) => [person.name, person.uri, ...person.in.map((one) => films[one.film].title)].join(" ").toLowerCase());
  let found = [], shown = 0;
  function row(person) {
    const links = person.in.map((one) => el("li", null, el("a", { href: one.href }, bdi(films[one.film].title)),
      el("span", { class: "quiet" }, ` ${duration(one.seconds)}${one.sure ? "" : ", not sure"}`)));
    const picture = person.face ? el("img", { src: person.face, alt: "", width: 56, height: 56, loading: "lazy" }) : el("span", { class: "blank" });
    picture.addEventListener("error", () => picture.classList.add("lost"));
    return el("li", null, picture, el("div", null, el("h3", null, bdi(person.name)), el("ul", null, links)),
      el("span", { class: "quiet" }, duration(person.seconds)));
  }
  function next() {
    list.append(...found.slice(shown, shown + STEP).map(row));
    shown = Math.min(found.length, shown + STEP);
    more.hidden = shown >= found.length;
  }
  function render() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = people.filter((person, i) => (!across.checked || person.in.length > 1)
      && wanted.every((word) => words[i].includes(word))).sort(orders[sort.value]);
    shown = 0;
    list.replaceChildren();
    next();
    total.textContent = `${found.length.toLocaleString("en")} ${found.length === 1 ? "person" : "people"}`;
  }
  search.addEventListener("input", render);
  sort.addEventListener("change", render);
  across.addEventListener("change", render);
  more.addEventListener("click", next);
  document.getElementById("search-form").addEventListener("submit", (event) => event.preventDefault());
  render();
})();
