"""The progress of features by shards, read from the index without loading an extractor."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from facerec.errors import InputError
from facerec.feature_runs.feature_folder import RETRY, is_changed, is_failed
from facerec.feature_runs.film_parts import FilmParts
from facerec.feature_runs.index import OF_TAR, Index, Key
from facerec.feature_runs.list_source import file_size
from facerec.feature_runs.listing import Item, Places, Problem, read_items
from facerec.feature_runs.spans import FILM, SOUND, divide, shot_name
from facerec.feature_runs.tar_shard import find_shards
from facerec.feature_runs.tar_source import SHARD
from facerec.features import EXTRACTORS
from facerec.folder.documents import read_scene_changes
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import shard_range
from facerec.support.shell import stage_command

DONE, MISSING = "done", "missing"  # states of a unit; any other text is the reason why it failed


class UnitState(Protocol):
    """The state of a unit of work, by its outputs."""

    def state(self, outputs: Outputs, contents: bool) -> str:
        """Return `DONE`, `MISSING` or why it failed."""
        ...


class Outputs:
    """The outputs of a feature folder, as its index describes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = Index(path / "index.jsonl", path / ".work" / "index.lock")

    def state(self, key: Key, contents: bool, source: Path | None = None) -> str:
        """Return the state of an item's feature.

        Args:
            key: of its entry.
            contents: also compare the sizes of its file and of `source`, the file that it is made from.
        """
        entry = self.index.get(*key)
        if entry is None or (is_failed(entry) and entry.get(RETRY)):
            return MISSING
        if contents and source is not None and is_changed(entry, file_size(source)):
            return MISSING
        if is_failed(entry):
            return f"{entry['item']}: no {entry['feature']}: {entry['reason']}"
        if contents and entry["output"] is not None and not self._is_whole(entry):
            return MISSING
        return DONE

    def _is_whole(self, entry: dict[str, Any]) -> bool:
        try:
            return (self.path / str(entry["output"])).stat().st_size == int(entry["bytes"])
        except OSError:
            return False


class Progress:
    """The progress of one piece of work, divided into shards as `extract_features.py` divides it.

    Several threads may ask for it: local workers do, while the launcher shows a progress bar.

    Args:
        folder: of the outputs; need not exist.
    """

    def __init__(self, folder: Path, units: Sequence[UnitState]) -> None:
        self._outputs, self._units = Outputs(folder), units
        self._done: set[int] = set()
        self._lock = threading.Lock()

    def unfinished(self, n: int, shards: Collection[int], contents: bool = False) -> dict[int, str]:
        """Return those of `shards` that are not finished, and `MISSING` or why they failed.

        Args:
            n: number of shards.
            contents: also check that the outputs exist; otherwise only the index is read.
        """
        with self._lock:
            return self._unfinished(n, shards, contents)

    def _unfinished(self, n: int, shards: Collection[int], contents: bool) -> dict[int, str]:
        self._outputs.index.refresh()
        if contents:
            self._done.clear()
        found: dict[int, str] = {}
        for shard in sorted(shards):
            units = range(*shard_range(len(self._units), shard, n))
            states = [self._state(unit, contents) for unit in units if unit not in self._done]
            reasons = [state for state in states if state not in (DONE, MISSING)]
            if reasons:
                more = f" (and {len(reasons) - 1} more)" * (len(reasons) > 1)
                found[shard] = MISSING if MISSING in states else reasons[0] + more
            elif MISSING in states:
                found[shard] = MISSING
        return found

    def _state(self, unit: int, contents: bool) -> str:
        state = self._units[unit].state(self._outputs, contents)
        if state == DONE:
            self._done.add(unit)
        return state


class _ItemUnit:
    def __init__(self, item: Item | Problem, features: Sequence[str]) -> None:
        self._item, self._features = item, features

    def state(self, outputs: Outputs, contents: bool) -> str:
        source = self._item.path if isinstance(self._item, Item) else None
        return _worst(
            outputs.state((self._item.name, feature), contents, source) for feature in self._features
        )


class _TarUnit:
    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self, outputs: Outputs, contents: bool) -> str:
        key = self._path.stem, SHARD, OF_TAR
        state, entry = outputs.state(key, contents, self._path), outputs.index.get(*key)
        if state != DONE or not contents or entry is None:
            return state
        lines = outputs.path / f"{self._path.stem}.jsonl"
        is_whole = str(entry["output"]).endswith(".pkl") or lines.is_file()
        is_same_list = entry.get("list_bytes") in (None, file_size(self._path.with_suffix(".json")))
        return DONE if is_whole and is_same_list else MISSING


class _ShotsUnit:
    """Some shots of a movie and their part of the film, or all sound of a movie."""

    def __init__(self, key: str, shots: range, features: Sequence[str]) -> None:
        self._key, self._features = key, features
        self._items = [*map(shot_name, shots)]

    def state(self, outputs: Outputs, contents: bool) -> str:
        shots = (
            outputs.state((item, feature), contents) for feature in self._features for item in self._items
        )
        return _worst([*shots, *(self._film_state(outputs, feature, contents) for feature in self._features)])

    def _film_state(self, outputs: Outputs, feature: str, contents: bool) -> str:
        film = outputs.state((FILM, feature), contents)
        if film == DONE or self._key == SOUND:
            return film
        parts = FilmParts(outputs.path / ".work" / "parts" / feature)
        if parts.failed([self._key]):
            return film if film != MISSING else f"{FILM}: no {feature}"
        return DONE if parts.is_finished(self._key) else MISSING


class _FilmUnit:
    """The last unit of shots: it also stands for the features of the film, which are joined at the end."""

    def __init__(self, unit: UnitState, others: Sequence[UnitState], features: Sequence[str]) -> None:
        self._unit, self._others, self._features = unit, others, features

    def state(self, outputs: Outputs, contents: bool) -> str:
        state = self._unit.state(outputs, contents)
        films = (outputs.state((FILM, feature), contents) for feature in self._features)
        if state != DONE or MISSING not in films:
            return state
        is_joined_next = all(unit.state(outputs, contents) == DONE for unit in self._others)
        return MISSING if is_joined_next else DONE


def _worst(states: Any) -> str:
    """Return `MISSING` if one is, else the first failure, else `DONE`."""
    found = [state for state in states if state != DONE]
    return MISSING if MISSING in found else found[0] if found else DONE


def movie_progress(folder: MovieFolder, features: Sequence[str]) -> Progress:
    """Return the progress of features, names of extractors, of a movie.

    Raises:
        InputError: the movie has no `scene_changes.json`.
        ContractError: that file is damaged.
    """
    if not folder.scene_changes.is_file():
        raise InputError(
            f"{folder.scene_changes}: this file must exist, because features are made for each shot; merge "
            f"the film first: {stage_command('merge_shards', '--path', str(folder.path))}"
        )
    cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    shots = [*pairwise([0, *cuts, (cuts or [0])[-1] + 1])]
    visual = [name for name in features if EXTRACTORS[name].kind != "sound"]
    audio = [name for name in features if EXTRACTORS[name].kind == "sound"]
    units: list[UnitState] = [_ShotsUnit(span.key, span.shots, visual) for span in divide(shots) if visual]
    if units:
        units[-1] = _FilmUnit(units[-1], units[:-1], visual)
    if audio:
        units.append(_ShotsUnit(SOUND, range(len(shots)), audio))
    return Progress(folder.shot_features, units)


def list_progress(path: Path, places: Places, features: Sequence[str]) -> Progress:
    """Return the progress of features of the items of a list.

    Raises:
        InputError: the list cannot be read.
    """
    return Progress(places.out, [_ItemUnit(item, features) for item in read_items(path, places)])


def tar_progress(patterns: Sequence[str], out: Path) -> Progress:
    """Return the progress of features of tar shards.

    Raises:
        InputError: none of the tar files is there.
    """
    return Progress(out, [_TarUnit(path) for path in find_shards(patterns)])
