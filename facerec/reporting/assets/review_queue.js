"use strict";
// The queue of questions. No part of this file touches the page; bench/review_clicks.py measures it as it is.
//
// A question is about one open group ("who": who is this?) or about several that are probably one known person
// ("same": which of these are Ada?). Its value is the screen time of which the name would be wrong or missing without
// the answer. It costs one click, and one more for each group that has to be ticked or unticked. The question with
// the highest value per click comes first.
//
// The score of a person for a group is a sum: how similar the faces are (the log-likelihood ratio of the clustering),
// whether the person was at the same place in a shot nearby (a scene returns to its cameras), whether the person is
// in the scene at all, how often the person is seen, and the prediction. The scores of all people and of "somebody
// else" become probabilities. The weights were fitted to TV episodes, see bench/README.md.
const ReviewQueue = (() => {
  const FACES = 0.27, PLACE = 0.9, SCENE = 5, OFTEN = 0.35; // weights of the scores
  const ELSE = 6.2; // score of "somebody else", in nats
  const SHOTS = 8; // distance in shots of a person who is in the scene
  const TICK = 0.65; // probability from which a group is ticked
  const SHOW = 0.5; // probability from which a group is shown in a question
  const SURE = 0.9; // probability of a prediction from which a group counts as an appearance of its person
  const MOST = 12; // groups in one question
  const EXTRA = 0.25; // probability that a single trajectory without a link to anybody shows a person who matters
  const GOAL = 0.99; // share of the screen time that should have a decided name
  const PACE = 6; // seconds a question, until there are measured ones

  // review: {near: [[cluster, ratio, ...] by cluster], links: [[trajectory, ratio or -1, ...] by trajectory],
  //   shots: [shot of trajectory], names: [[[actor, probability], ...] by cluster], poor: [cluster, ...]}
  class Queue {
    constructor(work, review) {
      this.work = work;
      this.names = review.names;
      this.shots = review.shots;
      this.poor = new Set(review.poor);
      const both = (lists, size) => { // each pair is listed once, and needed twice
        const maps = Array.from({ length: size }, () => new Map());
        lists.forEach((list, one) => {
          for (let i = 0; i < list.length; i += 2) {
            maps[one].set(list[i], list[i + 1]);
            maps[list[i]].set(one, list[i + 1]);
          }
        });
        return maps;
      };
      this.near = both(review.near, work.data.clusters);
      this.links = both(review.links, work.data.cluster.length);
      this.floor = this.near.map((list) => Math.min(0, ...list.values())); // ratio of clusters that are not listed
    }

    // What the scores need of all named people, and of those with a sure prediction: by key, {key, label, clusters,
    // shots: Set, share}.
    people() {
      const found = new Map(), { work } = this, total = work.data.seconds.reduce((sum, one) => sum + one, 0) || 1;
      this.personOf = new Array(work.data.cluster.length).fill(null);
      const add = (key, label, group) => {
        if (!found.has(key)) found.set(key, { key, label, clusters: [], shots: new Set(), share: 0 });
        const one = found.get(key);
        one.clusters.push(...group.clusters);
        for (const index of group.trajectories) {
          this.personOf[index] = one;
          one.share += work.data.seconds[index] / total;
          for (let shot = this.shots[index] - SHOTS; shot <= this.shots[index] + SHOTS; shot++) one.shots.add(shot);
        }
      };
      for (const { key, label, groups } of work.persons().values()) for (const group of groups) add(key, label, group);
      for (const group of work.open()) {
        const [actor, p] = this.predicted(group)[0] || [null, 0], key = `actor:${actor}`;
        if (p >= SURE && !work.denied.has(`${key}|${group.id}`)) add(key, { id: actor, name: this.nameOf(actor) }, group);
      }
      return found;
    }

    // The probabilities of people for a group, most likely first: [{key, label, p}].
    likely(group, people) {
      const scores = new Map(), places = new Map(), apart = new Set();
      for (const index of group.trajectories) {
        const best = new Map(); // of this trajectory, by person
        for (const [other, ratio] of this.links[index]) {
          const person = this.personOf[other];
          if (!person) continue;
          if (ratio < 0) apart.add(person.key);
          else if (ratio > (best.get(person) || 0)) best.set(person, ratio);
        }
        for (const [person, ratio] of best) {
          if (!places.has(person)) places.set(person, []);
          places.get(person).push(ratio);
        }
      }
      const allowed = (key) => !apart.has(key) && !this.work.denied.has(`${key}|${group.id}`);
      for (const person of people.values()) {
        if (!allowed(person.key)) continue;
        let faces = null;
        for (const cluster of group.clusters) for (const other of person.clusters) {
          if (other === cluster) continue;
          const ratio = this.near[cluster].get(other) ?? this.floor[cluster];
          if (faces === null || ratio > faces) faces = ratio;
        }
        const ratios = (places.get(person) || []).sort((a, b) => b - a);
        const place = ratios.reduce((sum, ratio, i) => sum + ratio / (1 + i / 2), 0);
        const here = group.trajectories.filter((index) => person.shots.has(this.shots[index])).length;
        scores.set(person.key, { key: person.key, label: person.label, score: FACES * (faces ?? -5) + PLACE * place
          + SCENE * here / group.trajectories.length + OFTEN * Math.log(Math.max(1e-4, person.share)) });
      }
      for (const [actor, p] of this.predicted(group)) {
        const key = `actor:${actor}`;
        if (!allowed(key)) continue;
        const odds = Math.log(p / Math.max(1e-4, 1 - p)), known = scores.get(key);
        if (known) known.score = Math.max(known.score + Math.max(0, odds + 3), odds + ELSE);
        else scores.set(key, { key, label: { id: actor, name: this.nameOf(actor) }, score: odds + ELSE });
      }
      const found = [...scores.values()].sort((a, b) => b.score - a.score);
      const highest = Math.max(ELSE, found.length ? found[0].score : 0);
      const total = found.reduce((sum, { score }) => sum + Math.exp(score - highest), Math.exp(ELSE - highest));
      for (const one of found) one.p = Math.exp(one.score - highest) / total;
      return found;
    }
    nameOf(actor) {
      const found = this.work.data.cast.find(([id]) => id === actor);
      return found ? found[1] : actor;
    }
    // The prediction of the cluster that has most of a group's screen time.
    predicted(group) {
      if (!group.clusters.length) return [];
      let best = group.clusters[0], most = -1;
      for (const cluster of group.clusters) {
        let seconds = 0;
        for (const index of group.trajectories) if (this.work.data.cluster[index] === cluster) seconds += this.work.data.seconds[index];
        if (seconds > most) [best, most] = [cluster, seconds];
      }
      return this.names[best] || [];
    }
    isPoor(group) {
      return group.trajectories.length > 0 && group.trajectories.every((index) => this.poor.has(this.work.data.cluster[index]));
    }

    // All questions that could be asked now, best first: [{kind, group or key and options, value, cost, ...}].
    // A group that is probably a known person waits until it can be asked about together with others.
    questions() {
      const people = this.people(), ofPerson = new Map(), found = [], poor = [];
      for (const group of this.work.open()) {
        const seconds = this.work.secondsOf(group);
        if (this.isPoor(group)) {
          poor.push({ kind: "who", group, likely: [], value: 0, cost: 1, seconds, poor: true });
          continue;
        }
        const likely = this.likely(group, people), best = likely[0];
        const tied = likely.reduce((sum, { p }) => sum + p, 0);
        const recurs = group.trajectories.length > 1 ? 1 : EXTRA;
        const matters = 1 - (1 - recurs) * (1 - tied);
        // of a name that is shown already, only the part that may be wrong is gained
        const [actor, p] = this.predicted(group)[0] || [null, 0];
        const sure = p > 0.4 ? likely.find(({ key }) => key === `actor:${actor}`)?.p || 0 : 0;
        const who = { kind: "who", group, likely, seconds, value: seconds * matters * (1 - sure), cost: 1, poor: false };
        if (!best || best.p < SHOW) {
          found.push(who);
          continue;
        }
        if (!ofPerson.has(best.key)) ofPerson.set(best.key, { label: best.label, options: [] });
        ofPerson.get(best.key).options.push({ group, p: best.p, ticked: best.p >= TICK, seconds, gain: 1 - sure, who });
      }
      for (const [key, { label, options }] of ofPerson) {
        options.sort((a, b) => b.seconds * b.p - a.seconds * a.p);
        const ticked = options.filter((one) => one.ticked), shown = [...ticked, ...options.filter((one) => !one.ticked)]
          .slice(0, MOST).sort((a, b) => b.p - a.p);
        if (ticked.length < 2) {
          found.push(...options.map(({ who }) => who));
          continue;
        }
        found.push(...options.filter((one) => !one.ticked).map(({ who }) => who));
        found.push({ kind: "same", key, label, options: shown,
          seconds: shown.reduce((sum, { seconds }) => sum + seconds, 0),
          value: shown.reduce((sum, { seconds, p, gain }) => sum + seconds * p * gain, 0),
          cost: shown.reduce((sum, { p, ticked }) => sum + (ticked ? 1 - p : p), 1) });
      }
      found.sort((a, b) => b.value / b.cost - a.value / a.cost);
      poor.sort((a, b) => b.seconds - a.seconds);
      return [...found, ...poor];
    }

    next() {
      return this.questions()[0] || null;
    }

    // What is decided and what is left: {seconds, decided, share, questions, minutes}. Left is what it takes until
    // GOAL of the screen time of comparable faces is decided.
    progress(all = this.questions()) {
      const { work } = this;
      let total = 0, decided = 0;
      for (const group of work.groups.values()) {
        if (this.isPoor(group)) continue;
        const seconds = work.secondsOf(group);
        total += seconds;
        if (group.status !== "open" && group.status !== "later") decided += seconds;
      }
      let questions = 0, left = total * GOAL - decided;
      const asked = new Set();
      for (const one of all) {
        if (left <= 0) break;
        if (one.poor) continue;
        const groups = one.kind === "who" ? [one.group] : one.options.filter(({ ticked }) => ticked).map(({ group }) => group);
        const fresh = groups.filter(({ id }) => !asked.has(id));
        if (!fresh.length) continue;
        questions++;
        for (const group of fresh) {
          asked.add(group.id);
          left -= work.secondsOf(group);
        }
      }
      const paces = work.steps.slice(0, work.done).map(({ took }) => took).filter((took) => took > 0 && took < 60).slice(-20)
        .sort((a, b) => a - b);
      const pace = paces.length >= 3 ? paces[paces.length >> 1] : PACE;
      return { seconds: total, decided, share: total ? decided / total : 1, questions, minutes: questions * pace / 60 };
    }
  }
  return { Queue, GOAL, MOST };
})();
