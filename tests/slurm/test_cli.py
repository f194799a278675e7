"""The command line and the variables of make: no shell interprets them, and misspelt ones are reported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from facerec.errors import InputError
from facerec.stages import PIPELINE
from slurm import cli, collection, variables
from slurm.options import ROOT
from slurm.records import RunFolder
from tests.slurm_fakes import MOVIE, MockSlurm, make_film, use_fake_stages


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MockSlurm:
    """A mocked SLURM, and a folder of films given in the environment."""
    use_fake_stages(monkeypatch)
    for name in os.environ:
        if name.startswith("FACEREC_"):
            monkeypatch.delenv(name)
    for stage in PIPELINE.short_names:
        monkeypatch.setenv(f"FACEREC_{stage.upper()}_ARGS", f"--stage {stage}")
    monkeypatch.setenv("FACEREC_FILMS", str(tmp_path / "films"))
    monkeypatch.setenv("FACEREC_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("FACEREC_SHARDS", "4")
    make_film(tmp_path / "films")
    return MockSlurm(tmp_path / "mock", monkeypatch)


def test_extract_submits_and_returns(slurm: MockSlurm, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cli.main(
            ["extract", "--movie", str(MOVIE), "--tasks", "2", "--partition", "p", "--set", "warn=30 cpus=3"]
        )
        == 0
    )
    output = capsys.readouterr().out
    assert "4 of 4 shards to do\n  job 100: shards 0-3 in 2 tasks, at most 64 at once\n  logs in " in output
    text = slurm.script("100")
    assert "--partition=p\n" in text and "USR2@30\n" in text and "--cpus-per-task=3\n" in text


def test_variables_in_the_environment_are_options(slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MOVIE": f"{MOVIE}",
        "MEMORY": "3G",
        "WALLTIME": "2:00:00",
        "PARALLEL": "3",
        "RETRY": "2",
    }.items():
        monkeypatch.setenv(f"FACEREC_{name}", value)
    assert cli.main(["extract"]) == 0
    text = slurm.script("100")
    assert "--mem=3072M\n" in text and "--time=120\n" in text and "--array=0-3%3\n" in text


def test_a_collection_continues_after_a_movie_that_fails(slurm: MockSlurm, tmp_path: Path) -> None:
    make_film(tmp_path / "films", movie=78)
    make_film(tmp_path / "films", movie=79)
    make_film(tmp_path / "films", movie=79, name="twice")
    assert cli.main(["movie", "--movies", "all", "--tasks", "1"]) == 1
    assert len(slurm.states()) == 2 * len(PIPELINE.short_names)  # two chains
    assert [RunFolder(tmp_path / "out", movie).submissions() == [] for movie in (77, 78, 79)] == [
        False,
        False,
        True,
    ]


def test_status_is_text_or_json(slurm: MockSlurm, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["extract", "--movie", str(MOVIE)])
    slurm.set("100_2", "RUNNING")
    capsys.readouterr()
    assert cli.main(["status", "--movie", str(MOVIE)]) == 0
    assert "  queued         3  0-1,3" in capsys.readouterr().out
    assert cli.main(["status", "--movie", str(MOVIE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shards"]["running"] == "2"
    (slurm.folder / "down").touch()
    assert cli.main(["status", "--movie", str(MOVIE)]) == 0
    output = capsys.readouterr()
    assert "no answer; showing the last known state" in output.err and "movie 77: 4 shards" in output.out


def test_a_variable_that_nobody_reads_is_named(
    slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEREC_MAKE_VARIABLES", "FOO MOVIE PYTHON CUDA_VISIBLE_DEVICES")
    assert cli.main(["status", "--movie", str(MOVIE)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING FOO=: no variable of the launcher; ignored")


def test_watch_ends_when_nothing_is_queued_or_running(
    slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["extract", "--movie", str(MOVIE)])
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        for task in slurm.states():
            slurm.drop(task)

    monkeypatch.setattr(collection, "time", SimpleNamespace(sleep=wait))
    assert cli.main(["status", "--movie", str(MOVIE), "--watch"]) == 0
    assert waits == [30] and "cancelled      4" in capsys.readouterr().out


def test_local_runs_here_even_with_slurm(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["extract", "--movie", str(MOVIE), "--local", "--workers", "1", "--tasks", "1"]) == 0
    assert (
        slurm.states() == {} and "running on this machine, as requested by LOCAL=1" in capsys.readouterr().out
    )


def test_a_local_collection_continues_after_a_movie_that_fails(slurm: MockSlurm, tmp_path: Path) -> None:
    argv = ["extract", "--movies", f"5 {MOVIE}", "--local", "--workers", "1", "--tasks", "1"]
    assert cli.main(argv) == 1
    assert (tmp_path / "out" / f"{MOVIE}-data" / "plan.json").exists()


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        ([], "which movie"),
        (["--movie", "1", "--movies", "2"], "not both"),
        (["--movie", "1 2"], 'for several movies give MOVIES="1 2"'),
        (["--movie", "$(id)"], "is not a movie id"),
        (["--movie", "77", "--shards", "0"], "SHARDS=0: must be a whole number of at least 1"),
        (["--movie", "77", "--shards", "4.5"], "SHARDS=4.5"),
        (["--movie", "77", "--set", "extract.memroy=1G"], "did you mean 'memory'"),
        (["--movie", "77", "--set", "extract.memory='1G"], "--set: No closing quotation"),
        (["--movie", "77", "--gpus", "one"], "gpus must be a whole number"),
        (["--movie", "77", "--site", "nowhere.toml"], "no such site profile"),
    ],
)
def test_a_wrong_option_is_reported(slurm: MockSlurm, argv: list[str], answer: str) -> None:
    with pytest.raises(InputError) as caught:
        cli.main(["extract", *argv])
    assert answer in str(caught.value)


def test_retry_of_a_list_says_how_its_failed_items_are_tried_again(slurm: MockSlurm) -> None:
    for source in ("--list", "--tars"):
        with pytest.raises(InputError, match="not retry; make features LIST=… tries again what failed"):
            cli.main(["retry", source, "videos.csv", "--features", "place"])


def test_misspelt_variables_of_make_are_reported_and_unrelated_ones_ignored(
    slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_MAKE_VARIABLES", "SHARD MOVIE")
    with pytest.raises(
        InputError, match=r"unknown variable SHARD; did you mean SHARDS\? Valid variables: MOVIE, "
    ):
        cli.main(["status", "--movie", "77"])
    monkeypatch.setenv("FACEREC_MAKE_VARIABLES", "PYTHON MOVIE V")
    assert cli.main(["status", "--movie", "77"]) == 0


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_neither_a_shell_nor_make_interprets_variables(slurm: MockSlurm, tmp_path: Path) -> None:
    films = tmp_path / "my films $(touch HACKED) `touch HACKED` 'q' \"d\" ; touch HACKED"
    (tmp_path / "films").rename(films)
    command = ["make", "-s", "-f", "slurm/slurm.mk", f"PYTHON={sys.executable}", "status"]
    variables = ["MOVIE=77", "JSON=1", f"OUT={tmp_path}/o'ut", f"FILMS={films}"]
    done = subprocess.run([*command, *variables], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["movie_id"] == 77
    done = subprocess.run(
        [*command, "MOVIES=all", *variables[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["movie_id"] == 77 and not (ROOT / "HACKED").exists()
    done = subprocess.run(
        [*command, "MOVIE=77", "SHRADS=3"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "unknown variable SHRADS; did you mean SHARDS?" in done.stderr and "Traceback" not in done.stderr
    for movie in ("77;touch HACKED", "$(shell touch HACKED)", "$(touch HACKED)", "`touch HACKED`"):
        done = subprocess.run(
            [*command, f"MOVIE={movie}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert "is not a movie id" in done.stderr and not (ROOT / "HACKED").exists()


def make_list(name: str) -> list[str]:
    """Return the words that slurm.mk assigns to a variable."""
    text = (ROOT / "slurm" / "slurm.mk").read_text().replace("\\\n", " ")
    return text.partition(f"\n{name} :=")[2].partition("\n")[0].split()


def test_make_has_a_target_for_every_stage_in_the_order_of_the_graph() -> None:
    assert make_list("LAUNCHER_TARGETS") == [
        *PIPELINE.short_names,
        "movie",
        "retry",
        "features",
        "status",
        "plan",
        "export",
        "review",
        "add-movie",
        "prepare",
        "handover",
    ]


@pytest.mark.parametrize("made_now", [True, False])
def test_the_path_of_a_report_is_printed_once(
    made_now: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stage prints it when it makes the page; the launcher only when the page was there already."""
    report = RunFolder(tmp_path, MOVIE).movie_folder.report
    report.parent.mkdir(parents=True)
    report.write_text("the page")
    os.utime(report, ns=(1, 1))

    def run_local(*_: object) -> int:
        if made_now:
            report.write_text("the page")
            cli.echo(f"movie {MOVIE}: {report}")
        return 0

    monkeypatch.setattr(cli, "run_local", run_local)
    options, scheduler = SimpleNamespace(out=tmp_path), SimpleNamespace()
    assert cli._run_movie(run_local, options, ["report"], scheduler, MOVIE) == 0  # type: ignore[arg-type]
    assert capsys.readouterr().out.count(str(report)) == 1


def test_every_option_is_a_variable_of_make() -> None:
    listed = make_list("LAUNCHER_VARIABLES")
    assert sorted(listed) == sorted(name for name, *_ in (*variables.OPTIONS, *variables.FLAGS))


def test_error_messages_name_the_program(slurm: MockSlurm, capsys: pytest.CaptureFixture[str]) -> None:
    argv = sys.argv
    try:
        sys.argv = ["x", "extract"]
        assert cli.run() == 1
    finally:
        sys.argv = argv
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m slurm: error: which movie?")


def test_the_help_lists_the_options_without_heavy_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "slurm", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--actor-db" in done.stdout and "WALLTIME" in done.stdout
    heavy = (
        "import sys, slurm.cli; print([name for name in ('torch', 'cv2', 'submitit') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plan_for_gpus_on_a_login_node_measures_what_it_can(
    slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "visible_gpus", lambda: [])
    monkeypatch.setattr(cli, "plan_without_gpu", lambda options, movie, command: [f"{movie}: {command}"])
    assert cli.main(["plan", "--movie", "77", "--gpus", "1"]) == 0
    assert "77: make plan MOVIE=77 ON_NODE=1" in capsys.readouterr().out


def test_a_plan_on_a_node_runs_the_same_command_there(
    slurm: MockSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.install_script("srun", f'printf "%s\\n" "$@" >{slurm.folder}/words; env >{slurm.folder}/env')
    monkeypatch.setenv("FACEREC_ON_NODE", "1")
    monkeypatch.setattr(sys, "argv", ["slurm", "plan", "--on-node", "--movie", "77"])
    assert cli.main(["plan", "--movie", "77"]) == 0
    assert (slurm.folder / "words").read_text().endswith(" -m slurm plan --movie 77\n")
    assert "FACEREC_ON_NODE" not in (slurm.folder / "env").read_text()
