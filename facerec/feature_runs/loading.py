"""The features that a command line asks for: names, extractors, models and settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from facerec.errors import InputError
from facerec.feature_runs.rows import OutputFormat
from facerec.features import EXTRACTORS, cards_of, entry_of, load_extractor
from facerec.features.base import Options
from facerec.models.device import limit_threads


@dataclass(frozen=True)
class Feature:
    """A feature that is wanted.

    Attributes:
        kind: of its extractor: `windows`, `frames` or `sound`.
        extractor: see the interfaces in `facerec.features.base`.
        description: what its values depend on besides the input: models, settings, format.
    """

    name: str
    kind: str
    extractor: Any
    description: dict[str, Any]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of its arrays."""
        return tuple(self.extractor.arrays)


def parse_specs(text: str) -> dict[str, str]:
    """Return the specs of a list such as `place,vggish:FILE`, by name.

    Raises:
        InputError: it is empty, or names a feature twice.
        ModelError: there is no such feature.
    """
    specs: dict[str, str] = {}
    for spec in filter(None, (part.strip() for part in text.split(","))):
        entry_of(spec)
        name = spec.partition(":")[0]
        if name in specs:
            raise InputError(f"--features {text}: names {name} twice")
        specs[name] = spec
    if not specs:
        raise InputError(f"--features: names no feature; there are {', '.join(EXTRACTORS)}")
    return specs


def load_features(
    specs: dict[str, str],
    options: Options,
    format: OutputFormat,
    *,
    device: str,
    precision: str,
    batch_size: int | None,
) -> list[Feature]:
    """Load the extractors of `specs`.

    Args:
        options: each is given to the features that have it.

    Raises:
        InputError: an option that no feature has.
        ModelError: as `facerec.features.load_extractor`.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    for option in given:
        if not any(option in entry_of(spec).options for spec in specs.values()):
            supporting = [name for name, entry in EXTRACTORS.items() if option in entry.options]
            raise InputError(
                f"--{option}: none of {', '.join(specs)} has this option; "
                f"{', '.join(supporting) or 'no feature'} {'has' if len(supporting) == 1 else 'have'} it"
            )
    features = []
    for name, spec in specs.items():
        entry = entry_of(spec)
        cards_of(spec)  # an extractor may be loaded without weights that films need
        own = {option: value for option, value in given.items() if option in entry.options}
        extractor = load_extractor(
            spec, device=device, precision=precision, batch_size=batch_size, **own
        )  # fmt: skip
        description = {
            "models": [asdict(card) for card in extractor.cards],
            "settings": dict(extractor.settings),
            "format": asdict(format),
        }
        features.append(Feature(name, entry.kind, extractor, description))
    limit_threads()
    return features
