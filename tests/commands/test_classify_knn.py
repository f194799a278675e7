"""classify_knn.py writes a valid file for every database, and refuses one of another embedder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facerec import cluster, evaluate
from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.classify_knn import main
from facerec.folder.documents import DISPLAY_THRESHOLD, read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, write_manifest
from facerec.support.atomic import sha256_of
from tests.merged_folder import EMBEDDER, HEIGHT, WIDTH, Seen, merged_folder, person

FILM = [Seen(0, 0), Seen(1, 0, x=200), Seen(0, 30), Seen(2, 60), Seen(3, 100, sharpness=1.0)]


def actor_db(
    folder: Path, cast: Mapping[str, int], movie: int = 7, meta: Mapping[str, Any] | None = None
) -> ActorDatabase:
    """A database with one picture of each actor; `cast` gives the person of each actor id."""
    folder.mkdir()
    db = ActorDatabase(folder)
    rows = [f"{movie},Film,1999,{actor},Name {actor},role,1970,Rome" for actor in cast]
    db.actors.write_text("\n".join([",".join(ACTOR_COLUMNS), *rows]), encoding="utf-8")
    rows = [f"{actor},{movie},{actor}.jpg,1" for actor in cast]
    db.images.write_text("\n".join(["actor_id,movie_id,filename,n_detections", *rows]), encoding="utf-8")
    lines = [
        json.dumps({"image": f"{actor}.jpg", "n": 1, "faces": [{"vector": person(who).tolist()}]})
        for actor, who in cast.items()
    ]
    db.embeddings.write_text("\n".join(lines), encoding="utf-8")
    db.embeddings_meta.write_text(json.dumps({"embedder": meta or EMBEDDER}), encoding="utf-8")
    return db


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    made = merged_folder(tmp_path, FILM, cuts=[30, 60, 100])
    assert cluster.main(["--path", str(made.path)]) == 0
    return made


def run(folder: MovieFolder, db: ActorDatabase, *options: str) -> int:
    return main(["--path", str(folder.path), "--actor-db", str(db.folder), *options])


def names_of(folder: MovieFolder) -> dict[int, dict[str, float]]:
    return read_predictions(folder.predictions, folder.movie_id, 4)


def test_pictures_near_the_year_of_the_film_count_more(folder: MovieFolder, tmp_path: Path) -> None:
    """Person 0 has a picture of the film's year and five of another face, forty years later."""
    db = actor_db(tmp_path / "db", {"nm01": 0, "nm02": 2})
    later = [f"later{i}.jpg" for i in range(5)]
    rows = ["nm01,7,nm01.jpg,1,1999", *(f"nm01,7,{name},1,2039" for name in later), "nm02,7,nm02.jpg,1,"]
    lines = [json.dumps({"image": name, "n": 1, "faces": [{"vector": person(9).tolist()}]}) for name in later]
    db.embeddings.write_text(db.embeddings.read_text() + "\n" + "\n".join(lines))

    def probability(header: str, *options: str) -> float:
        cells = rows if "year" in header else [row.rpartition(",")[0] for row in rows]
        db.images.write_text("\n".join([header, *cells]))
        assert run(folder, db, *options) == 0
        return names_of(folder)[0].get("nm01", 0.0)

    undated = probability("actor_id,movie_id,filename,n_detections")
    dated = probability("actor_id,movie_id,filename,n_detections,year")
    assert dated > undated > 0
    recorded = read_manifest(folder)["stages"]["classify_knn"]["settings"]
    assert recorded["year_half_life"] == 20
    off = probability("actor_id,movie_id,filename,n_detections,year", "--year-half-life", "inf")
    assert off == pytest.approx(undated)
    db.actors.write_text(db.actors.read_text().replace("1999", "about 2000"))
    assert probability("actor_id,movie_id,filename,n_detections,year") == pytest.approx(undated)


def test_only_people_of_the_cast_are_named(folder: MovieFolder, tmp_path: Path) -> None:
    db = actor_db(tmp_path / "db", {"nm01": 0, "1": 2, "absent": 9})
    assert run(folder, db) == 0
    names = names_of(folder)
    assert names[0].keys() == {"nm01"} and names[0]["nm01"] > DISPLAY_THRESHOLD
    assert names[1] == {}  # person 1 is in no database
    assert names[2].keys() == {"1"}
    assert names[3] == {}  # too blurred to compare


def test_page_that_poor_trajectories_share_never_has_a_name(folder: MovieFolder, tmp_path: Path) -> None:
    """Whatever is on it: the list in the manifest counts, not a second reckoning of qualities."""
    manifest = read_manifest(folder)
    assert manifest["stages"]["cluster"]["report"]["poor_pages"] == [3]
    manifest["stages"]["cluster"]["report"]["poor_pages"] = [0, 3]
    write_manifest(folder, manifest)
    assert run(folder, actor_db(tmp_path / "db", {"nm01": 0, "1": 2})) == 0
    names = names_of(folder)
    assert names[0] == names[3] == {} and names[2].keys() == {"1"}


def test_a_missing_database_is_reported_before_anything_about_its_contents(
    folder: MovieFolder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(folder, ActorDatabase(tmp_path / "nowhere")) == 1
    assert "actors.csv: no such file; give the actor database with --actor-db" in capsys.readouterr().err
    assert not caplog.messages


def test_the_manifest_records_the_cast_so_that_evaluate_needs_no_database(
    folder: MovieFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm01": 0, "1": 2})
    assert run(folder, db) == 0
    truth = tmp_path / "truth.csv"
    name = db.cast(folder.movie_id)["nm01"]
    truth.write_text(f"frame,track,x,y,w,h,identity\n5,t,{FILM[0].x},10,100,100,{name}\n")
    monkeypatch.chdir(tmp_path)  # there is no actor_db here
    argv = ["--path", str(folder.path), "--truth", str(truth)]
    assert evaluate.main(argv) == 0
    scores = capsys.readouterr()
    figures = json.loads(scores.out[scores.out.index("{") :])
    assert (figures["right"], figures["wrong"]) == (1, 0) and "--actor-db" not in scores.err
    manifest = json.loads(folder.manifest.read_bytes())
    del manifest["stages"]["classify_knn"]["report"]["cast"]
    folder.manifest.write_text(json.dumps(manifest))
    assert evaluate.main(argv) == 0
    assert re.search("2 predicted actors have no known name.*--actor-db", capsys.readouterr().err)


@pytest.mark.parametrize("cast", [{}, {"nm1": 9}, {"nm1": 9, "nm2": 10}])
def test_an_empty_or_unseen_cast_gives_a_valid_file_without_names(
    folder: MovieFolder, tmp_path: Path, cast: dict[str, int]
) -> None:
    assert run(folder, actor_db(tmp_path / "db", cast)) == 0
    assert json.loads(folder.predictions.read_bytes()) == {
        "movie_id": 7, "predictions": {"0": {}, "1": {}, "2": {}, "3": {}},
    }  # fmt: skip


def test_actors_of_another_movie_are_ignored(folder: MovieFolder, tmp_path: Path) -> None:
    assert run(folder, actor_db(tmp_path / "db", {"nm1": 0}, movie=8)) == 0
    assert not any(names_of(folder).values())


def test_a_film_without_faces_has_no_names(tmp_path: Path) -> None:
    made = merged_folder(tmp_path, [])
    assert cluster.main(["--path", str(made.path)]) == 0
    assert run(made, actor_db(tmp_path / "db", {"nm1": 0})) == 0
    assert made.predictions.read_bytes() == b'{"movie_id":7,"predictions":{}}'


def test_a_database_of_another_embedder_is_refused_and_both_are_named(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0}, meta={**EMBEDDER, "kind": "other", "sha256": "cd" * 32})
    assert run(folder, db) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "other" in error and "toy" in error
    assert not folder.predictions.exists()


def test_a_database_without_an_embedder_on_record_needs_the_same_dimension(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0})
    db.embeddings_meta.unlink()
    assert run(folder, db) == 0
    line = json.dumps({"image": "nm1.jpg", "n": 1, "faces": [{"vector": [1.0, 0.0]}]})
    db.embeddings.write_text(line, encoding="utf-8")
    assert run(folder, db) == 1
    assert "2 numbers instead of 16" in capsys.readouterr().err


def test_actors_without_a_usable_picture_are_named_one_a_line(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0, "nm2": 2, "nm3": 3})
    lines = db.embeddings.read_text().splitlines()
    db.embeddings.write_text("\n".join([lines[0], '{"image": "nm2.jpg", "n": 0, "faces": []}', lines[2]]))
    with db.actors.open("a") as table:
        table.write("\n7,Film,1999,nm4,Bob,role,1970,Rome\n8,Film,1999,nm5,Eve,role,1970,Rome\n")
    assert run(folder, db) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "cannot be named" in line]
    assert len(said) == 2
    assert "movie 7: no usable picture of Name nm2 (nm2): cannot be named" in said[0]
    assert "movie 7: no usable picture of Bob (nm4): cannot be named" in said[1]


@pytest.mark.parametrize("cast", [["0592225"], ["0592225", "12"], ["NA", "nm1"], ["1e5"], ["nm1", "null"]])
def test_ids_that_the_backend_reads_as_numbers_or_empty_are_refused_with_the_remedy(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], cast: list[str]
) -> None:
    db = actor_db(tmp_path / "db", {actor: i for i, actor in enumerate(cast)})
    assert run(folder, db) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "actors.csv:" in error and " in the labeling backend" in error
    assert "put letters before it in every table" in error
    assert not folder.predictions.exists()
    named = actor_db(tmp_path / "named", {f"nm{actor}": i for i, actor in enumerate(cast)})
    assert run(folder, named) == 0


def test_wrong_or_missing_display_size_is_said_with_the_row_to_paste(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0})
    header = "filename,display_width,display_height\n"
    for row, said in (
        ("7-film.mp4,16,9", f"replace the row by: 7-film.mp4,{WIDTH},{HEIGHT}"),
        ("8-film.mp4,16,9", "no row for a film of movie 7"),
        (f"7-film.mp4,{WIDTH},{HEIGHT}", ""),
    ):
        db.aspect_ratios.write_text(f"{header}{row}\n")
        assert run(folder, db) == 0
        error = capsys.readouterr().err
        assert said in error and (said != "") == ("aspect_ratios" in error)


def test_names_learnt_after_publishing_replace_the_old_ones_which_are_kept(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, actor_db(tmp_path / "db", {"nm1": 0})) == 0
    assert "Restart" not in capsys.readouterr().err  # nothing was published before
    old, clusters = folder.predictions.read_bytes(), folder.clusters.read_bytes()
    assert run(folder, actor_db(tmp_path / "other", {"nm1": 0, "nm2": 2})) == 0
    said = capsys.readouterr().err
    assert "cluster ids and trajectory indices are the same" in said
    assert "Restart the labeling backend" in said
    assert folder.predictions.read_bytes() != old and folder.clusters.read_bytes() == clusters
    (kept,) = folder.previous.iterdir()
    assert (kept / "predictions.json").read_bytes() == old


def test_movie_without_rows_in_the_cast_has_its_own_message(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0})
    db.actors.write_text(db.actors.read_text().replace(f"\n{folder.movie_id},", "\n4711,"))
    assert run(folder, db) == 0
    said = capsys.readouterr().err
    assert (
        f"actors.csv has no row for movie {folder.movie_id}" in said
        and "add its cast: make add-movie MOVIE=7 " in said
        and "--name TITLE --year YEAR" in said
    )
    assert "usable picture" not in said


def test_files_changed_since_they_were_embedded_give_a_warning(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0, "nm2": 2})
    db.pictures.mkdir()
    for name in ("nm1.jpg", "nm2.jpg"):
        db.picture(name).write_bytes(name.encode())
    meta = {
        "embedder": EMBEDDER,
        "embeddings_sha256": sha256_of(db.embeddings),
        "pictures": {name: sha256_of(db.picture(name)) for name in ("nm1.jpg", "nm2.jpg")},
    }
    db.embeddings_meta.write_text(json.dumps(meta))
    assert run(folder, db) == 0 and "changed since" not in capsys.readouterr().err
    db.picture("nm2.jpg").write_bytes(b"another")
    assert run(folder, db) == 0
    assert "db: nm2.jpg changed since prepare_actors.py ran; run it again" in capsys.readouterr().err
    db.embeddings.write_text(db.embeddings.read_text() + "\n")
    assert run(folder, db) == 0
    assert "db: actor_embeddings.jsonl, nm2.jpg changed since" in capsys.readouterr().err


def test_pictures_without_an_embedding_give_a_warning(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = actor_db(tmp_path / "db", {"nm1": 0})
    db.images.write_text(db.images.read_text() + "\nnm1,7,new.jpg,1\nnm9,7,unlisted.jpg,1\n")
    assert run(folder, db) == 0
    assert "no line for 1 picture of the cast (new.jpg); run prepare_actors.py" in capsys.readouterr().err


def test_clusters_made_from_another_merge_are_refused(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clusters = folder.clusters.read_bytes()
    merged_folder(tmp_path, FILM[:-1], overwrite=True)
    folder.clusters.write_bytes(clusters)
    assert run(folder, actor_db(tmp_path / "db", {"nm1": 0})) == 1
    assert "cluster.py" in capsys.readouterr().err
    assert not folder.predictions.exists()
