"""A movie is added whole or not at all; nothing that is there is lost; a second run changes nothing."""

from __future__ import annotations

import json
import shlex
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from facerec import add_movie
from facerec.actors import addition
from facerec.actors.aspect_ratios import read_aspect_rows
from facerec.actors.database import ActorDatabase
from facerec.actors.embed import prepare
from facerec.checks.actors import DatabaseCheck
from facerec.checks.violations import Violations
from facerec.models.weights import CATALOGUE
from facerec.settings import GallerySettings
from facerec.support.cli import run_main
from facerec.support.shell import BY_LAUNCHER
from tests.commands.test_prepare_actors import Blocks, Colour
from tests.films import make_film

MOVIE = 12345
CAST = "name,role,birthday\nGrace Hopper,Admiral,1906-12-09\nJosé García,Wirt,\nAda King,,1815\n"
ACTORS = (
    '\ufeffmovie_id,"movie_name",movie_year,id,name,role,birthday,birthplace,note\r\n'
    '7,"Other, the Film",1950,grace-hopper,Grace Hopper,"Self",09.12.1906,"New York, USA","by hand"\r\n'
    "\r\n"
    "12345,Cool Movie Film,1998,ada,ada king,unknown,,London,\r\n"
)
IMAGES = 'actor_id,movie_id,filename,n_detections,source\r\n"ada",12345,ada.png,1,"archive ""B"""\r\n'
SIZES = "filename,display_width,display_height\n7-Other.mp4,640,360"


def photograph(path: Path, shade: int, orientation: int = 1, size: tuple[int, int] = (40, 30)) -> Path:
    """A picture with one bright corner, top left as it is stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), shade, np.uint8)
    pixels[:10, :10] = 255
    picture = PIL.Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(path, **({"exif": exif} if orientation != 1 else {}))
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database by hand, a cast list, pictures and a film."""
    monkeypatch.chdir(tmp_path)
    database = ActorDatabase("db")
    database.pictures.mkdir(parents=True)
    database.actors.write_bytes(ACTORS.encode())
    database.images.write_bytes(IMAGES.encode())
    database.aspect_ratios.write_bytes(SIZES.encode())
    photograph(database.pictures / "ada.png", 9)
    Path("cast.csv").write_text(CAST)
    photograph(Path("pictures/Grace Hopper/one.jpg"), 10)
    photograph(Path("pictures/jose\u0301_garcia 1984.png"), 20)
    photograph(Path("pictures/Somebody Else.png"), 30)
    Path("films").mkdir()
    make_film(Path("films/Cool Movie Film (1998).mkv"), frames=5)
    return tmp_path


def run(*words: str, movie: int = MOVIE) -> int:
    return run_main(add_movie.main, ["--movie", str(movie), "--actor-db", "db", *words])


ALL = ("--name", "Cool Movie Film", "--year", "1998", "--cast", "cast.csv", "--pictures", "pictures",
       "--film", "films/Cool Movie Film (1998).mkv")  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_rows_and_pictures_are_added_and_nothing_else_changes(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(place)
    monkeypatch.setenv("FACEREC_WEIGHTS", str(place / "no weights"))
    assert run(*ALL, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert files(place) == before
    assert "+12345,Cool Movie Film,1998,jose-garcia,José García,Wirt,,," in shown
    assert "-12345,Cool Movie Film,1998,ada,ada king,unknown,,London," in shown
    assert "+12345,Cool Movie Film,1998,ada,ada king,unknown,1815,London," in shown
    assert "copy pictures/Grace Hopper/one.jpg -> db/actor_images/grace-hopper-" in shown
    assert "link films/Cool Movie Film (1998).mkv -> films/12345-CoolMovieFilm.mkv" in shown

    assert run(*ALL) == 0
    output = capsys.readouterr()
    assert "3 people, 2 of them new; 1 row filled; 2 pictures, 2 of them new; link" in output.out
    assert output.out.endswith("prepare_actors.py --actor-db db --detector mtcnn --embedder dlib\n"), (
        "next: …"
    )
    database = ActorDatabase("db")
    assert database.actors.read_bytes().decode() == (
        ACTORS.replace("unknown,,London", "unknown,1815,London")
        + '12345,Cool Movie Film,1998,grace-hopper,Grace Hopper,Admiral,09.12.1906,"New York, USA",\r\n'
        + "12345,Cool Movie Film,1998,jose-garcia,José García,Wirt,,,\r\n"
    )
    header, ada, *new = database.images.read_bytes().decode().splitlines()
    assert header == "actor_id,movie_id,filename,n_detections,source,year"
    assert ada == '"ada",12345,ada.png,1,"archive ""B""",'
    assert [(row.split(",")[0], row.split(",")[-1]) for row in new] == [
        ("grace-hopper", ""),
        ("jose-garcia", "1984"),
    ]
    assert database.aspect_ratios.read_text() == SIZES + "\n12345-CoolMovieFilm.mkv,160,120\n"
    link = Path("films/12345-CoolMovieFilm.mkv")
    assert link.is_symlink() and link.readlink() == Path("Cool Movie Film (1998).mkv")
    after = files(place)
    assert {name: after[name] for name in before if name[:3] != "db/"} == {
        name: content for name, content in before.items() if name[:3] != "db/"
    }

    stamps = {path: path.lstat().st_mtime_ns for path in place.rglob("*") if path.name != ".lock"}
    assert run(*ALL) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*") if path.name != ".lock"} == stamps


@pytest.mark.parametrize(
    ("weights", "made", "given", "models"),
    [
        ((), None, (), " DETECTOR=mtcnn EMBEDDER=dlib"),
        (("retinaface", "facenet"), None, (), ""),
        ((), ("yunet", "facenet"), (), " DETECTOR=yunet EMBEDDER=facenet"),
        ((), ("yunet", "facenet"), ("--embedder", "dlib"), " DETECTOR=yunet EMBEDDER=dlib"),
    ],
)
def test_the_next_command_has_the_models_that_it_needs(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    weights: tuple[str, ...],
    made: tuple[str, str] | None,
    given: tuple[str, ...],
    models: str,
) -> None:
    monkeypatch.setenv("FACEREC_WEIGHTS", str(place / "weights"))
    monkeypatch.setenv(BY_LAUNCHER, "1")
    for name in (name for kind in weights for name in CATALOGUE[kind].files):
        Path("weights").mkdir(exist_ok=True)
        Path("weights", name).touch()
    if made:
        cards = {"detector": {"kind": made[0]}, "embedder": {"kind": made[1], "sha256": "ab", "dimension": 8}}
        ActorDatabase("db").embeddings_meta.write_text(json.dumps(cards))
    assert run(*ALL, *given) == 0
    assert capsys.readouterr().out.endswith(f"; next: make prepare ACTOR_DB=db{models}\n")


def test_the_labeling_backend_accepts_what_is_written(place: Path) -> None:
    """Prepared with toy models; a role that pandas reads as an empty cell is not written."""
    shutil.rmtree("db")
    Path("cast.csv").write_text("name,role,imdb\nGrace Hopper,NA,nm0000001\nJosé García,<NA>,\n50 Cent,,\n")
    assert run(*ALL) == 0
    database, detector, embedder = ActorDatabase("db"), Blocks(), Colour()
    prepare(database, (detector.card, embedder.card), lambda: (detector, embedder), GallerySettings())
    violations = Violations([database.actors, database.images, database.aspect_ratios])
    check = DatabaseCheck(database, [MOVIE], violations)
    cast = check.check_movie(MOVIE, "12345-CoolMovieFilm.mkv", (160, 120))
    assert not violations.kept and cast is not None
    assert list(cast) == ["nm0000001", "jose-garcia", "p-50-cent"]
    assert {row["role"] for _, _, row in database.read_actors()} == {"unknown"}


def test_a_picture_that_was_lost_is_copied_again_and_is_to_be_prepared(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ALL) == 0
    (lost,) = ActorDatabase("db").pictures.glob("grace-hopper-*")
    lost.unlink()
    capsys.readouterr()
    assert run(*ALL) == 0
    assert lost.is_file() and "; next: " in capsys.readouterr().out


def test_files_are_found_in_the_form_of_unicode_that_they_have_on_disk(place: Path) -> None:
    """A folder from a Mac has decomposed names; people type composed ones."""
    shelf = Path("e\u0301te\u0301")
    shelf.mkdir()
    Path("films/Cool Movie Film (1998).mkv").rename(shelf / "le\u0301o.mkv")
    Path("cast.csv").rename(shelf / "no\u0308te.csv")
    Path("pictures").rename(shelf / "poru\u0308")
    words = (
        "--name",
        "Cool Movie Film",
        "--year",
        "1998",
        "--cast",
        "été/nöte.csv",
        "--pictures",
        "été/porü",
    )
    assert run(*words, "--film", "été/léo.mkv", "--films", "films") == 0
    assert Path("films/12345-CoolMovieFilm.mkv").is_file()
    assert len([*ActorDatabase("db").read_images()]) == 3


def test_a_new_database_is_made_whole(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("db")
    assert run(*ALL, "--dry-run") == 0 and not Path("db").exists()
    assert run(*ALL) == 0
    database = ActorDatabase("db")
    assert list(database.cast(MOVIE)) == ["grace-hopper", "jose-garcia", "ada-king"]
    assert {row["actor_id"] for _, row in database.read_images()} == {"grace-hopper", "jose-garcia"}
    assert [row.size for row in read_aspect_rows(database.aspect_ratios)] == [(160, 120)]
    before = files(Path("db"))
    assert run(*ALL) == 0 and files(Path("db")) == before


def test_filled_cells_stay_and_are_replaced_only_by_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cast.csv").write_text("name,role,birthplace\nAda King,Countess,Ockham\n")
    assert run("--cast", "cast.csv") == 0
    assert "ada king, birthplace: 'London' stays; the list says 'Ockham'" in capsys.readouterr().err
    table = ActorDatabase("db").actors.read_bytes().decode()
    assert table == ACTORS.replace("ada king,unknown,,London", "ada king,Countess,,London")
    Path("cast.csv").write_text('name,role,birthplace\nAda King,"Countess, ""Ada""",Ockham\n')
    assert run("--cast", "cast.csv", "--replace", "role", "birthplace") == 0
    row = 'ada king,"Countess, ""Ada""",,Ockham'
    assert ActorDatabase("db").actors.read_bytes().decode() == ACTORS.replace("ada king,unknown,,London", row)


def test_people_in_doubt_stop_the_run_before_anything_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cast.csv").write_text("name\nGrace Hopper\nAda King\n")
    before = files(place)
    assert run(*ALL) == 1
    assert files(place) == before
    error = capsys.readouterr().err
    assert "1 person of the cast is in doubt" in error and "--id 'Grace Hopper=grace-hopper'" in error
    assert run(*ALL, "--id", "grace hopper=grace-hopper") == 0
    assert list(ActorDatabase("db").cast(MOVIE)) == ["ada", "grace-hopper"]


def test_the_cast_of_a_second_film_of_a_series_needs_one_option_not_one_for_each_person(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names alone do not say who somebody is, so the user decides; but once, with what the message shows."""
    Path("cast.csv").write_text("name\nGrace Hopper\nAda King\nBob\n")
    words = ("--movie", "8", "--name", "Part 2", "--year", "1999", "--actor-db", "db", "--cast", "cast.csv")
    assert run_main(add_movie.main, words) == 1
    _, _, option = capsys.readouterr().err.partition("if these 2 are the same people in actors.csv, add ")
    assert option == "--id 'Grace Hopper=grace-hopper' 'Ada King=ada'\n"
    assert run_main(add_movie.main, [*words, *shlex.split(option)]) == 0
    assert list(ActorDatabase("db").cast(8)) == ["grace-hopper", "ada", "bob"]


@pytest.mark.parametrize(
    "words, fault",
    [
        (
            ("--cast", "cast.csv", "--name", "Another Film"),
            "movie 12345 is 'Cool Movie Film' (1998) there, not ",
        ),
        (("--cast", "cast.csv", "--year", "1999"), "add --replace movie_year if the table is wrong"),
        (("--cast", "cast.csv", "--year", "99"), "give four digits"),
        (("--cast", "none.csv"), "no such cast list"),
        (("--pictures", "none"), "no such folder of pictures"),
        (("--film", "none.mkv"), "none.mkv: no such film"),
        (("--film", "cast.csv"), "cast.csv: not a readable film"),
        ((), "give --cast, --pictures or --film"),
        (("--cast", "cast.csv", "--id", "Ada"), "give two words with = between"),
        (("--cast", "cast.csv", "--id", "Bo=bo"), "in doubt"),
    ],
)
def test_faults_of_the_user_are_one_line_and_change_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], fault: str
) -> None:
    before = files(place)
    assert run(*words) == 1
    error = capsys.readouterr().err
    assert fault in error and error.count("error:") == 1
    assert files(place) == before


def test_an_id_that_is_unknown_needs_name_and_year(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.csv").write_text("name\nZoë\n")
    assert run("--cast", "other.csv", movie=8) == 1
    assert "movie 8 is not in db/actors.csv: give its --name and --year" in capsys.readouterr().err
    assert run("--cast", "cast.csv", movie=2**31) == 1
    assert "is above 2147483647" in capsys.readouterr().err
    assert run("--pictures", "pictures", movie=8) == 1
    assert "has no people in db/actors.csv; give their list: --cast" in capsys.readouterr().err


def test_pictures_can_be_added_later_without_the_list(place: Path) -> None:
    photograph(Path("pictures/ADA king (2).webp"), 50)
    assert run("--pictures", "pictures") == 0
    database = ActorDatabase("db")
    rows = [row for _, row in database.read_images()]
    assert [row["actor_id"] for row in rows] == ["ada", "ada"]
    assert rows[1]["filename"].endswith(".webp")
    assert database.actors.read_bytes().decode() == ACTORS


def test_turned_and_unusual_pictures_are_copied_upright(place: Path) -> None:
    photograph(Path("pictures/Grace Hopper/one.jpg"), 10, orientation=6)
    photograph(Path("pictures/Jose Garcia.tiff"), 60)
    plain = photograph(Path("pictures/Ada King.jpg"), 70).read_bytes()
    assert run(*ALL) == 0
    database = ActorDatabase("db")
    copies = {row["actor_id"]: database.picture(row["filename"]) for _, row in database.read_images()}
    turned = np.asarray(PIL.Image.open(copies["grace-hopper"]))
    assert turned.shape == (40, 30, 3)  # stored 40 x 30, to be turned clockwise
    assert turned[3, -4].mean() > 200 > turned[-4, 3].mean()
    assert not PIL.Image.open(copies["grace-hopper"]).getexif()
    assert copies["ada"].read_bytes() == plain
    suffixes = sorted(path.suffix for path in database.pictures.iterdir() if path.stem.startswith("jose"))
    assert suffixes == [".jpg", ".png"]


def test_pictures_in_doubt_are_left_out_and_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pictures/Ada King.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    shutil.copy("pictures/Grace Hopper/one.jpg", "pictures/jose garcia.jpg")
    assert run(*ALL) == 0
    shown = capsys.readouterr()
    assert "pictures/Ada King.jpg: the picture is damaged" in shown.err
    assert "are one picture under several people; it is left out" in shown.err
    assert "1 file is not named after anybody in the cast: pictures/Somebody Else.png" in shown.err
    assert "2 pictures left out because of doubts" in shown.out
    assert [row["actor_id"] for _, row in ActorDatabase("db").read_images()] == ["ada", "jose-garcia"]


def test_a_link_to_a_folder_above_is_not_followed_round_and_round(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        Path("pictures/Grace Hopper", name).symlink_to("..")
    photograph(Path("elsewhere/two.jpg"), 77)
    Path("pictures/Ada King").symlink_to("../elsewhere")
    assert run(*ALL, "--id", "José García=jose") == 0
    said = capsys.readouterr()
    assert "3 pictures, 3 of them new" in said.out, "a link to another folder is followed"
    assert "pictures/Grace Hopper/one" not in said.err


def test_a_picture_that_is_in_the_database_under_another_name_is_not_added_again(place: Path) -> None:
    Path("pictures/Ada King").mkdir()
    shutil.copy("db/actor_images/ada.png", "pictures/Ada King/scan.png")
    assert run("--pictures", "pictures/Ada King", "pictures") == 0
    assert ActorDatabase("db").images.read_bytes().decode() == IMAGES


def test_the_list_names_pictures_and_missing_ones_are_doubts(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = unicodedata.normalize("NFD", "Bild é.png")
    photograph(Path("scans") / name, 80)
    photograph(Path("more/a.png"), 81)
    photograph(Path("more/b.png"), 82)
    Path("cast.csv").write_text(
        f"name;picture\nJosé García;{unicodedata.normalize('NFC', name)}|gone.png\nAda King;more\n"
    )
    assert run("--cast", "cast.csv", "--pictures", "scans") == 0
    assert "cast.csv:2: picture 'gone.png' of José García is not in scans" in capsys.readouterr().err
    actors = [row["actor_id"] for _, row in ActorDatabase("db").read_images()]
    assert sorted(actors) == ["ada", "ada", "ada", "jose-garcia"]


def test_portraits_of_tmdb_are_taken_where_they_are(place: Path) -> None:
    photograph(Path("tmdb/abc.jpg"), 90)
    cast = [
        {"id": 1, "name": "Ada King", "profile_path": "/abc.jpg"},
        {"id": 2, "name": "Bo", "profile_path": "/x"},
    ]
    Path("credits.json").write_text(json.dumps({"cast": cast}))
    assert run("--cast", "credits.json", "--pictures", "tmdb") == 0
    database = ActorDatabase("db")
    assert list(database.cast(MOVIE)) == ["ada", "tmdb2"]
    assert [row["actor_id"] for _, row in database.read_images()] == ["ada", "ada"]
    assert "uri" not in database.actors.read_text("utf-8-sig").splitlines()[0] or "/person/1" in (
        database.actors.read_text()
    )


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("failing", ["write_changed", "write_bytes"])
def test_a_failure_leaves_everything_as_it_was(
    place: Path, monkeypatch: pytest.MonkeyPatch, failing: str, new: bool
) -> None:
    if new:
        shutil.rmtree("db")
    before = files(place)
    done = getattr(addition, failing)
    calls = 0

    def fail(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == (2 if failing == "write_bytes" else 1):
            raise OSError(28, "No space left on device", "db")
        return done(*args)

    monkeypatch.setattr(addition, failing, fail)
    assert run(*ALL) == 1
    assert files(place) == before and not Path("films/12345-CoolMovieFilm.mkv").is_symlink()
    assert Path("db").exists() is not new


class TestFilm:
    def add(self, *words: str, film: str = "films/Cool Movie Film (1998).mkv", movie: int = MOVIE) -> int:
        return run("--film", film, "--name", "Cool Movie Film", "--year", "1998", *words, movie=movie)

    def test_a_film_can_be_renamed_and_the_same_command_then_changes_nothing(self, place: Path) -> None:
        assert self.add("--rename") == 0
        assert [path.name for path in Path("films").iterdir()] == ["12345-CoolMovieFilm.mkv"]
        before = files(place)
        assert self.add("--rename") == 0 and files(place) == before
        assert self.add(film="films/12345-CoolMovieFilm.mkv") == 0 and files(place) == before

    def test_a_link_may_be_in_another_folder(self, place: Path) -> None:
        assert self.add("--films", "linked", "--dry-run") == 0 and not Path("linked").exists()
        assert self.add("--films", "cast.csv") == 1
        assert self.add("--films", "linked") == 0
        with av.open("linked/12345-CoolMovieFilm.mkv") as container:
            assert container.streams.video[0].width == 160
        assert self.add("--films", "linked") == 0

    @pytest.mark.parametrize(
        "beside, fault",
        [
            ("12345-Other.mkv", "films/12345-Other.mkv: is a film of movie 12345 already; choose another id"),
            ("12345-CoolMovieFilm.mkv", "is another film than films/Cool Movie Film (1998).mkv"),
        ],
    )
    def test_an_id_in_use_is_refused(
        self, place: Path, capsys: pytest.CaptureFixture[str], beside: str, fault: str
    ) -> None:
        make_film(Path("films") / beside, frames=3)
        before = files(place)
        assert self.add() == 1
        assert fault in capsys.readouterr().err and files(place) == before

    def test_a_film_that_is_a_movie_already_is_refused(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("films/77-Cool.mkv").symlink_to("Cool Movie Film (1998).mkv")
        assert self.add() == 1
        assert "is movie 77 already, as 77-Cool.mkv; give --movie 77" in capsys.readouterr().err
        assert self.add(film="films/77-Cool.mkv") == 1
        assert "is named as movie 77, not 12345" in capsys.readouterr().err

    def test_another_film_in_the_table_of_sizes_is_refused(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ActorDatabase("db").aspect_ratios.write_text(SIZES + "\n12345-Old.mp4,320,240\n")
        assert self.add() == 1
        assert "'12345-Old.mp4' is a film of movie 12345 already" in capsys.readouterr().err

    def test_a_size_by_hand_stays(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ActorDatabase("db").aspect_ratios.write_text(SIZES + "\n12345-CoolMovieFilm.mkv,320,180\n")
        assert self.add() == 0
        assert (
            "12345-CoolMovieFilm.mkv is 320 x 180 and stays; the film says 160 x 120"
            in capsys.readouterr().err
        )
        assert Path("films/12345-CoolMovieFilm.mkv").exists()

    def test_other_files_are_reported_and_stay(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("Cool Movie Film (1998).srt", "12345-CoolMovieFilm-trailer.mp4", "12345-cover.jpg"):
            (Path("films") / name).write_text("x")
        shutil.copy("films/Cool Movie Film (1998).mkv", "films/2001 - A Film.mkv")
        assert self.add() == 0
        error = capsys.readouterr().err
        assert "beside the film, left as they are: Cool Movie Film (1998).srt" in error
        assert "12345-CoolMovieFilm-trailer.mp4 is named as movie 12345 too" in error
        assert "12345-cover.jpg is named as movie 12345 too" in error
        assert self.add("--name", "A Film", film="films/2001 - A Film.mkv", movie=9) == 0
        assert (
            "reads '2001 - A Film.mkv' as movie 2001; rename it (--rename), or keep"
            in capsys.readouterr().err
        )
        assert Path("films/9-AFilm.mkv").is_symlink()

    def test_results_of_another_film_are_refused(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tests.movie_folder import Shown, movie_folder

        film = make_film(place / "12345-Old.mkv", frames=5)
        movie_folder(place / "data", [Shown(0, 0, 5)], movie_id=MOVIE, film=film)
        assert self.add() == 1
        assert (
            "12345-data: is of the film '12345-Old.mkv', so movie 12345 is in use" in capsys.readouterr().err
        )


@pytest.mark.parametrize(
    "title, name",
    [
        ("Cool Movie Film", "CoolMovieFilm"),
        ("Le Fabuleux Destin d'Amélie Poulain", "LeFabuleuxDestinDAmeliePoulain"),
        ("七人の侍", "七人の侍"),
        ("8½ / eight-and-a-half", "812EightAndAHalf"),
        ("...", "Film"),
    ],
)
def test_titles_become_part_of_a_file_name(title: str, name: str) -> None:
    from facerec.actors.film_links import film_title

    assert film_title(title) == name


NAMES: Mapping[str, str] = {
    "Grace Hopper.jpg": "grace",
    "grace_hopper-02.png": "grace",
    "Hopper, Grace (3).jpg": "grace",
    "GraceHopper2.jpg": "grace",
    "nm77_4.jpg": "nm77",
    "Child.jpg": "child",
    "Child 2.jpg": "?",  # of Child, or of the person named Child 2
    "Grace Hopper and Ada.jpg": "",
    "grace.jpg": "grace",  # the id
}


@pytest.mark.parametrize("file, owner", NAMES.items())
def test_a_picture_is_given_to_a_person_only_by_the_whole_name(tmp_path: Path, file: str, owner: str) -> None:
    from facerec.actors.people import Member
    from facerec.actors.picture_names import match_pictures
    from facerec.catalogues.base import CastEntry

    people = {"grace": "Grace Hopper", "nm77": "Ada King", "child": "Child", "child2": "Child 2"}
    members = [Member(actor, CastEntry(name, "list"), None) for actor, name in people.items()]
    (tmp_path / file).touch()
    found = match_pictures([tmp_path], members, None)
    assert [picture.actor_id for picture in found.pictures] == ([owner] if owner.strip("?") else [])
    assert bool(found.doubts) == (owner == "?") and bool(found.notes) == (owner == "")


def test_folders_names_and_years_must_not_contradict_each_other(tmp_path: Path) -> None:
    from facerec.actors.people import Member
    from facerec.actors.picture_names import match_pictures
    from facerec.catalogues.base import CastEntry

    people = {"grace": "Grace Hopper", "ada": "Ada King", "ada2": "ÁDA KING", "bo": "Bo Ek"}
    members = [Member(actor, CastEntry(name, "list"), None) for actor, name in people.items()]
    for name in (
        "batch 1/Grace Hopper/1984/a.jpg", "Grace Hopper/Bo Ek.jpg", "Ada King.jpg", "ada2/x.jpg",
        "Bo Ek/1950-1960.jpg", "Bo Ek/Thumbs.db", "Bo Ek/notes.txt", ".hidden/Bo Ek.jpg",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = match_pictures([tmp_path], members, None)
    assert {(one.path.name, one.actor_id, one.year) for one in found.pictures} == {
        ("a.jpg", "grace", "1984"), ("x.jpg", "ada2", ""), ("1950-1960.jpg", "bo", ""),
    }  # fmt: skip
    doubts = "\n".join(found.doubts)
    assert "are of different people (Bo Ek and Grace Hopper)" in doubts
    assert "may be of ada or ada2; put it into a folder named by the id" in doubts
