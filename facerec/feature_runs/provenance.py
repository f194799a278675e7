"""The models, settings and inputs of features: recorded beside them, and compared by every later run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from facerec import __version__
from facerec.errors import ContractError, StaleError
from facerec.models.base import ModelCard, identity_of
from facerec.support.atomic import create_once
from facerec.support.jsonl import RuleViolation, read_json
from facerec.support.shell import option


class Provenance:
    """A file that records how the features in its folder were made.

    Args:
        path: the file; its folder is created when needed.
        wanted: models, settings and inputs of this run; JSON values.
    """

    def __init__(self, path: Path, wanted: Mapping[str, Any]) -> None:
        self._path, self._wanted = path, wanted

    def differences(self) -> list[str]:
        """Return a phrase for each value in which the existing features differ from this run."""
        if not self._path.exists():
            return []
        try:
            recorded = read_json(self._path, _parse)
        except ContractError as error:
            return [str(error)]
        return [
            difference
            for key, value in self._wanted.items()
            for difference in _differences(key, _identity(recorded.get(key)), _identity(value))
        ]

    def record(self) -> None:
        """Write the file, unless it exists.

        Raises:
            StaleError: the existing features were made with other options or inputs.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        record = {**self._wanted, "program": f"facerec {__version__}"}
        create_once(self._path, orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")
        differences = self.differences()
        if differences:
            raise StaleError(
                f"{self._path.parent}: has features that were made with other options or inputs: "
                f"{'; '.join(differences)}. Use the same ones, or {option('--fresh')} to discard those "
                "features and start again (when no other process works on them)"
            )


def _parse(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RuleViolation("a JSON object is expected")
    return value


def _identity(value: Any) -> Any:
    """Reduce the model cards in a JSON value to what decides the results, see `identity_of`."""
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    if isinstance(value, Mapping):
        if value.keys() == {field.name for field in fields(ModelCard)}:
            return identity_of(value)
        return {key: _identity(item) for key, item in value.items()}
    return value


def _differences(name: str, was: Any, now: Any) -> list[str]:
    """Return a phrase for each value inside a JSON value that differs."""
    if was == now:
        return []
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = dict.fromkeys((*was, *now))
        pairs = [(f"{name}.{key}", was.get(key), now.get(key)) for key in keys]
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = [(f"{name}.{k}", *pair) for k, pair in enumerate(zip(was, now, strict=True))]
    else:
        return [f"{name} was {_shortened(was)} and is now {_shortened(now)}"]
    return [difference for pair in pairs for difference in _differences(*pair)]


def _shortened(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:40]}…"
