"""A valid movie folder and actor database, of which every test breaks its own copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facerec.actors.database import ActorDatabase
from facerec.folder.layout import MovieFolder
from tests.folders import make_cast, make_folder


@pytest.fixture(scope="session")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a valid movie folder and actor database; tests only copy it."""
    out = tmp_path_factory.mktemp("valid")
    make_folder(out)
    make_cast(out / "actor_db")
    return out


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> MovieFolder:
    shutil.copytree(valid, tmp_path, dirs_exist_ok=True)
    return MovieFolder(tmp_path / "7-data")


@pytest.fixture
def database(folder: MovieFolder) -> ActorDatabase:
    return ActorDatabase(folder.path.parent / "actor_db")
