"""Read the site profile from its TOML file, and from settings of the user that override it."""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from facerec.errors import InputError
from facerec.stages import LAUNCHED
from slurm.site import LocalSettings, Resources, Site, parse_size

# options of sbatch by which the launcher finds its jobs and their logs, and which have a setting of their own
_OWN_OPTIONS = {
    "array",
    "comment",
    "dependency",
    "error",
    "job-name",
    "open-mode",
    "output",
    "signal",
    "wrap",
}
_SETTINGS_OF_OPTIONS = {
    **{name: name for name in ("partition", "account", "qos", "constraint", "exclude", "time", "gres")},
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "mem": "memory",
}
_OF_SITE = ("settle", "poll", "max_submit", "give_up")  # settings that belong to no stage
# The default resources of a task with a GPU: about as many decoders as feed it with 1920x1080 H.264, and the
# memory of torch, CUDA and the ring of batches. `make plan` measures them for a film.
GPU_DEFAULTS = {"cpus": 8, "memory": "16G"}


def load_site(path: Path, overrides: Iterable[str] = ()) -> Site:
    """Read a site profile.

    Args:
        overrides: `stage.setting=value`, or `setting=value` for every stage.

    Raises:
        InputError: the file is missing or not TOML, or a setting is unknown or has the wrong type.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such site profile; give its path with SITE=FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    settings: list[tuple[str, str, str, Any]] = []  # source, table, name, value
    for table, values in tables.items():
        if table in _OF_SITE:
            settings.append((str(path), "", table, values))
            continue
        _require_known(str(path), "table", table, ("all", *LAUNCHED, "local", *_OF_SITE))
        if not isinstance(values, dict):
            raise InputError(f"{path}: [{table}] must be a table")
        settings += [(f"{path}: [{table}]", table, name, value) for name, value in values.items()]
    settings.sort(key=lambda setting: setting[1] != "all")  # the table of a stage overrides [all]
    settings += [_parse_override(text) for text in overrides]
    return _build_site(settings)


def split_settings(text: str) -> list[str]:
    """Split settings at spaces, but not inside quotes, brackets or braces: `a=1 b=["x", "y z"]`.

    Quotes inside brackets belong to TOML and stay; those around a word or a value are removed.

    Raises:
        InputError: a quote or bracket is not closed.
    """
    words: list[str] = []
    for word in re.findall(r"""(?:\[[^]]*\]|\{[^}]*\}|"[^"]*"|'[^']*'|[^\s\[{"'])+|\S+""", text):
        try:
            words += [word] if re.search(r"=\s*[\[{]", word) else shlex.split(word)
        except ValueError as error:
            raise InputError(f"--set: {error} in {text!r}") from None
    return words


def _parse_override(text: str) -> tuple[str, str, str, Any]:
    name, equals, value = text.partition("=")
    table, dot, key = name.strip().rpartition(".")
    if not equals:
        raise InputError(f"{text!r}: give setting=value or stage.setting=value, as in extract.memory=32G")
    if dot:
        _require_known(text, "table", table, ("all", *LAUNCHED, "local"))
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # text without quotes
    return text, "" if key in _OF_SITE else table or "all", key, parsed


def _build_site(settings: Iterable[tuple[str, str, str, Any]]) -> Site:
    stages = {stage: Resources() for stage in LAUNCHED}
    local, of_site = LocalSettings(), {}
    given: set[tuple[str, str]] = set()
    for source, table, name, value in settings:
        if not table:
            of_site[name] = _converted(source, name, value, getattr(Site, name))
        elif table == "local":
            local = _set(source, local, name, value)
        else:
            for stage in LAUNCHED if table == "all" else (table,):
                stages[stage] = _set(source, stages[stage], name, value)
                given.add((stage, name))
    for stage, resources in stages.items():
        if resources.has_gpu:
            defaults = {name: value for name, value in GPU_DEFAULTS.items() if (stage, name) not in given}
            stages[stage] = replace(resources, **defaults)  # type: ignore[arg-type]
    for resources in stages.values():
        _ = resources.minutes, resources.megabytes  # report invalid values now, not at submission
    parse_size(local.memory)
    return Site(stages, local, **of_site)


def _set(source: str, target: Any, name: str, value: Any) -> Any:
    _require_known(source, "setting", name, [item.name for item in fields(target)])
    return replace(target, **{name: _converted(source, name, value, getattr(target, name))})


def _converted(source: str, name: str, value: Any, default: Any) -> Any:
    """Convert `value` to the type of `default`."""
    if isinstance(default, tuple):
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return tuple(values)
        raise InputError(f"{source}: {name} must be a list of strings, not {value!r}")
    if isinstance(default, Mapping):
        return _sbatch_options(source, name, value)
    if isinstance(default, str):
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise InputError(f"{source}: {name} must be a string, not {value!r}")
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        raise InputError(f"{source}: {name} must be a whole number of at least 0, not {value!r}")
    return int(value)


def _sbatch_options(source: str, name: str, value: Any) -> dict[str, str | bool]:
    """Convert a table of sbatch's options; its keys may have `-` or `_`."""
    if not isinstance(value, dict) or not all(isinstance(item, str | int | float) for item in value.values()):
        example = '{ mail-user = "me@x.org", exclusive = true }'
        raise InputError(f"{source}: {name} must be a table of options, as in {example}")
    options = {str(key).lstrip("-").replace("_", "-"): item for key, item in value.items()}
    for option in options:
        if option in _OWN_OPTIONS:
            raise InputError(f"{source}: {name}: --{option} is used by the launcher itself; leave it out")
        if option in _SETTINGS_OF_OPTIONS:
            raise InputError(
                f"{source}: {name}: give --{option} as the setting {_SETTINGS_OF_OPTIONS[option]!r} instead"
            )
    return {option: item if isinstance(item, bool) else str(item) for option, item in options.items()}


def _require_known(source: str, what: str, name: str, valid: Iterable[str]) -> None:
    names = list(valid)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    meant = f" did you mean {close[0]!r}?" if close else ""
    raise InputError(f"{source}: unknown {what} {name!r};{meant} valid names: {', '.join(names)}")
