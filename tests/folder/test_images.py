"""The digest of images/ stays the same between releases, and covers every file there."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np

from facerec.folder.images import locate_faces, thumbnail_hashes, thumbnail_tags, thumbnails_digest
from facerec.folder.layout import MovieFolder
from facerec.folder.records import Trajectory


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    assert thumbnail_hashes(folder) == {}
    folder.create()
    (folder.images / "a.jpg").write_bytes(b"a")
    (folder.images / "link.jpg").symlink_to("a.jpg")
    (folder.images / "broken.jpg").symlink_to("nothing")
    (folder.images / "folder").mkdir()
    (folder.images / "linked").symlink_to("folder")
    assert thumbnail_hashes(folder) == {
        "a.jpg": sha256(b"a").hexdigest(),
        "link.jpg": "",
        "broken.jpg": "",
        "linked": "",
    }


def test_the_thumbnails_of_a_trajectory_are_those_in_the_folder_by_frame(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    boxes = np.array([[1, 2, 30, 40], [2, 2, 31, 40], [3, 2, 32, 40]])
    trajectories = [
        Trajectory(index, 7, start, boxes, np.ones(3, bool), 320, 180) for index, start in ((0, 9), (1, 50))
    ]
    assert thumbnail_tags(folder, trajectories) == {0: (), 1: ()}
    folder.create()
    for tag in ("7:11:3_2_32_40", "7:9:1_2_30_40", "7:10:1_2_30_40", "8:10:2_2_31_40"):
        (folder.images / f"{tag}.jpeg").touch()
    assert thumbnail_tags(folder, trajectories) == {0: ("7:9:1_2_30_40", "7:11:3_2_32_40"), 1: ()}


def test_a_face_is_located_in_the_archive_of_the_shard_that_owns_its_frame(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    saved = [(9, 1, 2, 3, 4), (0, 1, 2, 3, 4), (10, 1, 2, 3, 4), (4, 1, 2, 3, 4), (10, 5, 6, 7, 8)]
    found = locate_faces(folder, [(0, 5), (5, 10), (10, 20)], saved, [saved[4], saved[0], saved[2]])
    assert [(one.archive, one.saved, one.tags) for one in found] == [
        (folder.shard(0, 5).faces, 2, []),
        (folder.shard(5, 10).faces, 1, ["7:9:1_2_3_4"]),
        (folder.shard(10, 20).faces, 2, ["7:10:1_2_3_4", "7:10:5_6_7_8"]),
    ]


def test_the_digest_is_that_of_names_and_hashes_in_order_of_name() -> None:
    """Manifests of earlier releases record it."""
    expected = sha256(b"a.jpg\0aa\nb.jpg\0bb\n").hexdigest()
    assert thumbnails_digest({"b.jpg": "bb", "a.jpg": "aa"}) == expected
