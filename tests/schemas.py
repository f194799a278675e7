"""The shipped JSON Schemas, applied to the files of a movie folder and of an actor database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.conftest import ROOT

SCHEMAS = {
    path.name.removesuffix(".schema.json"): path
    for path in (ROOT / "facerec").glob("*/schemas/*.schema.json")
}


@cache
def validator(name: str) -> Draft202012Validator:
    """Load the schema called `name`, such as `features` for `features.jsonl`."""
    return Draft202012Validator(json.loads(SCHEMAS[name].read_text()))


def json_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every JSON or JSONL file under `folder` with the name of its schema."""
    for path in sorted(folder.rglob("*.json*")):
        if path.suffix in (".json", ".jsonl"):
            name = "run_log" if path.name.startswith("log_") else path.stem
            yield name if name in SCHEMAS else path.parent.name, path


def records(path: Path) -> list[Any]:
    """Read the records of a JSONL file, or the one value of a JSON file."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in (text.splitlines() if path.suffix == ".jsonl" else [text])]


def schema_errors(folder: Path) -> list[str]:
    """Validate every JSON record under `folder`; return what the schemas refuse, with file and line."""
    return [
        f"{path}:{line}: {error.json_path}: {error.message[:200]}"
        for name, path in json_files(folder)
        for line, record in enumerate(records(path), 1)
        for error in validator(name).iter_errors(record)
    ]
