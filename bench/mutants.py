#!/usr/bin/env python3
"""Try random mutants of a package: which changes of its code does no test of the package notice?

    python bench/mutants.py video --minutes 60 --work /tmp/mutants-video

The mutants are those of mutmut 3.8.1, which needs its own environment, see CONTRIBUTING.md. Changes of texts
of errors, logs and help are left out. A mutant's tests are those that run the changed line: first those that
noticed another change of the function, then the fastest ones, up to the first failure. They run in forks of
one process, so that nothing is imported again. The mutants are drawn in random order; a second run goes on
with the next ones. Mutants that survive are printed; `results.jsonl` of the work folder has all.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import ast
import difflib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import pytest

from facerec.support.cli import parser, run_main

PACKAGES = ("folder", "people", "tracking", "video")
ARGUMENTS = ("-m", "not slow and not slurm and not gpu", "-p", "no:cacheprovider", "-p", "bench.mutants")
_TEXTS = ("help", "metavar", "description", "epilog")  # arguments that are texts
_WORK, _MINUTES, _CPU = "MUTANTS_WORK", "MUTANTS_MINUTES", "MUTANTS_CPU"  # environment of the tests


@dataclass
class Mutant:
    """A change of one expression; `lines` are those of its statement."""

    name: str
    function: str
    file: str
    lines: tuple[int, int]
    diff: str
    tests: list[str]


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("package", choices=PACKAGES)
    made.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder for the copy and results"
    )
    made.add_argument("--minutes", type=float, default=60, help="time after which no mutant is begun")
    made.add_argument("--cpu", type=float, default=10, help="seconds of the tests of a mutant, at most")
    made.add_argument("--seed", type=int, default=20, help="of the order of the mutants")
    args = made.parse_args(argv)
    work, copy = args.work.absolute(), args.work.absolute() / "copy"
    environment = {**os.environ, _WORK: str(work), _MINUTES: str(args.minutes), _CPU: str(args.cpu)}
    tests = [sys.executable, "-m", "pytest", *ARGUMENTS, f"tests/{args.package}"]
    if not (work / "plan.json").exists():
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", "HEAD"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(copy)], input=archive, check=True)
        cover = [f"--cov=facerec/{args.package}", "--cov-context=test", "--cov-report="]
        subprocess.run([*tests, *cover], cwd=copy, env=environment, check=True)
        plan = mutate(copy, args.package)
        random.Random(args.seed).shuffle(plan)
        (work / "plan.json").write_text(json.dumps([asdict(mutant) for mutant in plan]))
    subprocess.run(tests, cwd=copy, env=environment, check=True)
    summarise(work)
    return 0


def summarise(work: Path) -> None:
    """Print the mutants that survived, and how many mutants had which fate."""
    plan = {mutant["name"]: mutant for mutant in json.loads((work / "plan.json").read_text())}
    fates = [json.loads(line) for line in (work / "results.jsonl").read_text().splitlines()]
    for one in fates:
        if one["fate"] in ("survived", "no test"):
            print(f"{one['fate']}: {one['name']}\n{plan[one['name']]['diff']}")  # noqa: T201
    counts = Counter(one["fate"] for one in fates)
    print(f"{len(fates)} of {len(plan)} mutants tried: {dict(counts)}")  # noqa: T201


def mutate(copy: Path, package: str) -> list[Mutant]:
    """Replace the package's modules by those that hold all mutants; return the mutants with their tests."""
    # both are in the environment that CONTRIBUTING.md makes for mutmut, which the project does not depend on
    coverage, mutmut = import_module("coverage"), import_module("mutmut.mutation.file_mutation")
    with (copy / "pyproject.toml").open("a") as settings:
        settings.write('\n[tool.mutmut]\nsource_paths = ["facerec"]\n')
    os.chdir(copy)  # mutmut reads its settings from here
    covered = coverage.CoverageData(str(copy / ".coverage"))
    covered.read()
    found: list[Mutant] = []
    for path in sorted((copy / "facerec" / package).glob("*.py")):
        code, file = path.read_text(), str(path.relative_to(copy))
        mutated = mutmut.mutate_file_contents(file, code)
        path.write_text(mutated.code)
        contexts = covered.contexts_by_lineno(str(path))
        for mutant in mutants_of(code, mutated.code, mutated.mutant_names, file):
            here = {name for line in range(*mutant.lines) for name in contexts.get(line, ()) if name}
            mutant.tests = sorted({name.rpartition("|")[0] for name in here})
            found.append(mutant)
    return found


def mutants_of(code: str, mutated: str, names: Sequence[str], file: str) -> list[Mutant]:
    """Find the mutants `names` in the code with all mutants, but those that change a text for people."""
    originals = functions(ast.parse(code))
    copies = {node.name: node for node in ast.walk(ast.parse(mutated)) if isinstance(node, ast.FunctionDef)}
    lines, module = mutated.splitlines(), file.removesuffix(".py").replace("/", ".")
    found = []
    for name in (one.rpartition(".")[2] for one in names):
        base = name.rpartition("__mutmut_")[0]
        old, new = copies[f"{base}__mutmut_orig"], copies[name]
        stack = difference(old, new) or [old]
        if is_text(stack):
            continue
        statement = [node for node in stack if isinstance(node, ast.stmt)][-1]
        shift = originals[base].lineno - old.lineno
        body = getattr(statement, "body", None)
        end = (
            body[0].lineno
            if isinstance(body, list) and statement is not old
            else (statement.end_lineno or 0) + 1
        )
        before, after = (
            [line.replace(node.name, base) for line in lines[node.lineno - 1 : node.end_lineno]]
            for node in (old, new)
        )
        changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        found.append(
            Mutant(
                f"{module}.{name}",
                f"{module}.{base}",
                file,
                (statement.lineno + shift, end + shift),
                "\n".join(changes),
                [],
            )
        )
    return found


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Return the functions and methods of a module by mutmut's names for them."""
    found = {f"x_{node.name}": node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        found |= {
            f"xǁ{owner.name}ǁ{node.name}": node for node in owner.body if isinstance(node, ast.FunctionDef)
        }
    return found


def difference(old: Any, new: Any, stack: tuple[ast.AST, ...] = ()) -> list[ast.AST] | None:
    """Return the nodes around the first difference of two trees, outermost first; None if they are equal."""
    if type(old) is not type(new):
        return [*stack]
    if isinstance(old, list):
        pairs = ((a, b, stack) for a, b in zip(old, new, strict=False))
        return next(
            (one for pair in pairs if (one := difference(*pair))), [*stack] if len(old) != len(new) else None
        )
    if not isinstance(old, ast.AST):
        return [*stack] if old != new else None
    names = [name for name in old._fields if not (name == "name" and isinstance(old, ast.FunctionDef))]
    pairs = ((getattr(old, name, None), getattr(new, name, None), (*stack, old)) for name in names)
    return next((one for pair in pairs if (one := difference(*pair))), None)


def is_text(stack: Sequence[ast.AST]) -> bool:
    """Whether a change at `stack` is inside an error, a log message or a help text."""
    for node in stack:
        if isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg in _TEXTS):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("logging.", "log.")):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
            return True
    return False


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


costs: dict[str, float] = {}  # CPU seconds of each test
to_parent: list[int] = []  # in a fork: the pipe to its parent


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None]:
    """Record the CPU time of each test."""
    begin = cpu_seconds()
    yield
    costs[item.nodeid] = cpu_seconds() - begin


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """End a fork, and what its tests started, at the first failure."""
    if to_parent and report.failed:
        os.write(to_parent[0], f"killed {report.nodeid}\n".encode())
        os.killpg(0, signal.SIGKILL)


def pytest_sessionfinish() -> None:
    if _WORK in os.environ and not to_parent and costs:
        (Path(os.environ[_WORK]) / "costs.json").write_text(json.dumps(costs))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Try mutants instead of running the tests, once there is a plan."""
    work = Path(os.environ[_WORK]) if _WORK in os.environ else Path()
    if not (work / "plan.json").exists():
        return None
    until, most = (float(os.environ[name]) for name in (_MINUTES, _CPU))
    until = time.monotonic() + 60 * until
    cost = json.loads((work / "costs.json").read_text())
    items = {item.nodeid: item for item in session.items}
    results = work / "results.jsonl"
    results.touch()
    tried = {json.loads(line)["name"] for line in results.read_text().splitlines()}
    noticed: dict[str, Counter[str]] = defaultdict(Counter)  # how often a test killed, by function
    kept = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for mutant in (Mutant(**one) for one in json.loads((work / "plan.json").read_text())):
        if mutant.name in tried:
            continue
        if time.monotonic() > until:
            break
        before = noticed[mutant.function]
        order = sorted(mutant.tests, key=lambda name: (cost.get(name, 1) / (1 + 4 * before[name]), name))
        chosen: list[str] = []
        for name in order:
            if name in items and (not chosen or sum(cost[one] for one in chosen) + cost[name] <= most):
                chosen.append(name)
        modules = list(dict.fromkeys(name.partition("::")[0] for name in chosen))
        chosen.sort(key=lambda name: modules.index(name.partition("::")[0]))
        fate = (
            tried_in_fork(session, mutant.name, [items[name] for name in chosen], cost)
            if chosen
            else "no test"
        )
        for path in (path for path in kept if not path.exists()):  # the mutant removed it
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kept[path])
        before[fate.removeprefix("killed ")] += fate.startswith("killed ")
        with results.open("a") as file:
            file.write(json.dumps({"name": mutant.name, "fate": fate.split()[0] if chosen else fate}) + "\n")
    return True


def tried_in_fork(
    session: pytest.Session, name: str, items: Sequence[pytest.Item], cost: dict[str, float]
) -> str:
    """Run tests with a mutant in a fork; return `survived`, `timeout` or `killed <test>`."""
    reader, writer = os.pipe()
    temporary = tempfile.mkdtemp()
    fork = os.fork()
    if not fork:
        try:
            os.setpgid(0, 0)
            to_parent.append(writer)
            os.environ["MUTANT_UNDER_TEST"] = name
            tempfile.tempdir = os.environ["TMPDIR"] = temporary
            session.config._tmp_path_factory._basetemp = Path(temporary)  # type: ignore[attr-defined]
            for item, following in zip(items, [*items[1:], None], strict=True):
                limit = int(time.process_time() + 3 * cost[item.nodeid] + 5)  # of a loop that does not end
                resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            os.write(writer, b"survived\n")
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:  # noqa: PTH123 — a descriptor
        said = file.readline().strip()
    _, status = os.waitpid(fork, 0)
    shutil.rmtree(temporary, ignore_errors=True)
    if said:
        return said
    return "timeout" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU else "killed"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
