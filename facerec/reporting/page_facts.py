"""The facts of a report that need no JavaScript: headline, quality, models, stages and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facerec.folder.plan import format_ranges
from facerec.movies.movie import Movie
from facerec.reporting.page_data import is_named
from facerec.support.text import counted

Row = dict[str, Any]  # label, value, note

_LATE = 0.05  # seconds; from here on times on the page show that the clock does not begin at 0

_STAGES = {
    "extract": "extract.py",
    "merge_shards": "merge_shards.py",
    "cluster": "cluster.py",
    "classify_knn": "classify_knn.py",
}


def page_facts(movie: Movie) -> dict[str, Any]:
    """Return the values that the template `report.html.j2` shows beside the page's data."""
    return {
        "headline": _headline(movie),
        "notices": _notices(movie),
        "quality": [_detection(movie), _embedding(movie), _clustering(movie), _naming(movie)],
        "models": _models(movie.manifest),
        "stages": _stages(movie.manifest),
        "settings": _settings(movie.manifest),
    }


def format_seconds(seconds: float) -> str:
    """Return a length of time as people read it: `7.5 s`, `3 min 05 s`, `1 h 58 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"


def _fact(label: str, value: object, note: str = "") -> Row:
    return {"label": label, "value": f"{value:,}" if isinstance(value, int) else str(value), "note": note}


def _known(*rows: tuple[Any, ...]) -> list[Row]:
    """Return facts, without those of which the value is None."""
    return [_fact(label, *rest) for label, *rest in rows if rest[0] is not None]


def _report(movie: Movie, stage: str) -> Mapping[str, Any]:
    report = movie.manifest["stages"][stage]["report"]
    return report if isinstance(report, dict) else {}


def _setting(movie: Movie, stage: str, name: str) -> Any:
    return movie.manifest["stages"][stage]["settings"].get(name)


def _headline(movie: Movie) -> list[Row]:
    people = movie.people
    single = people[~people["shared"].astype(bool)]
    named = sum(map(is_named, single["person"], single["source"]))
    missing = _missing_frames(movie.manifest)
    seen = 1 - missing / max(1, movie.frame_count)
    varying = "" if movie.times.constant else ", varying"
    frames, begin = counted(movie.frame_count, "frame", digits=","), float(movie.times.seconds[0])
    late = f", from {begin:.1f} s of the film's clock" if abs(begin) >= _LATE else ""
    return [
        _fact("Length", format_seconds(movie.duration_s), f"{frames}{late}"),
        _fact("Picture", f"{movie.width} × {movie.height}", f"{movie.frame_rate:.5g} frames/s{varying}"),
        _fact("Shots", len(movie.shots)),
        _fact("People", len(single), f"{named} named"),
        _fact("Faces followed", len(movie.trajectories), "trajectories"),
        _fact("Analysed", "all frames" if not missing else f"{100 * min(seen, 0.999):.1f} %"),
    ]


def _missing_frames(manifest: Mapping[str, Any]) -> int:
    holes = manifest.get("shards", {}).get("missing_frames", [])
    return sum(int(end) - int(beg) for beg, end in holes) + len(manifest.get("skipped_frames", []))


def _notices(movie: Movie) -> list[Row]:
    """Return the notices about frames that were not analysed, and the warnings of merge and film."""
    manifest = movie.manifest
    shards, skipped = manifest.get("shards", {}), manifest.get("skipped_frames", [])
    found = []
    if shards.get("missing"):
        lost = sum(end - beg for beg, end in shards["missing_frames"])
        which = f"shards {shards['missing']} of {shards['n']} were left out"
        found.append(
            _fact("Incomplete:", f"{which}: no face was looked for in {counted(lost, 'frame', digits=',')}.")
        )
    if skipped:
        runs = format_ranges(skipped)
        shown = runs if len(runs) < 120 else f"{runs[:120].rpartition(',')[0]}, …"
        found.append(
            _fact(
                "Damaged film:",
                f"{counted(len(skipped), 'frame', digits=',')} could not be decoded ({shown}).",
            )
        )
    found += [_fact("Warning:", text) for text in _report(movie, "merge_shards").get("warnings", [])]
    found += [_fact("Film:", text) for text in manifest.get("notes", [])]
    return found


def _detection(movie: Movie) -> Row:
    settings, reports = (
        movie.manifest.get("settings", {}),
        movie.manifest.get("shards", {}).get("reports", []),
    )
    faces = sum(report["faces"] for report in reports if isinstance(report.get("faces"), int))
    every = settings.get("detect_every", 1)
    boxes = int(movie.trajectories["n_detected"].sum())
    rows = _known(
        ("Faces detected", faces or None),
        ("Detections in trajectories", boxes, "the rest is too short, too small, or without a saved face"),
        ("Tracks dropped", _report(movie, "merge_shards").get("dropped")),
        ("Minimum detection score", settings.get("face_threshold")),
        ("Minimum face size", _pixels(settings.get("min_face_size")), "shorter side of a saved face"),
        ("Frames with detection", "all" if every == 1 else f"every {every}th"),
        ("Frames not decoded", len(movie.manifest.get("skipped_frames", []))),
    )
    return {"title": "Detection", "rows": rows}


def _pixels(value: object) -> str | None:
    return f"{value} pixels" if isinstance(value, int) else None


def _embedding(movie: Movie) -> Row:
    embedder = movie.manifest.get("models", {}).get("embedder", {})
    faces = movie.faces
    every = movie.manifest.get("settings", {}).get("save_every")
    outliers = _report(movie, "cluster").get("outlying_faces")
    rows = _known(
        ("Saved faces", len(faces), f"in every {every}th frame" if every else ""),
        ("Saved faces in trajectories", int(faces["trajectory"].notna().sum())),
        ("Outliers left out", outliers, "saved faces unlike the rest of their trajectory"),
        ("Numbers per embedding", embedder.get("dimension")),
        ("Same-person distance", embedder.get("same_person"), "at which one person is as likely as two"),
        ("Minimum quality", _setting(movie, "cluster", "min_quality"), "of a trajectory that is compared"),
    )  # fmt: skip
    return {"title": "Embedding", "rows": rows}


def _clustering(movie: Movie) -> Row:
    report = _report(movie, "cluster")
    listed, ratio = report.get("too_poor_to_compare"), report.get("min_log_likelihood_ratio")
    poor = len(listed) if isinstance(listed, list) else None
    required = f"{ratio:.2f} nats" if isinstance(ratio, float) else None
    rows = _known(
        ("Trajectories", len(movie.trajectories)),
        ("Clusters", report.get("clusters")),
        ("Too poor to compare", poor, "trajectories, on shared pages"),
        ("Method", _setting(movie, "cluster", "method")),
        ("Evidence required to join", required, "log-likelihood ratio"),
        ("Joined as a continuation", report.get("continued"), "one trajectory goes on where another ends"),
        ("Split as too large", report.get("split")),
    )  # fmt: skip
    return {"title": "Clustering", "rows": rows}


def _naming(movie: Movie) -> Row:
    report = _report(movie, "classify_knn")
    known = movie.trajectories.query("source == 'annotator'")
    annotated = sum(map(is_named, known["person"], known["source"]))
    rows = _known(
        ("Actors with pictures", report.get("actors_with_pictures")),
        ("Their pictures", report.get("pictures")),
        ("Clusters with a likely name", report.get("named_clusters")),
        ("Actors named", report.get("actors_named")),
        ("Minimum probability shown", f"{movie.least:.2f}"),
        ("Named by annotators", annotated or None, "trajectories"),
    )
    return {"title": "Names", "rows": rows}


def _models(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    names = ("kind", "weights", "sha256", "licence")
    models = manifest.get("models", {})
    return [
        {"role": role, **{name: str(card.get(name, "")) for name in names}}
        for role, card in models.items()
        if isinstance(card, dict)
    ]


def _stages(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row per stage: when it finished, how long it took, and what it counted."""
    reports = manifest.get("shards", {}).get("reports", [])
    rows = [_extract_row(reports, manifest)]
    for name, stage in manifest["stages"].items():
        counts = [
            f"{key.replace('_', ' ')} {len(value) if isinstance(value, list) else value}"
            for key, value in stage["report"].items()
            if isinstance(value, int | float | list) and not isinstance(value, bool) and value != []
        ]
        rows.append(
            _stage_row(_STAGES.get(name, name), stage["made_at"], stage.get("seconds"), stage, counts)
        )
    return rows


def _extract_row(reports: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> dict[str, str]:
    seconds = [report["seconds"] for report in reports if isinstance(report.get("seconds"), int | float)]
    hosts = {report["host"] for report in reports if isinstance(report.get("host"), str)}
    counts = [f"{len(reports)} of {manifest.get('shards', {}).get('n', len(reports))} shards"]
    counts += [f"on {counted(len(hosts), 'machine')}"] if hosts else []
    counts += ["seconds of all shards together"] if seconds else []
    return _stage_row("extract.py", "", sum(seconds) if seconds else None, {}, counts)


def _stage_row(
    name: str, made_at: str, seconds: object, stage: Mapping[str, Any], counts: Sequence[str]
) -> dict[str, str]:
    known = isinstance(seconds, int | float)
    return {
        "name": name,
        "made_at": made_at.partition("+")[0].replace("T", " "),
        "seconds": f"{seconds:,.1f}" if known else "",
        "seconds_value": f"{seconds:.3f}" if known else "",
        "program": str(stage.get("program", "")),
        "result": ", ".join(counts),
    }


def _settings(manifest: Mapping[str, Any]) -> list[Row]:
    groups = {"extract.py": manifest.get("settings", {})}
    groups |= {_STAGES.get(name, name): stage["settings"] for name, stage in manifest["stages"].items()}
    return [
        {"title": title, "rows": [_fact(key.replace("_", " "), str(value)) for key, value in values.items()]}
        for title, values in groups.items()
        if values
    ]
