#!/usr/bin/env python3
"""Count the clicks of a SIMULATED annotator in the report's review and on the labeling backend's pages.

    python bench/review_clicks.py tv_tracks/*.csv.gz --faces work/*-data --truth truth --actor-db work/db

Tracks, cuts and people are those of real TV episodes, embeddings are simulated, clusters and their numbers
are those of facerec: see bench/clusters.py. Both annotators know everybody who has a name in the episode and
answer without a mistake, until 99 % (--goal) of the screen time of these people carries the right name.
Trajectories of people without a name are on the pages and in the questions, but nobody has to sort them out.

Review: the questions come from facerec/reporting/assets/review_queue.js, which runs in headless Chromium as
it does in the page. A click is a key or a click of the mouse that decides something:

- "who is this?": 1 for the name (Enter for the suggestion, a digit for another one, or a choice from the
  cast), or for "nobody in particular" if no person in the group has a name in the episode;
- "which of these are …?": 1 for Enter, and 1 for each group that is ticked or unticked;
- in both, 1 for each appearance (trajectory) that is taken out because it is somebody else with a name. Those
  that leave are asked about later.

Backend: the pages come in the order of their numbers, the longest on screen first. A page costs 1 click for
its name, or for discarding it, and 1 for each of its pictures (two of each trajectory, one of a short one)
that shows somebody else with a name. Those pictures get no name. `facerec.annotations.metrics.Scores` counts
pages and pictures in the same way, but no page without a person who has a name.

With --portraits, one portrait of each named person gives predictions, by the functions of classify_knn.py. A
name that is shown (probability above 0.40) carries without a click, in both.

Prints a Markdown table, means over the episodes; --out writes all figures as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.clusters import Episode, add_episodes, read_episode, scenes_of, shown_pictures, simulate
from bench.real_faces import Faces, measure_faces
from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.folder.documents import DISPLAY_THRESHOLD, Predictions
from facerec.people.clustering import cluster
from facerec.people.constraints import cannot_links, continuations
from facerec.people.naming import cluster_vectors, name_clusters
from facerec.people.neighbours import neighbours, places, shots_of
from facerec.people.pages import arrange_pages
from facerec.reporting.review_data import evidence
from facerec.support.cli import configure_logging, parser, run_main

ASSETS = Path(__file__).resolve().parent.parent / "facerec" / "reporting" / "assets"
SCRIPTS = ("review_work.js", "review_queue.js")
FRAME_RATE = 25
GOAL = 0.99
NOBODY = "?"  # begins the identity of a person without a name; each is a different one
_START = """data => {
  work = new ReviewWork.Work(data);
  queue = new ReviewQueue.Queue(work, data.review);
  return null;
}"""
_NEXT = """ops => {
  if (ops) work.do(ops, 0, 1);
  const q = queue.next();
  if (!q) return null;
  const of = (group) => ({ id: group.id, trajectories: group.trajectories });
  return q.kind === "who" ? { kind: q.kind, group: of(q.group), next: work.next }
    : { kind: q.kind, key: q.key, label: q.label, next: work.next,
        options: q.options.map(({ group, ticked }) => ({ ...of(group), ticked })) };
}"""


@dataclass(frozen=True)
class Case:
    """An episode with clusters and predictions.

    Attributes:
        who: (t,) identity of each trajectory; that of an unnamed person begins with `NOBODY`.
        frames: (t,) length of each trajectory.
        labels: (t,) cluster of each trajectory.
        shown: name that each cluster shows; missing if it shows none.
        data: what the page has.
    """

    episode: Episode
    who: list[str]
    frames: NDArray[np.int64]
    labels: NDArray[np.int64]
    shown: dict[int, str]
    data: dict[str, Any]

    @property
    def named_frames(self) -> int:
        """Screen time of the people with a name, in frames."""
        return int(sum(n for n, who in zip(self.frames, self.who, strict=True) if not who.startswith(NOBODY)))


def make_case(episode: Episode, faces: Faces, spread: float, seed: int, portraits: bool) -> Case:
    """Simulate the embeddings of an episode, cluster them, and name the clusters if there are portraits."""
    cast = sorted({name for name in episode.identities if name})
    rng = np.random.default_rng(seed)
    if portraits:  # a portrait is one more observation of each person, in no scene of the film
        scenes = np.concatenate([scenes_of(episode), -1 - np.arange(len(cast))])
        drawn, quality = simulate([*episode.identities, *cast], faces, spread, rng, scenes)
        t = len(episode.tracks)
        vectors, gallery, quality = drawn[:t], drawn[t:], quality[:t]
    else:
        vectors, quality = simulate(episode.identities, faces, spread, rng, scenes_of(episode))
        gallery = vectors[:0]
    usable = np.ones(len(vectors), bool)
    apart, on = cannot_links(episode.tracks), continuations(episode.tracks, episode.cuts)
    frames = np.array([len(one.boxes) for one in episode.tracks], np.int64)
    shots = shots_of(episode.tracks, episode.cuts)
    people = cluster(vectors, quality, usable, apart, on, faces.same_person).labels
    labels = arrange_pages(people, vectors, usable, frames, shots).labels
    n = int(labels.max(initial=-1)) + 1
    predictions: Predictions = {}
    if portraits:
        predictions = _predict(vectors, quality, usable, labels, n, gallery, cast, apart, faces.same_person)
    found = neighbours(vectors, quality, usable, labels, apart, faces.same_person)
    known = evidence(found, *places(episode.tracks, episode.cuts), apart, len(episode.tracks))
    data = {
        "movie": 0,
        "clusters": n,
        "cast": [[name, name] for name in cast],
        "cluster": labels.tolist(),
        "seconds": (frames / FRAME_RATE).tolist(),
        "tags": [
            [f"{index}:{k}" for k in range(shown_pictures(one))] for index, one in enumerate(episode.tracks)
        ],
        "review": {
            **known,
            "shots": shots.tolist(),
            "names": [sorted(predictions.get(c, {}).items(), key=lambda item: -item[1]) for c in range(n)],
            "poor": [],
        },
    }
    who = [name or f"{NOBODY}{i}" for i, name in enumerate(episode.identities)]
    likeliest = {c: max(names, key=lambda actor: names[actor]) for c, names in predictions.items() if names}
    shown = {c: actor for c, actor in likeliest.items() if predictions[c][actor] > DISPLAY_THRESHOLD}
    return Case(episode, who, frames, labels, shown, data)


def _predict(
    vectors: NDArray[np.float32],
    quality: NDArray[np.float32],
    usable: NDArray[np.bool_],
    labels: NDArray[np.int64],
    n: int,
    gallery: NDArray[np.float32],
    cast: Sequence[str],
    apart: NDArray[np.int64],
    same_person: float,
) -> Predictions:
    """Name the clusters as classify_knn.py does, with one portrait of each of the `cast`."""
    probes, known = cluster_vectors(vectors, quality, usable, labels, n)
    together = np.unique(np.sort(labels[apart], axis=1), axis=0)
    names = name_clusters(probes, known, together, gallery, np.arange(len(cast)), list(cast), same_person)
    return dict(enumerate(names))


def people_needed(case: Case, goal: float) -> int:
    """Count the people, the longest on screen first, who have the screen time of the goal."""
    frames: Counter[str] = Counter()
    for n, who in zip(case.frames.tolist(), case.who, strict=True):
        if not who.startswith(NOBODY):
            frames[who] += n
    totals = np.cumsum([n for _, n in frames.most_common()])
    return int(np.searchsorted(totals, goal * case.named_frames)) + 1


class Answers:
    """The names that an annotator gave, and the share of the screen time that carries the right one."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.clicks = 0
        self.name_of: list[str | None] = [case.shown.get(int(cluster)) for cluster in case.labels]

    def share(self) -> float:
        """Share of the named people's screen time that carries the right name."""
        answered = zip(self.case.frames, self.case.who, self.name_of, strict=True)
        right = sum(n for n, who, name in answered if name == who and not who.startswith(NOBODY))
        return int(right) / self.case.named_frames

    def majority(self, trajectories: Sequence[int]) -> str:
        """Return the identity of most of some trajectories with a named person, if there is one."""
        counts = Counter(self.case.who[index] for index in trajectories)
        return max(counts, key=lambda who: (not who.startswith(NOBODY), counts[who], who))

    def misplaced(self, trajectories: Sequence[int], person: str) -> list[int]:
        """Return those of some trajectories that show another person with a name."""
        others = (index for index in trajectories if self.case.who[index] != person)
        return [index for index in others if not self.case.who[index].startswith(NOBODY)]


def backend_clicks(case: Case, goal: float) -> int | None:
    """Count the clicks on the backend's pages; None if all pages are done before the goal."""
    answers = Answers(case)
    for page in range(case.data["clusters"]):
        if answers.share() >= goal:
            break
        indices = np.flatnonzero(case.labels == page).tolist()
        person = answers.majority(indices)
        others = answers.misplaced(indices, person)
        answers.clicks += 1 + sum(shown_pictures(case.episode.tracks[index]) for index in others)
        for index in indices:
            answers.name_of[index] = None if index in others else person
    return answers.clicks if answers.share() >= goal else None


def review_clicks(case: Case, goal: float, page: Any) -> int | None:
    """Count the clicks in the review; None if it has no more questions before the goal.

    Args:
        page: a page of the browser with the review's scripts.
    """
    answers = Answers(case)
    page.evaluate(_START, case.data)
    ops: list[dict[str, Any]] = []
    while answers.share() < goal:
        question = page.evaluate(_NEXT, ops)
        if question is None:
            return None
        ops = _answer(question, answers)
    return answers.clicks


def _answer(question: dict[str, Any], answers: Answers) -> list[dict[str, Any]]:
    """Answer a question: count its clicks, and return the steps that the page takes."""
    ops: list[dict[str, Any]] = []
    answers.clicks += 1
    if question["kind"] == "who":
        person = answers.majority(question["group"]["trajectories"])
        chosen, label = [question["group"]], {"id": person, "name": person}
    else:
        label, person = question["label"], question["label"]["name"]
        right = [one for one in question["options"] if answers.majority(one["trajectories"]) == person]
        answers.clicks += sum(one["ticked"] != (one in right) for one in question["options"])
        wrong = [one["id"] for one in question["options"] if one not in right]
        ops += [{"do": "deny", "person": question["key"], "groups": wrong}] if wrong else []
        chosen = right
    for group in chosen:
        leaving = answers.misplaced(group["trajectories"], person)
        answers.clicks += len(leaving)
        if leaving:
            ops.append({"do": "split", "group": group["id"], "trajectories": leaving})
        for index in group["trajectories"]:
            answers.name_of[index] = None if index in leaving else person
    groups = [group["id"] for group in chosen]
    status = "discarded" if person.startswith(NOBODY) else "named"
    return [*ops, {"do": status, "groups": groups, "label": label}] if groups else ops


@contextmanager
def browser_page() -> Iterator[Any]:
    """Open a page of headless Chromium with the scripts of the review's queue.

    Raises:
        InputError: Chromium is not installed.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise InputError("chromium is not on the PATH; Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        add_scripts(page)
        yield page
        browser.close()


def add_scripts(page: Any) -> None:
    """Add the scripts of the review's queue to a page of the browser."""
    scripts = [(ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    page.add_script_tag(content="\n".join([*scripts, "let work, queue;"]))


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Format the clicks as a Markdown table: means over the episodes in which both reach the goal."""
    lines = [
        "| names at first | spread | runs | people | backend | review | ratio | reached: backend, review |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for portraits, spread in sorted({(row["portraits"], row["spread"]) for row in figures}):
        rows = [row for row in figures if (row["portraits"], row["spread"]) == (portraits, spread)]
        reached = [sum(row[key] is not None for row in rows) for key in ("backend", "review")]
        both = [row for row in rows if None not in (row["backend"], row["review"])]
        people, backend, review = (
            np.mean([row[key] for row in both] or [np.nan]) for key in ("people", "backend", "review")
        )
        ratio = review / backend if backend else np.nan
        lines.append(
            f"| {'one portrait each' if portraits else 'none'} | {spread} | {len(both)} | {people:.1f} | "
            f"{backend:.1f} | {review:.1f} | {ratio:.2f} | {reached[0]}, {reached[1]} of {len(rows)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_episodes(made)
    made.add_argument("--portraits", action="store_true", help="also with predictions from one portrait each")
    made.add_argument("--goal", type=float, default=GOAL, metavar="SHARE",
                      help="0 to 1, share of the screen time that must carry the right name")  # fmt: skip
    made.add_argument("--out", type=Path, default=None, metavar="FILE", help="write all figures as JSON")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    episodes = [read_episode(path) for path in args.episodes]
    seeds = range(args.seed, args.seed + args.seeds)
    figures: list[dict[str, Any]] = []
    with browser_page() as page:
        for portraits, spread in product([False, True] if args.portraits else [False], args.spread):
            for episode, seed in product(episodes, seeds):
                case = make_case(episode, faces, spread, seed, portraits)
                row = {"episode": episode.name, "seed": seed, "spread": spread, "portraits": portraits}
                row["people"] = people_needed(case, args.goal)
                row |= {"clusters": case.data["clusters"], "backend": backend_clicks(case, args.goal)}
                figures.append({**row, "review": review_clicks(case, args.goal, page)})
                logging.info("%s", figures[-1])
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
