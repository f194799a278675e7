"""Measure the report of a feature film: how long it takes to make, and how the page behaves in Chromium.

    python bench/report.py [--frames 220000] [--clusters 1500] [--work DIR]

Makes a movie folder as in bench/feature_film.py (about 10,000 trajectories), draws clusters and names, makes
report.html and opens it from the file system in headless Chromium, with an empty profile. Prints JSON:
seconds to make the page; its size; in the browser, milliseconds until the first paint, until the page answers
and until all is drawn; the JavaScript heap and the memory of the renderer process and of all processes of the
browser (proportional set size); and, while all cards of people and then the timeline are scrolled and zoomed,
the frames a second, the 95th percentile and the longest of the intervals between two frames, and the CPU time
of the page's main thread per frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.feature_film import make
from bench.measure import ROOT, cost_of_program
from facerec.folder.documents import clusters_bytes, predictions_bytes
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs
from facerec.folder.publish import publish, staging
from facerec.folder.readers import read_trajectories

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_FRAMES = """async (move) => {
  const step = new Function('i', move), times = [];
  await new Promise((done) => {
    let i = 0;
    const tick = (now) => {
      times.push(now);
      step(i);
      if (++i < 240) requestAnimationFrame(tick); else done();
    };
    requestAnimationFrame(tick);
  });
  return times;
}"""
_SCROLL = "window.scrollBy(0, 60)"
_TIMELINE = (
    "const t = document.getElementById('timeline'); t.scrollTop += 14;"
    "facerec.timeline.view(1000 + 4 * i, 1000 + 4 * i + 3000 / (1 + i % 60))"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=220_000, help="frames of the film")
    parser.add_argument("--clusters", type=int, default=1500, help="number of clusters")
    parser.add_argument("--work", type=Path, help="make the folders here and keep them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, database = make(args.work or Path(temporary), args.frames, 256, 60, 0.02, 0)
        cost_of_program([sys.executable, str(ROOT / "facerec/merge_shards.py"), "--path", str(folder.path)])
        trajectories = _draw_clusters(folder, args.clusters, [f"nm{i}" for i in range(20)])
        command = [sys.executable, str(ROOT / "facerec/report.py"), "--path", str(folder.path)]
        made = cost_of_program([*command, "--actor-db", str(database)])
        figures = {
            "trajectories": trajectories,
            "clusters": args.clusters,
            "made": made.rounded(),
            "page_mib": round(folder.report.stat().st_size / 2**20, 2),
            **measure(folder.report),
        }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def _draw_clusters(folder: MovieFolder, clusters: int, actors: list[str]) -> int:
    """Publish drawn clusters, a few large and many small ones, of which the largest have names."""
    rng = np.random.default_rng(0)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    weights = 1 / np.arange(1, clusters + 1)
    labels = rng.choice(clusters, len(trajectories), p=weights / weights.sum())
    labels[rng.permutation(len(trajectories))[:clusters]] = np.arange(clusters)  # none is empty
    frames = np.bincount(labels, [len(one.boxes) for one in trajectories])
    rank = np.empty(clusters, np.int64)
    rank[np.argsort(-frames)] = np.arange(clusters)
    names = {
        cluster: {actors[cluster]: round(float(rng.uniform(0.3, 1)), 5)} if cluster < len(actors) else {}
        for cluster in range(clusters)
    }
    _publish(folder, "cluster", folder.clusters, clusters_bytes(folder.movie_id, rank[labels]))
    _publish(folder, "classify_knn", folder.predictions, predictions_bytes(folder.movie_id, names))
    return len(trajectories)


def _publish(folder: MovieFolder, stage: str, path: Path, data: bytes) -> None:
    inputs = checked_inputs(folder, stage)
    with staging(folder) as directory:
        (directory / path.name).write_bytes(data)
        files = {path: directory / path.name}
        publish(folder, stage, files, inputs=inputs, settings={}, report={}, overwrite=True)


def measure(page: Path) -> dict[str, Any]:
    """Open a report in headless Chromium and measure it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play, tempfile.TemporaryDirectory() as profile:
        context = play.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            viewport={"width": 1280, "height": 900},
        )
        tab = context.pages[0]
        tab.goto(page.as_uri())
        while not tab.evaluate("performance.getEntriesByName('facerec-complete').length"):
            tab.wait_for_timeout(50)
        tab.wait_for_timeout(500)
        figures = {
            "first_paint_ms": _entry(tab, "getEntriesByName('first-contentful-paint')"),
            "interactive_ms": _entry(tab, "getEntriesByName('facerec-interactive')"),
            "complete_ms": _entry(tab, "getEntriesByName('facerec-complete')"),
            "opened": _memory(tab, profile),
        }
        tab.click("#people-more")
        tab.evaluate("window.scrollTo(0, document.getElementById('people').offsetTop)")
        figures["people"] = _smoothness(tab, _SCROLL)
        tab.locator("#timeline-section").scroll_into_view_if_needed()
        figures["timeline"] = _smoothness(tab, _TIMELINE)
        figures["scrolled"] = _memory(tab, profile)
        context.close()
    return figures


def _entry(tab: Any, entries: str) -> int:
    return int(tab.evaluate(f"Math.round(performance.{entries}[0].startTime)"))


def _smoothness(tab: Any, move: str) -> dict[str, float]:
    """Animate 240 frames; `move` is run before each.

    Returns:
        Frames a second, 95th percentile and longest of the intervals, and the CPU time of the page's main
        thread per frame, which other work on the machine does not change.
    """
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _metrics(session)["ThreadTime"]
    times = tab.evaluate(_FRAMES, move)
    cpu = _metrics(session)["ThreadTime"] - before
    intervals = [b - a for a, b in pairwise(times)]
    return {
        "frames_per_s": round(1000 / statistics.fmean(intervals), 1),
        "p95_ms": round(sorted(intervals)[int(0.95 * len(intervals))], 1),
        "longest_ms": round(max(intervals), 1),
        "cpu_ms_per_frame": round(1000 * cpu / len(times), 1),
    }


def _metrics(session: Any) -> dict[str, float]:
    return {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}


def _memory(tab: Any, profile: str) -> dict[str, float]:
    """Return MiB of the JavaScript heap, of the page's renderer, and of all processes of the browser."""
    parents, commands = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            commands[process.name] = (process / "cmdline").read_text(errors="replace")
            parents[process.name] = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
    ours = {process for process, command in commands.items() if profile in command}
    while found := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= found
    sizes = {process: _pss_mib(process) for process in ours}
    renderers = [size for process, size in sizes.items() if "--type=renderer" in commands[process]]
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")
    heap = _metrics(session)["JSHeapUsedSize"] / 2**20
    return {
        "heap_mib": round(heap, 1),
        "renderer_mib": round(max(renderers)),
        "all_mib": round(sum(sizes.values())),
    }


def _pss_mib(process: str) -> float:
    """Return the proportional set size of a process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
