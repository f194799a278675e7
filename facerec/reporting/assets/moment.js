"use strict";
// The panel below the timeline: a moment of the film, and who is on screen.
(() => {
  const { data, people, el, clock } = facerec;
  const moment = document.getElementById("moment");

  function show(frame) {
    const shot = facerec.shotOf(frame), [begin, end] = facerec.shotRange(shot), here = facerec.onScreen(frame);
    const film = facerec.filmHref(frame), code = facerec.timecode(frame);
    const who = here.slice(0, 12).map((index) => el("li", null, face(index, frame), facerec.personLink(index)));
    moment.replaceChildren(
      el("div", { class: "moment-head" },
        el("strong", { class: "code" }, code), el("span", { class: "quiet" }, `frame ${frame.toLocaleString("en")} · shot ${shot + 1} of ${(data.cuts.length + 1).toLocaleString("en")} (${clock(begin)} to ${clock(end)})`)),
      who.length ? el("ul", { class: "who" }, who) : el("p", { class: "quiet" }, "No face is on screen."),
      el("div", { class: "buttons" },
        el("button", { type: "button", onclick: () => facerec.copy(code) }, "Copy timecode"),
        el("button", { type: "button", onclick: () => facerec.copy(String(frame)) }, "Copy frame"),
        el("button", { type: "button", onclick: () => facerec.timeline.zoomToShot(shot) }, "Zoom to this shot"),
        film ? el("a", { class: "button", href: film, target: "_blank", rel: "noopener" }, "Open the film here") : null));
    moment.hidden = false;
    facerec.announce(`${code}, shot ${shot + 1}. On screen: ${here.map((i) => people[i].name).join(", ") || "nobody"}`);
  }
  function face(index, frame) { // the thumbnail of this person that is nearest to the chosen frame
    const { begin, end, pictures } = facerec.trajectories;
    let best = null, least = Infinity;
    for (const i of facerec.trajectoriesOf(index)) {
      if (begin[i] > frame || end[i] <= frame) continue;
      for (const tag of pictures[i]) {
        const far = Math.abs(facerec.frameOfTag(tag) - frame);
        if (far < least && facerec.pictureUrl(tag)) [best, least] = [tag, far];
      }
    }
    best = best || people[index].faces[0];
    return best ? facerec.picture(best, "", { width: 48, height: 48 }) : null;
  }
  facerec.on("moment", show);
})();
