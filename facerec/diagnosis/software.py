"""Python, the packages and their versions, and the weights of the models."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from facerec.diagnosis.findings import Finding, found, missing, note
from facerec.errors import ModelError
from facerec.support.installation import repository_root
from facerec.support.shell import option, stage_command

OLDEST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*==\s*(?P<version>[^\s;#]+)(?P<marker>.*extra\s*==.*)?"
)


def check_python() -> Iterator[Finding]:
    """Check the version of Python."""
    text = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        fix = f"install Python {oldest}, then: make env BASE_PYTHON=/path/to/python{oldest}"
        yield missing("python", f"{text}; {oldest} or later is needed", fix)
    else:
        yield found("python", text)


def check_packages() -> Iterator[Finding]:
    """Compare the installed packages with those that facerec declares."""
    wanted = declared_packages()
    absent, others = [], []
    for name, release in wanted.items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            absent.append(name)
            continue
        if installed != release:
            others.append(f"{name} {installed} instead of {release}")
    fix = (
        "make env" if repository_root() is not None else f"{sys.executable} -m pip install --upgrade facerec"
    )
    if absent:
        text = f"{len(absent)} of {len(wanted)} are not installed: {', '.join(absent)}"
        yield missing("packages", text, fix)
    if others:
        yield note("packages", f"not the versions that were tested: {', '.join(others)}", fix)
    if not absent and not others:
        yield found("packages", f"all {len(wanted)}, in the versions that were tested")


def declared_packages() -> dict[str, str]:
    """Return the version of each package that facerec imports, by name."""
    root = repository_root()
    if root is not None:
        lines = (root / "requirements.in").read_text(encoding="utf-8").splitlines()
    else:
        lines = requires("facerec") or []
    matches = (_REQUIREMENT.match(line) for line in lines)
    return {match["name"]: match["version"] for match in matches if match and not match["marker"]}


def check_models(detector: str, embedder: str) -> Iterator[Finding]:
    """Check the weights of the detector and the embedder that a movie would use, and of the others.

    Args:
        detector: as the option `--detector`: NAME or NAME:FILE. `embedder` likewise.
    """
    from facerec.models import DETECTORS, EMBEDDERS
    from facerec.models.weights import CATALOGUE

    for role, spec, names in (("detector", detector, DETECTORS), ("embedder", embedder, EMBEDDERS)):
        kind, _, file = spec.partition(":")
        if kind not in names:
            yield missing("models", f"{role} {kind!r} is unknown", f"one of: {', '.join(names)}")
            continue
        try:
            yield found("models", f"{role} {_weights(kind, file)}")
        except ModelError as error:
            what_and_where = str(error).partition(";")[0]
            yield missing("models", f"{role} {what_and_where}", _fetch(kind, role, names))
    chosen = {spec.partition(":")[0] for spec in (detector, embedder)}
    others = [name for name in (*DETECTORS, *EMBEDDERS) if name in CATALOGUE and name not in chosen]
    present = []
    for name in others:
        try:
            present.append(_weights(name, ""))
        except ModelError:
            continue
    if present:
        yield found("models", f"also here: {', '.join(present)}")


def _weights(kind: str, file: str) -> str:
    """Return name, hash and licence of the weights of a model; raises ModelError without them."""
    from facerec.models.weights import find_weights

    card = find_weights(kind, file or None).card
    return f"{kind} ({card.weights}, SHA-256 {card.sha256[:12]}…, licence: {card.licence})"


def _fetch(kind: str, role: str, names: Iterable[str]) -> str:
    """Return the way to the weights of a model that are missing."""
    from facerec.models.weights import CATALOGUE

    in_packages = [name for name in names if name in CATALOGUE and CATALOGUE[name].package]
    known = kind in CATALOGUE and not CATALOGUE[kind].package
    fetch = f"make models MODELS={kind}" if repository_root() else stage_command("fetch_models", kind)
    others = " or ".join(option(f"--{role}", name) for name in in_packages)
    without = f"without a download: {others}" if in_packages else ""
    ways = "; ".join(part for part in (fetch if known else "", without) if part)
    return ways or f"give {option(f'--{role}', f'{kind}:FILE')}"
