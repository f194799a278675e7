"""The digest of images/ stays the same between releases, and covers every file there."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from facerec.folder.images import thumbnail_hashes, thumbnails_digest
from facerec.folder.layout import MovieFolder


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    assert thumbnail_hashes(folder) == {}
    folder.create()
    (folder.images / "a.jpg").write_bytes(b"a")
    (folder.images / "link.jpg").symlink_to("a.jpg")
    (folder.images / "broken.jpg").symlink_to("nothing")
    (folder.images / "folder").mkdir()
    assert thumbnail_hashes(folder) == {
        "a.jpg": sha256(b"a").hexdigest(),
        "link.jpg": "",
        "broken.jpg": "",
    }


def test_the_digest_is_that_of_names_and_hashes_in_order_of_name() -> None:
    """Manifests of earlier releases record it."""
    expected = sha256(b"a.jpg\0aa\nb.jpg\0bb\n").hexdigest()
    assert thumbnails_digest({"b.jpg": "bb", "a.jpg": "aa"}) == expected
