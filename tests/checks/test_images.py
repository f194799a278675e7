"""Each broken rule of the thumbnails is reported with file and rule."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from facerec.actors.database import ActorDatabase
from facerec.checks.images import _broken_pixel_rule
from facerec.folder.face_archive import open_face_archive
from facerec.folder.layout import MovieFolder
from tests.edits import (
    TRAJECTORIES,
    Violation,
    assert_violates,
    flip_byte,
    remove,
    save_image,
    truncate,
    violations_of,
)

THUMBNAIL = "7:15:21_30_71_90.jpeg"  # of the trajectory on line 1
NOT_CHOSEN = "7:5:25_30_75_90"  # a saved face of the same trajectory without a thumbnail


def third_thumbnail(folder: MovieFolder) -> None:
    """Add the thumbnail of another saved face of the trajectory on line 1."""
    with open_face_archive(folder.path / "faces/faces_7_0-13.zip", 9) as archive:
        folder.thumbnail(NOT_CHOSEN).write_bytes(archive.read(NOT_CHOSEN))


def another_thumbnail(folder: MovieFolder) -> None:
    """Replace a thumbnail of the trajectory on line 1 by that of another saved face."""
    third_thumbnail(folder)
    (folder.images / THUMBNAIL).unlink()


def renamed(to: str, rule: str) -> Violation:
    return lambda folder: (folder.images / THUMBNAIL).rename(folder.images / to), f"images/{to}", None, rule


def added(name: str, rule: str) -> Violation:
    return save_image(name), f"images/{name}", None, rule


VIOLATIONS: dict[str, Violation] = {
    "no images": (remove("images"), "images", None, "this folder must exist"),
    "leading zeros": renamed("7:015:21_30_71_90.jpeg", "leading zeros"),
    "a box with a float": renamed("7:15:21.0_30_71_90.jpeg", "not the name of a thumbnail"),
    "the extension jpg": renamed("7:15:21_30_71_90.jpg", "must be .jpeg"),
    "a thumbnail of another movie": renamed("8:15:21_30_71_90.jpeg", "movie_id 8"),
    "a thumbnail shifted by a pixel": renamed("7:15:22_30_72_90.jpeg", "wrong name: line 1"),
    "a thumbnail of no trajectory": added("7:5:1_1_9_9.jpeg", "no line of trajectories.jsonl has this box"),
    "a thumbnail of an empty box": added("7:5:9_1_9_9.jpeg", "the box in its name is empty"),
    "half a thumbnail's file": (
        truncate(f"images/{THUMBNAIL}", 400),
        f"images/{THUMBNAIL}",
        None,
        "not a readable JPEG",
    ),
    "a large thumbnail": (save_image(THUMBNAIL, (161, 90)), f"images/{THUMBNAIL}", None, "90x161 pixels"),
    "a PNG": (save_image(THUMBNAIL, form="PNG"), f"images/{THUMBNAIL}", None, "not a readable JPEG"),
    "a thumbnail is missing": (
        remove(f"images/{THUMBNAIL}"),
        TRAJECTORIES,
        1,
        "1 of its 4 saved faces have a thumbnail instead of 2",
    ),
    "a third thumbnail": (
        third_thumbnail,
        TRAJECTORIES,
        1,
        "3 of its 4 saved faces have a thumbnail instead of 2",
    ),
    "another thumbnail than the merge chose": (
        another_thumbnail,
        "images",
        None,
        "not those that merge_shards.py wrote",
    ),
    "a changed byte in a thumbnail": (
        flip_byte(f"images/{THUMBNAIL}"),
        f"images/{THUMBNAIL}",
        None,
        "not the thumbnail that its shard saved",
    ),
    "a thumbnail that the merge did not choose": (
        third_thumbnail,
        "images",
        None,
        "not those that merge_shards.py wrote",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_reported_with_file_and_rule(
    violation: Violation, folder: MovieFolder, database: ActorDatabase
) -> None:
    assert_violates(violation, folder, database.folder)


def test_thumbnails_of_an_earlier_version_must_not_stay_in_images(folder: MovieFolder) -> None:
    folder.previous.mkdir()
    assert violations_of(folder.path) == []
    save_image("7:5:1_1_9_9.jpeg")(folder)
    reported = {error.path for error in violations_of(folder.path)}
    assert reported == {folder.images, folder.images / "7:5:1_1_9_9.jpeg"}


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), TypeError("odd"), SyntaxError("odd"), IndexError("odd")]
)
def test_any_exception_of_the_decoder_is_an_unreadable_thumbnail(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(picture: object) -> object:
        raise error

    PIL.Image.new("RGB", (20, 20)).save(tmp_path / "a.jpeg")
    assert _broken_pixel_rule(tmp_path / "a.jpeg") == ""
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    assert _broken_pixel_rule(tmp_path / "a.jpeg") == "not a readable JPEG"
