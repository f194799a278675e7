"""The tables and the graph hold what a viewer would count, and other programs read them."""

from __future__ import annotations

import io
from pathlib import Path

import networkx
import pandas as pd
import pyarrow.parquet as pq
import pytest

import facerec
from facerec.exporting.registry import FORMATS
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name
from tests.merged_folder import HEIGHT
from tests.movie_folder import Shown, movie_folder


def read_csv(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data), keep_default_na=False)


def test_screen_time_is_what_a_viewer_counts(movie: facerec.Movie) -> None:
    table = read_csv(exported([movie], "screen-time", "csv"))
    ada, unknown = table.to_dict("records")
    assert ada == {
        "movie_id": 7, "title": "Film 7", "person": "nm1", "name": "Ada Lovelace", "actor_id": "nm1",
        "uri": URI, "source": "prediction", "probability": "0.9", "shared": False, "clusters": 0,
        "seconds": 1.2, "share": 0.3, "shots": 2, "trajectories": 2, "first": 0, "last": 29, "first_s": 0,
        "last_s": 1.2, "face_height": 90 / HEIGHT, "face_height_px": 90,
    }  # fmt: skip
    assert (unknown["person"], unknown["name"], unknown["source"]) == ("unknown:1", "unknown 1", "none")
    assert (unknown["actor_id"], unknown["uri"], unknown["probability"]) == ("", "", "")
    assert (unknown["seconds"], unknown["shots"]) == (0.8, 2)
    assert (unknown["first_s"], unknown["last_s"]) == (0.4, 2.8)
    assert unknown["face_height_px"] == 135


def test_screen_time_in_parquet_is_the_same_table_and_states_its_clock(movie: facerec.Movie) -> None:
    data = exported([movie], "screen-time", "parquet")
    table = pd.read_parquet(io.BytesIO(data))
    written = read_csv(table.to_csv(index=False).encode())
    assert written.equals(read_csv(exported([movie], "screen-time", "csv")))
    assert table["shared"].dtype == bool and table["shots"].dtype == "int64"
    assert pd.isna(table["probability"][1])
    metadata = pq.read_schema(io.BytesIO(data)).metadata
    assert b"each frame's own presentation time" in metadata[b"times"]


def test_presence_has_frames_and_seconds_of_every_interval(movie: facerec.Movie) -> None:
    table = read_csv(exported([movie], "presence", "csv"))
    columns = ["person", "shot", "begin", "end", "begin_s", "end_s"]
    assert table[columns].to_numpy().tolist() == [
        ["nm1", 0, 0, 20, 0.0, 0.8],
        ["unknown:1", 0, 10, 20, 0.4, 0.8],
        ["nm1", 1, 20, 30, 0.8, 1.2],
        ["unknown:1", 2, 60, 70, 2.4, 2.8],
    ]
    assert table["name"].tolist()[:2] == ["Ada Lovelace", "unknown 1"]
    assert table["uri"].tolist()[:2] == [URI, ""]


def test_seconds_follow_a_variable_frame_rate(tmp_path: Path) -> None:
    pts = [*range(20), *range(20, 20 + 80 * 3, 3)]  # from frame 20 on, a frame lasts three times as long
    movie = open_with_name(tmp_path, "Ada", pts=pts)
    table = read_csv(exported([movie], "presence", "csv"))
    assert table["end_s"].tolist() == [0.8, 0.8, 2.0, (20 + 50 * 3) / 25]
    assert read_csv(exported([movie], "screen-time", "csv"))["seconds"].tolist() == [2.0, 1.6]


def test_pairs_are_those_who_share_a_shot(movie: facerec.Movie) -> None:
    (pair,) = read_csv(exported([movie], "co-presence", "csv")).to_dict("records")
    assert pair == {
        "movie_id": 7, "title": "Film 7", "person_a": "nm1", "name_a": "Ada Lovelace", "uri_a": URI,
        "person_b": "unknown:1", "name_b": "unknown 1", "uri_b": "", "shots": 1, "frames": 10, "seconds": 0.4,
    }  # fmt: skip


def test_networkx_reads_the_graph(movie: facerec.Movie) -> None:
    graph = networkx.parse_graphml(exported([movie], "co-presence", "graphml").decode())
    assert not graph.is_directed()
    assert graph.nodes["nm1"] == {
        "label": "Ada Lovelace", "name": "Ada Lovelace", "uri": URI, "source": "prediction", "movies": "7",
        "seconds": 1.2, "shots": 2, "face_height": 0.25,
    }  # fmt: skip
    assert graph.edges["nm1", "unknown:1"] == {"weight": 0.4, "frames": 10, "shots": 1}
    assert networkx.degree_centrality(graph) == {"nm1": 1, "unknown:1": 1}


def test_a_graph_of_several_movies_joins_actors_and_no_strangers(tmp_path: Path) -> None:
    movies = [open_with_name(tmp_path, "Ada", movie_id) for movie_id in (7, 8)]
    graph = networkx.parse_graphml(exported(movies, "co-presence", "graphml").decode())
    assert set(graph) == {"nm1", "7:unknown:1", "8:unknown:1"}
    assert graph.nodes["nm1"]["movies"] == "7 8" and graph.nodes["nm1"]["seconds"] == 2.4
    assert graph.nodes["nm1"]["face_height"] == 0.25
    assert set(graph["nm1"]) == {"7:unknown:1", "8:unknown:1"} and graph.number_of_edges() == 2
    tables = [read_csv(exported(movies, name, "csv")) for name in ("screen-time", "presence", "co-presence")]
    for table in tables:
        assert set(zip(table["movie_id"], table["title"], strict=True)) == {(7, "Film 7"), (8, "Film 8")}


def test_somebody_who_is_always_alone_is_a_node_and_a_shared_page_is_none(tmp_path: Path) -> None:
    shown = [Shown(0, 0, 10), Shown(1, 20, 30), Shown(2, 0, 30, x=200)]
    movie = facerec.open_movie(movie_folder(tmp_path, shown, cuts=[20], poor_pages=[2]).path)
    graph = networkx.parse_graphml(exported([movie], "co-presence", "graphml").decode())
    assert set(graph) == {"unknown:0", "unknown:1"} and not graph.edges
    table = read_csv(exported([movie], "screen-time", "csv"))
    assert table[["name", "shared"]].to_numpy().tolist()[-1] == ["unknown 2", True]


def test_hostile_names_come_back_as_they_were(tmp_path: Path) -> None:
    movie = open_with_name(tmp_path, HOSTILE)
    for name in ("screen-time", "presence"):
        assert read_csv(exported([movie], name, "csv"))["name"][0] == WRITTEN
    assert read_csv(exported([movie], "co-presence", "csv"))["name_a"].tolist() == [WRITTEN]
    table = pd.read_parquet(io.BytesIO(exported([movie], "screen-time", "parquet")))
    assert table["name"][0] == WRITTEN
    graph = networkx.parse_graphml(exported([movie], "co-presence", "graphml").decode())
    assert graph.nodes["nm1"]["name"] == WRITTEN.removesuffix("\ufffe")  # XML cannot hold this character


@pytest.mark.parametrize(
    ("name", "suffix"),
    [(one.name, suffix) for one in FORMATS.values() if one.joint for suffix in one.suffixes],
)
def test_a_film_without_faces_gives_an_empty_table(tmp_path: Path, name: str, suffix: str) -> None:
    data = exported([facerec.open_movie(movie_folder(tmp_path, []).path)], name, suffix)
    if suffix == "graphml":
        assert len(networkx.parse_graphml(data.decode())) == 0
    else:
        table = pd.read_parquet(io.BytesIO(data)) if suffix == "parquet" else read_csv(data)
        assert len(table) == 0 and "person" in "".join(table.columns)
