"""Note the calls of the networks inside models, and repeat them: what the networks cost by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

Call = Callable[[], object]


class Networks:
    """The networks of models: sessions of onnxruntime, modules of torch, and dlib's worker processes.

    Args:
        models: detectors and embedders; their networks are replaced by ones that note their calls.
    """

    def __init__(self, *models: Any) -> None:
        self._calls: list[Call] | None = None
        self._inputs: dict[tuple[object, ...], Any] = {}
        for model in models:
            parts = [part for part in vars(model).values() if type(part).__module__.startswith("facerec")]
            for owner in (model, *parts):
                for name, value in list(vars(owner).items()):
                    replaced = self._replaced(value)
                    if replaced is not value:
                        setattr(owner, name, replaced)
            if hasattr(model, "_idle"):  # dlib: what a worker process gets and returns is its network's
                model._embed = self._noting(model._embed)

    @contextmanager
    def noted(self) -> Iterator[list[Call]]:
        """Note all calls in the block; calling them again costs the same, with any inputs."""
        self._calls = []
        try:
            yield self._calls
        finally:
            self._calls = None

    def _replaced(self, value: Any) -> Any:
        if type(value).__name__ == "InferenceSession":
            return _Session(value, self._note)
        if isinstance(value, tuple) and value and _is_module(value[0]):
            return tuple(map(self._noting, value))
        return self._noting(value) if _is_module(value) else value

    def _noting(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(values: Any) -> Any:
            self._note(function, values)
            return function(values)

        return call

    def _note(self, function: Callable[[Any], Any], values: Any) -> None:
        """Note a call; inputs of one shape share the memory of the first."""
        if self._calls is None:
            return
        parts = values.values() if isinstance(values, dict) else [values]
        key = (id(function), *(getattr(part, "shape", id(part)) for part in parts))
        self._calls.append(partial(function, self._inputs.setdefault(key, values)))


class _Session:
    """A session of onnxruntime that notes its runs."""

    def __init__(self, session: Any, note: Callable[[Callable[[Any], Any], Any], None]) -> None:
        self._session, self._note = session, note
        self._runs: dict[tuple[str, ...] | None, Callable[[Any], Any]] = {}
        self._run_bound = session.run_with_iobinding

    def run(self, names: Any, feed: Any) -> Any:
        key = None if names is None else tuple(names)
        self._note(self._runs.setdefault(key, partial(self._session.run, names)), feed)
        return self._session.run(names, feed)

    def run_with_iobinding(self, binding: Any) -> None:
        self._note(self._run_bound, binding)
        self._run_bound(binding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _is_module(value: object) -> bool:
    return any(base.__module__.startswith("torch.nn") for base in type(value).__mro__)
