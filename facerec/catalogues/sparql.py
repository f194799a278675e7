"""Results of a query to Wikidata: SPARQL's JSON, or the list of objects that its page saves.

Wikidata's CSV and TSV results are tables, see `delimited`. SPARQL's JSON is described at
https://www.w3.org/TR/sparql11-results-json/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facerec.catalogues.base import CastList, Format, Source, Wanted, text_of
from facerec.catalogues.table import cast_of_table
from facerec.errors import ContractError


def _rows(document: Any) -> list[dict[str, Any]] | None:
    """Return the results as objects by variable; None if this is another document."""
    if isinstance(document, dict):
        results = document.get("results")
        document = results.get("bindings") if isinstance(results, dict) else None
    if isinstance(document, list) and all(isinstance(row, dict) for row in document):
        return document
    return None


def recognise(source: Source) -> bool:
    """Return whether a file is JSON with a list of objects, one for each result."""
    return _rows(source.document) is not None


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read the results; rows of one person with several roles become one later."""
    (source,) = sources
    rows = _rows(source.document)
    if not rows:
        raise ContractError(source.path, "has no result; does the query find the film?")
    header = list(dict.fromkeys(name for row in rows for name in row))
    table = [(i, [_value(row.get(name)) for name in header]) for i, row in enumerate(rows, 1)]
    return cast_of_table(source.path, "results of a query", header, table, wanted)


FORMAT = Format("results of a query to Wikidata (JSON)", recognise, read)


def _value(cell: Any) -> str:
    return text_of(cell.get("value")) if isinstance(cell, dict) else text_of(cell)
