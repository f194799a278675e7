"""The gallery holds the usable pictures of a cast; rows that cannot be used are errors with file and line."""

from __future__ import annotations

import json
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.errors import ContractError, FacerecError, InputError

ACTORS = [("1", "nm01", "Ada"), ("1", "nm1", "Bob"), ("2", "nm01", "A. Lovelace"), ("2", "nm3", "Cy")]
IMAGES = [
    ("nm01", "1", "ada.jpg"),
    ("nm01", "2", "ada2.jpg"),
    ("nm1", "1", "bob.jpg"),
    ("nm3", "2", "cy.jpg"),
]


def line_of(image: str, *vectors: list[float]) -> str:
    return json.dumps({"image": image, "n": len(vectors), "faces": [{"vector": v} for v in vectors]})


LINES = [
    line_of("cy.jpg", [0, 1, 0]),
    line_of("bob.jpg", [0, 0, 2]),
    line_of("ada.jpg", [3, 0, 0]),
    line_of("ada2.jpg", [3, 4, 0]),
]


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    return make(tmp_path / "actor_db")


def make(folder: Path) -> ActorDatabase:
    folder.mkdir(exist_ok=True)
    db = ActorDatabase(folder)
    rows = [f"{movie},Film,1999,{actor},{name},himself,1970,Rome" for movie, actor, name in ACTORS]
    db.actors.write_text("\n".join([",".join(ACTOR_COLUMNS), *rows]) + "\n", encoding="utf-8")
    rows = [",".join(row) + ",1" for row in IMAGES]
    db.images.write_text("\n".join(["actor_id,movie_id,filename,n_detections", *rows]), encoding="utf-8")
    db.embeddings.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return db


def append(path: Path, *lines: str) -> None:
    path.write_text(
        path.read_text(encoding="utf-8").rstrip("\n") + "\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )


def test_gallery_has_the_movies_cast_with_pictures_from_any_movie(database: ActorDatabase) -> None:
    gallery = database.gallery(1, 3)
    assert gallery.actors == ("nm01", "nm1")  # not nm3; "nm01" and "nm1" are two people
    assert gallery.images == ("ada.jpg", "ada2.jpg", "bob.jpg")
    assert gallery.actor_of.tolist() == [0, 0, 1]
    np.testing.assert_allclose(gallery.vectors, [[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], atol=1e-6)
    assert database.gallery(None).actors == ("nm01", "nm1", "nm3")


@pytest.mark.parametrize("claim", ["nm3,2,ada.jpg,1", "nobody,7,ada.jpg,1"])
def test_picture_of_two_actors_is_not_used(database: ActorDatabase, claim: str) -> None:
    append(database.images, claim)
    assert database.gallery(1).images == ("ada2.jpg", "bob.jpg")


def test_picture_listed_for_two_movies_of_one_actor_is_used(database: ActorDatabase) -> None:
    append(database.images, "nm01,2,ada.jpg,1")
    assert "ada.jpg" in database.gallery(1).images


def test_pictures_with_several_or_no_faces_are_not_used(database: ActorDatabase) -> None:
    append(database.images, "nm01,1,group.jpg,2", "nm01,1,empty.jpg,0")
    append(database.embeddings, line_of("group.jpg", [1, 0, 0], [0, 1, 0]), line_of("empty.jpg"))
    assert "group.jpg" not in (images := database.gallery(1).images)
    assert "empty.jpg" not in images


def test_movie_without_actors_has_an_empty_gallery(database: ActorDatabase) -> None:
    gallery = database.gallery(3, 3)
    assert (gallery.actors, gallery.vectors.shape) == ((), (0, 3))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("not json", "not valid JSON"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[NaN,0,1]}]}', "NaN"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[1e999,0,1]}]}', "not valid JSON|too large"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[null,0,1]}]}', "list of numbers"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[true,0,1]}]}', "list of numbers"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[0,0,0]}]}', "all zero"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[0,1]}]}', "2 numbers instead of 3"),
        ('{"image":"x.jpg","n":1,"faces":[{"vector":[]}]}', "0 numbers"),
        ('{"image":"x.jpg","n":2,"faces":[{"vector":[0,0,1]}]}', '"n" must be'),
        ('{"image":"x.jpg","n":true,"faces":[{"vector":[0,0,1]}]}', '"n" must be'),
        ('{"image":7,"n":0,"faces":[]}', "must be a file name"),
        ('{"image":"../x.jpg","n":0,"faces":[]}', "inside"),
        ('{"image":"x.jpg","n":0}', "must be an object"),
        ('{"image":"ada.jpg","n":1,"faces":[{"vector":[0,0,1]}]}', "duplicate"),
        ('{"image":"' + "x" * (9 << 20) + '","n":0,"faces":[]}', "more than"),
    ],
)
def test_invalid_line_of_embeddings_is_refused_by_line(database: ActorDatabase, line: str, rule: str) -> None:
    append(database.embeddings, line)
    with pytest.raises(ContractError, match=rule) as caught:
        database.gallery(1)
    assert caught.value.line == len(LINES) + 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(database.embeddings))


def test_embeddings_of_another_dimension_than_the_films_are_refused(database: ActorDatabase) -> None:
    with pytest.raises(ContractError, match="3 numbers instead of 512"):
        database.gallery(1, 512)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("1,Film,1999,,Nobody,x,1970,Rome", "1 to 64 characters"),
        (f"1,Film,1999,{'n' * 65},Nobody,x,1970,Rome", "1 to 64 characters, not 65"),
        ("1.0,Film,1999,nm9,Nobody,x,1970,Rome", "movie_id"),
        ("2147483648,Film,1999,nm9,Nobody,x,1970,Rome", "movie_id"),
        ("1,Film,1999,nm01,Somebody else,x,1970,Rome", "duplicate"),
    ],
)
def test_invalid_row_of_actors_is_refused_by_line(database: ActorDatabase, row: str, rule: str) -> None:
    append(database.actors, row)
    with pytest.raises(ContractError, match=rule) as caught:
        database.gallery(1)
    assert caught.value.line == len(ACTORS) + 2


@pytest.mark.parametrize("column", ACTOR_COLUMNS)
def test_missing_column_of_actors_is_named(database: ActorDatabase, column: str) -> None:
    header = ",".join(ACTOR_COLUMNS)
    database.actors.write_text(
        database.actors.read_text(encoding="utf-8").replace(
            header, f",{header},".replace(f",{column},", ",x,").strip(",")
        ),
        encoding="utf-8",
    )
    with pytest.raises(ContractError, match=f"lacks the column {column}"):
        database.gallery(1)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../x.jpg", "a/../../x.jpg", "..", "a\\b.jpg", "a\0.jpg", "", "x" * 256]
)
def test_picture_name_cannot_lead_out_of_the_folder(database: ActorDatabase, name: str) -> None:
    with pytest.raises(ContractError, match="inside"):
        database.picture(name)


def test_embeddings_of_another_embedder_are_refused_with_both_names(
    database: ActorDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    film = {"kind": "dlib", "sha256": "aa" * 32, "dimension": 3}
    with caplog.at_level(logging.WARNING):
        database.check_embedder(film, Path("1-data"))
    assert "only the dimension is compared" in caplog.text
    meta = {"embedder": {**film, "weights": "w.dat"}, "detector": {"kind": "mtcnn"}}
    database.embeddings_meta.write_text(json.dumps(meta), encoding="utf-8")
    database.check_embedder(film, Path("1-data"))
    for other in ({"kind": "arcface"}, {"sha256": "bb" * 32}, {"dimension": 4}):
        with pytest.raises(InputError, match=r"made with dlib \(3-d.*but 1-data with"):
            database.check_embedder({**film, **other}, Path("1-data"))
    for damaged in ("{", "[]", '{"embedder":{"kind":"dlib"}}'):
        database.embeddings_meta.write_text(damaged, encoding="utf-8")
        with pytest.raises(ContractError):
            database.check_embedder(film, Path("1-data"))


def test_memory_grows_with_the_cast_not_with_the_table(database: ActorDatabase) -> None:
    with (
        database.actors.open("a", encoding="utf-8") as actors,
        database.images.open("a", encoding="utf-8") as images,
    ):
        images.write("\n")
        for i in range(9_000):
            actors.write(f"{i + 10},Film,1999,x{i},Name {i},role,1970,Rome\n")
            images.write(f"x{i},{i + 10},x{i}.jpg,1\n")
    list(database.read_embeddings())  # imports what it needs
    tracemalloc.start()
    try:
        assert database.gallery(1).actors == ("nm01", "nm1")
        assert tracemalloc.get_traced_memory()[1] < 300_000  # the rows alone are 700 kB as text
    finally:
        tracemalloc.stop()


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["image", "n", "faces", "vector"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    record=json_like
    | st.fixed_dictionaries({"image": st.just("ada.jpg"), "n": st.integers(0, 2), "faces": json_like})
)
def test_any_json_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, record: object
) -> None:
    database = make(tmp_path_factory.getbasetemp() / "fuzz_db")
    database.embeddings.write_text(json.dumps(record), encoding="utf-8")
    try:
        gallery = database.gallery(1)
    except FacerecError as error:
        assert "\n" not in str(error)
        return
    np.testing.assert_allclose(np.linalg.norm(gallery.vectors, axis=1), 1, atol=1e-5)
