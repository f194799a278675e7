"""Measure how transitions between shots are found, on made films of which the truth is known.

    python bench/shots.py CLIPS [--seeds 8 9 10 11 12] [--methods adaptive rule transnetv2 both union]

CLIPS is a folder with the clips of `shot_films.CUTS`. Each seed makes a film of 48 shots (`shot_films.py`),
encoded with x264 and decoded again. Settings were chosen on seeds 0 to 7. Prints a table in Markdown: F1 of
hard cuts at a tolerance of 0 and 2 frames; recall and precision of gradual transitions, found if a cut lies
in them or at most 2 frames outside; false cuts an hour and what is at them; CPU a frame without decoding.
With --titles N it prints instead in how many of N titles, pictures that grow over a plain background, there
are transitions; there should be none.
`adaptive` is PySceneDetect's AdaptiveDetector with luma_only, with decoding; `union` has what the rule or the
network finds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import av
import numpy as np
from numpy.typing import NDArray

from bench.shot_films import FPS, HARD, MadeFilm, Transition, encode, find_clips, make, make_title, read_shots
from facerec.demo.film import cut_frames, demo_shots, write_film
from facerec.settings import BOTH, RULE, TRANSNET, ShotSettings
from facerec.support.cli import run_main
from facerec.video.miniature import miniature, to_rgb
from facerec.video.network_shots import agreed_transitions, network_transitions
from facerec.video.shots import HARD as CUT
from facerec.video.shots import find_transitions

ADAPTIVE, UNION = "adaptive", "union"
METHODS = (ADAPTIVE, RULE, TRANSNET, BOTH, UNION)
NEAR = 2  # frames
Finding = tuple[str, int]  # kind and cut


def seed_number(text: str) -> int:
    """Convert a seed; for `argparse`."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def adaptive(film: Path) -> list[Finding]:
    """Find cuts as PySceneDetect does."""
    from scenedetect import SceneManager, open_video
    from scenedetect.detectors import AdaptiveDetector

    manager = SceneManager()
    manager.add_detector(AdaptiveDetector(min_scene_len=8, luma_only=True))
    video = open_video(str(film), backend="opencv")
    manager.detect_scenes(video)
    return [(CUT, scene[0].frame_num) for scene in manager.get_scene_list()[1:]]


class Methods:
    """The methods on one film; the network runs once."""

    def __init__(self, film: Path) -> None:
        self.film = film
        with av.open(str(film)) as container:
            self.miniatures = np.stack([miniature(frame) for frame in container.decode(video=0)])
        self.frames = np.arange(len(self.miniatures))
        self._probabilities: NDArray[np.float32] | None = None

    def find(self, method: str) -> list[Finding]:
        """Return the transitions that a method finds."""
        if method == ADAPTIVE:
            return adaptive(self.film)
        if method == UNION:
            rule = self.find(RULE)
            more = [one for one in self.find(TRANSNET) if all(abs(one[1] - cut) > 12 for _, cut in rule)]
            return sorted([*rule, *more], key=lambda one: one[1])
        if method == RULE:
            found = find_transitions(self.frames, self.miniatures)
        elif method == TRANSNET:
            found = network_transitions(self.frames, self.miniatures, self.probabilities())
        else:
            found = agreed_transitions(self.frames, self.miniatures, self.probabilities(), ShotSettings(BOTH))
        return [(one.kind, one.cut) for one in found]

    def probabilities(self) -> NDArray[np.float32]:
        if self._probabilities is None:
            from facerec.models.transnet import TransNet

            pictures: Callable[[int, int], NDArray[np.uint8]] = lambda a, b: to_rgb(self.miniatures[a:b])  # noqa: E731
            self._probabilities = TransNet().probabilities(pictures, len(self.frames))
        return self._probabilities


def score(film: MadeFilm, found: Sequence[Finding], counts: Counter[str]) -> list[str]:
    """Add a film's figures to `counts`; returns what was missed and what is false."""
    hard = [one for one in film.transitions if one.kind == HARD]
    gradual = [one for one in film.transitions if one.kind != HARD]
    notes: list[str] = []
    for tolerance in (0, NEAR):
        free = [cut for _, cut in found]
        hits = 0
        for one in hard:
            near = [cut for cut in free if abs(cut - one.cut) <= tolerance]
            if near:
                free.remove(near[0])
                hits += 1
        false = [cut for kind, cut in found if kind == CUT and cut in free and not _inside(cut, gradual)]
        counts[f"hits {tolerance}"] += hits
        counts[f"false {tolerance}"] += len(false)
    counts["hard"] += len(hard)
    notes += [f"false cut at {cut}: {_place(film, cut)}" for cut in false]
    for cut in false:
        counts[f"at {_place(film, cut)}"] += 1
    used: set[int] = set()
    for one in gradual:
        near = [cut for _, cut in found if _inside(cut, [one]) and cut not in used]
        counts[f"{one.kind} {bool(near)}"] += 1
        if near:
            used.add(min(near, key=lambda cut, middle=one.cut: abs(cut - middle)))  # type: ignore[misc]
        else:
            notes.append(f"missed {one.kind} {one.begin} to {one.end}")
    counts["gradual"] += len(gradual)
    counts["gradual found"] += len(used)
    at_hard = [cut for _, cut in found if any(abs(cut - one.cut) <= NEAR for one in hard)]
    extra = [
        cut
        for kind, cut in found
        if cut not in used and cut not in at_hard and (kind != CUT or _inside(cut, gradual))
    ]
    counts["gradual false"] += len(extra)
    counts["frames"] += len(film.frames)
    return notes + [f"false gradual at {cut}: {_place(film, cut)}" for cut in extra]


def _inside(cut: int, transitions: Sequence[Transition]) -> bool:
    return any(one.begin - NEAR <= cut <= one.end + NEAR for one in transitions)


def _place(film: MadeFilm, frame: int) -> str:
    """Return which event is at a frame."""
    for kind, begin, end in film.events:
        if kind != "silent film" and begin - 4 <= frame <= end + 4:
            return kind
    silent = any(kind == "silent film" and begin <= frame < end for kind, begin, end in film.events)
    return "silent film" if silent else "none"


def row(method: str, counts: Counter[str], ms: float) -> str:
    """Return a line of the table."""
    f1 = [
        2 * counts[f"hits {t}"] / max(1, counts["hard"] + counts[f"hits {t}"] + counts[f"false {t}"])
        for t in (0, NEAR)
    ]
    found, false = counts["gradual found"], counts["gradual false"]
    hours = counts["frames"] / FPS / 3600
    places = ", ".join(f"{key[3:]} {n}" for key, n in sorted(counts.items()) if key.startswith("at "))
    per_hour = counts[f"false {NEAR}"] / hours
    return (
        f"| {method} | {f1[0]:.3f} | {f1[1]:.3f} | {found / max(1, counts['gradual']):.3f} | "
        f"{found / max(1, found + false):.3f} | {per_hour:.0f} | {places or '–'} | {ms:.1f} |"
    )


def measure_titles(
    shots: Sequence[NDArray[np.uint8]], seeds: Sequence[int], chosen: Sequence[str], work: Path
) -> None:
    """Print in how many titles each method finds a transition."""
    wrong: Counter[str] = Counter()
    for seed in seeds:
        encode(path := work / f"title{seed}.mp4", make_title(shots, seed))
        methods = Methods(path)
        wrong.update(method for method in chosen if methods.find(method))
    for method in chosen:
        sys.stdout.write(f"{method}: transitions in {wrong[method]} of {len(seeds)} titles\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="folder of the clips")
    parser.add_argument(
        "--seeds", type=seed_number, nargs="+", default=[8, 9, 10, 11, 12], help="one film each"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    parser.add_argument("--titles", type=int, metavar="N", help="seeds from the first of --seeds on")
    parser.add_argument("--list", action="store_true", help="also print what is missed and what is false")
    args = parser.parse_args(argv)
    clips = find_clips(args.clips)
    counts: dict[str, Counter[str]] = {method: Counter() for method in args.methods}
    spent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work:
        write_film(demo := Path(work) / "demo.mp4", demo_shots())
        shots = read_shots(clips, [(demo, cut_frames(demo_shots()))])
        if args.titles:
            measure_titles(shots, range(args.seeds[0], args.seeds[0] + args.titles), args.methods, Path(work))
            return 0
        for seed in args.seeds:
            film = make(shots, seed)
            encode(path := Path(work) / f"{seed}.mp4", film.frames)
            methods = Methods(path)
            for method in args.methods:
                begun = time.process_time()
                found = methods.find(method)
                spent[method] += time.process_time() - begun  # type: ignore[assignment]
                for note in score(film, found, counts[method]):
                    if args.list:
                        sys.stdout.write(f"seed {seed}, {method}: {note}\n")
    write = sys.stdout.write
    write(
        "| method | F1 hard ±0 | F1 hard ±2 | gradual recall | precision | false cuts/h | at | ms a frame |\n"
    )
    write("|---|---|---|---|---|---|---|---|\n")
    for method in args.methods:
        write(row(method, counts[method], 1000 * spent[method] / counts[method]["frames"]) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
