"""`co-presence`: who is on screen with whom; CSV, one row per pair, or GraphML, for networks.

Columns of the CSV file:
    movie_id, title: of the movie.
    person_a, name_a, uri_a, person_b, name_b, uri_b: as in `screen-time`; a is longer on screen than b.
    shots: number of shots in which both are seen, not always at the same time.
    frames, seconds: how long both are on screen at the same time.

The graph is undirected: a node per person, also one who is always alone, and an edge per pair. Over several
movies, an actor is one node and everybody else is a node of one movie. What is not one person (`shared`) is
left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from facerec.exporting.columns import DECIMALS, csv_bytes, of_all, uri_of
from facerec.support.xml_text import attribute, element_text

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

_TYPES = {str: "string", int: "long", float: "double"}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"
         xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
         xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
  <desc>Who is on screen with whom. Seconds of the film's clock, by each frame's own presentation time.</desc>
"""
_Values = dict[str, Any]
# what nodes and edges have; Gephi and Cytoscape show `label`
_NODE: _Values = {
    "label": "", "name": "", "uri": "", "source": "", "movies": "", "seconds": 0.0, "shots": 0,
    "face_height": 0.0,
}  # fmt: skip
_EDGE: _Values = {"weight": 0.0, "frames": 0, "shots": 0}


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the pairs or the graph of all `movies`."""
    yield _graphml(movies).encode() if suffix == "graphml" else csv_bytes(of_all(movies, _pairs))


def _pairs(movie: Movie) -> Any:
    table, uris = movie.co_presence, uri_of(movie.people)
    table.insert(2, "uri_a", table["person_a"].map(uris))
    table.insert(5, "uri_b", table["person_b"].map(uris))
    return table


def _graphml(movies: Sequence[Movie]) -> str:
    nodes: dict[str, _Values] = {}
    edges: dict[tuple[str, str], _Values] = {}
    for movie in movies:
        ids = _node_ids(movie, several=len(movies) > 1)
        for row in movie.people.to_dict("records"):
            if row["person"] in ids:
                named = {
                    "label": row["name"],
                    "name": row["name"],
                    "uri": row["uri"],
                    "source": row["source"],
                }
                node = nodes.setdefault(ids[row["person"]], {**_NODE, **named})
                node["movies"] = f"{node['movies']} {movie.movie_id}".strip()
                both = node["seconds"] + row["seconds"]
                weighted = node["face_height"] * node["seconds"] + row["face_height"] * row["seconds"]
                node.update(seconds=both, face_height=weighted / both, shots=node["shots"] + row["n_shots"])
        for row in movie.co_presence.to_dict("records"):
            one, other = sorted((ids[row["person_a"]], ids[row["person_b"]]))
            edge = edges.setdefault((one, other), dict(_EDGE))
            edge["weight"] += row["seconds"]
            edge["frames"] += row["frames"]
            edge["shots"] += row["shots"]
    return "".join(_lines(nodes, edges))


def _node_ids(movie: Movie, several: bool) -> dict[str, str]:
    """Return the id of each person's node; actors have the same in all movies."""
    people = movie.people
    people = people[~people["shared"].astype(bool)]
    return {
        person: person if actor == actor or not several else f"{movie.movie_id}:{person}"
        for person, actor in zip(people["person"], people["actor_id"], strict=True)
    }


def _lines(nodes: Mapping[str, _Values], edges: Mapping[tuple[str, str], _Values]) -> Iterator[str]:
    yield _HEAD
    yield from _keys("node", _NODE)
    yield from _keys("edge", _EDGE)
    yield '  <graph id="co-presence" edgedefault="undirected">\n'
    for node, values in nodes.items():
        yield f"    <node id={attribute(node)}>\n{''.join(_data('node', values))}    </node>\n"
    for (one, other), values in edges.items():
        yield f"    <edge source={attribute(one)} target={attribute(other)}>\n"
        yield f"{''.join(_data('edge', values))}    </edge>\n"
    yield "  </graph>\n</graphml>\n"


def _keys(kind: str, values: _Values) -> Iterator[str]:
    """Yield the declarations of the values that a node or an edge has."""
    for name, value in values.items():
        declared = f'for="{kind}" attr.name="{name}" attr.type="{_TYPES[type(value)]}"'
        yield f'  <key id="{kind}_{name}" {declared}/>\n'


def _data(kind: str, values: _Values) -> Iterator[str]:
    for name, value in values.items():
        text = element_text(str(round(value, DECIMALS) if isinstance(value, float) else value))
        yield f'      <data key="{kind}_{name}">{text}</data>\n'
