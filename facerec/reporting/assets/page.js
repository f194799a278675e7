"use strict";
// Theme, links inside the page, and the first drawing.
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  function setTheme(theme) {
    if (theme === "auto") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", theme);
    button.textContent = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[theme];
    button.dataset.theme = theme;
    facerec.emit("theme", theme);
  }
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.theme) + 1) % 3];
    facerec.remember("theme", next);
    setTheme(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => facerec.emit("theme", "system"));

  function follow() { // #frame=125 is a moment, #person=… a card
    const [key, value] = location.hash.slice(1).split("=");
    if (key === "frame" && /^\d+$/.test(value || "")) {
      facerec.timeline.go(Number(value));
      document.getElementById("timeline-section").scrollIntoView({ block: "start" });
    } else if (key === "person" && value) {
      let id = value;
      try { id = decodeURIComponent(value); } catch { /* a damaged link: take it as it is */ }
      const index = facerec.indexOfPerson.get(id);
      if (index !== undefined) facerec.showPerson(index);
    }
  }
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => { // a second click on the same link must move the page again
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select, [contenteditable]")) {
      event.preventDefault();
      document.getElementById("search").focus();
    }
  });

  const stored = facerec.remember("theme");
  setTheme(themes.includes(stored) ? stored : "auto");
  facerec.renderPeople();
  performance.mark("facerec-interactive");
  // below the fold: after the first paint
  requestAnimationFrame(() => setTimeout(() => {
    facerec.drawMatrix();
    follow();
    performance.mark("facerec-complete");
  }));
})();
