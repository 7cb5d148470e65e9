"""Whatever is damaged in a study: one line names the file and the remedy, the rest is as if it were not there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forking
import pytest
from damages import MEMORIES, PLANS, RECORDS, TABLES, fifo, folder, half, mostly_slow, record
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import initbench.report.__main__ as report
import initbench.status.__main__ as status
from initbench import console
from initbench.__main__ import main
from initbench.analysis.loading.frame import load_runs
from initbench.record.store import read_record

SWEEP = [
    *("-m", "hydra/launcher=basic", "model=mlp", "model.width=8", "trainer.max_steps=4", "logger=none"),
    *("data.val_every_n_steps=2", "trainer.accelerator=cpu", "init=orthogonal,zeros", "seed=0,1"),
]
DRY = [*SWEEP, "dry_run=true"]
VICTIM = "mlp-mnist_mini-orthogonal-seed1-*"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of four runs that are finished."""
    path = tmp_path_factory.mktemp("whole")
    done = command(path, *SWEEP)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(path / "runs" / "main" / "report")
    return path


def command(path: Path, *arguments: str, module: str = "initbench") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", "XDG_CACHE_HOME": str(path / "cache")}
    return forking.run(path, [sys.executable, "-m", module, *arguments], environment)


@pytest.fixture
def study(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it; afterwards Hydra has no config, as before."""
    shutil.copytree(whole / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    yield Path("runs/main")
    # Not by Singleton.set_state, which defines the classes of Hydra's plugins anew.
    HydraConfig.instance().cfg = None
    GlobalHydra.instance().clear()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines on stderr of a command, run as if by a process of its own; it must end with exit code `code`."""

    def run(of: Callable[[list[str]], object], *arguments: str, code: int = 0) -> list[str]:
        console.warn.cache_clear()
        monkeypatch.setattr(sys, "argv", ["initbench", *arguments])
        capsys.readouterr()
        try:
            of(list(arguments))
            ended = 0
        except SystemExit as end:
            ended = int(end.code or 0)
        lines = capsys.readouterr().err.splitlines()
        assert ended == code, lines
        return lines

    return run


def start(arguments: list[str]) -> None:
    main()


def read(arguments: list[str]) -> None:
    load_runs(*arguments)


def files(study: Path) -> dict[str, str | bytes]:
    """All that is in a study but its report, and the list of its sweeps."""
    found: dict[str, str | bytes] = {}
    for path in sorted(study.rglob("*")):
        name = str(path.relative_to(study))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif not name.startswith("report") and name != "study.lock":
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found


def is_about(lines: list[str], path: Path, remedy: str) -> bool:
    """Whether they are one line, which names the file and the remedy."""
    assert len(lines) == 1, lines
    return lines[0].startswith(f"initbench: {path} cannot be read (") and lines[0].endswith(f"): {remedy}")


def test_a_whole_study_has_nothing_said_of_it(study: Path, said: Callable[..., list[str]]) -> None:
    before = files(study)
    for of in (status.main, report.main, read):
        assert said(of, str(study)) == []
    for arguments in (DRY, SWEEP):
        assert said(start, *arguments) == []
    sweep_leaves = {name for name in before if name not in (".sweep/plan.json", ".sweep/said")}
    assert {name: files(study)[name] for name in sweep_leaves} == {name: before[name] for name in sweep_leaves}


@pytest.mark.parametrize("name", mostly_slow(RECORDS, "truncated", "a folder", "a link to nothing", "deep inside"))
def test_a_damaged_record_is_passed_over_and_made_anew_by_a_sweep(
    name: str, study: Path, said: Callable[..., list[str]]
) -> None:
    remedy = "the next sweep that has this run sets the file aside and runs it again"
    (run,) = study.glob(VICTIM)
    path = run / "record.json"
    RECORDS[name](path)
    damaged = files(study)
    for of in (status.main, report.main, read):
        assert is_about(said(of, str(study)), path, remedy)
    assert is_about(said(start, *DRY), path, remedy)
    assert files(study) == damaged
    assert len(load_runs(study)) == 3
    assert "1 run is excluded because its record cannot be read." in (study / "report" / "report.md").read_text()
    (problem,) = (
        problem
        for problem in json.loads((study / "report" / "verdict.json").read_text())["problems"]
        if problem["kind"] == "unreadable"
    )
    assert problem["is_serious"]
    assert str(path) in problem["text"]

    assert is_about(said(start, *SWEEP), path, remedy)
    after = files(study)
    aside = {name.replace("record.json.damaged", "record.json"): of for name, of in after.items() if ".damaged" in name}
    assert aside == {name: damaged[name] for name in aside}
    assert f"{run.name}/record.json" in aside
    assert (read_record(run) or {})["status"] == "finished"
    others = {name: of for name, of in damaged.items() if run.name not in name and ".sweep" not in name}
    assert others == {name: of for name, of in after.items() if name in others}
    assert said(start, *SWEEP) == []


def test_a_newer_record_is_read_by_nobody_and_never_overwritten(study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    path = run / "record.json"
    record(schema=2, status="a word of tomorrow", results="elsewhere")(path)
    remedy = "upgrade initbench, or choose another study="
    damaged = files(study)
    for of in (status.main, report.main, read):
        assert is_about(said(of, str(study)), path, remedy)
    assert is_about(said(start, *DRY), path, remedy)
    assert files(study) == damaged
    for arguments in ([], ["force=true"], ["init=orthogonal,zeros,lsuv"]):
        assert is_about(said(start, *SWEEP, *arguments, code=2), path, remedy)
        assert {name: of for name, of in files(study).items() if run.name in name} == {
            name: of for name, of in damaged.items() if run.name in name
        }
    assert set(load_runs(study)["init"]) == {"orthogonal", "zeros", "lsuv"}
    alone = [part.replace("orthogonal,zeros", "orthogonal").replace("0,1", "1") for part in SWEEP[2:]]
    assert is_about(said(start, *alone, code=2), path, remedy)


@pytest.mark.parametrize("table", ["history", "layers"])
@pytest.mark.parametrize("name", mostly_slow(TABLES, "other types"))
def test_a_damaged_table_is_not_drawn(name: str, table: str, study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    path = run / f"{table}.parquet"
    if not path.exists():  # these runs have no diagnostics
        shutil.copy(run / "history.parquet", path)
    TABLES[name](path)
    damaged = files(study)
    assert said(status.main, str(study)) == said(read, str(study)) == said(start, *DRY) == []
    for of, arguments in ((report.main, [str(study)]), (start, SWEEP)):
        remedy = "the record of the run stands; delete the run's folder, and the same sweep makes both again"
        assert is_about(said(of, *arguments), path, remedy)
    assert {**files(study), ".sweep/plan.json": ""} == {**damaged, ".sweep/plan.json": ""}
    assert len(load_runs(study)) == 4


@pytest.mark.parametrize("name", mostly_slow({"garbage": TABLES["garbage"], "a folder": folder}, "garbage"))
def test_a_damaged_table_of_parameters_is_not_printed(name: str, study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    TABLES[name](run / "parameters.parquet")
    (line,) = said(start, *SWEEP, "print_init=true")
    assert line.startswith(f"initbench: {run / 'parameters.parquet'} cannot be read (")


@pytest.mark.parametrize("name", mostly_slow(PLANS, "a folder"))
def test_a_damaged_plan_is_none_until_the_next_sweep(name: str, study: Path, said: Callable[..., list[str]]) -> None:
    path = study / ".sweep" / "plan.json"
    PLANS[name](path)
    damaged = files(study)
    for of in (status.main, report.main):
        assert is_about(said(of, str(study)), path, "the next sweep writes it again")
    assert said(read, str(study)) == said(start, *DRY) == []
    assert files(study) == damaged
    assert said(start, *SWEEP) == []
    assert said(status.main, str(study)) == []
    assert (path.with_name("plan.json.damaged").is_dir()) is (name == "a folder")


@pytest.mark.parametrize("name", mostly_slow(MEMORIES, "odd runs"))
def test_a_damaged_memory_of_plans_is_made_again(name: str, study: Path, said: Callable[..., list[str]]) -> None:
    path = study / ".sweep" / "signatures.json"
    whole = path.read_bytes()
    MEMORIES[name](path)
    damaged = files(study)
    for of in (status.main, report.main, read):
        assert said(of, str(study)) == []
    assert is_about(said(start, *DRY), path, "it is made again")
    assert files(study) == damaged
    assert is_about(said(start, *SWEEP), path, "it is made again")
    assert json.loads(path.read_bytes()) == json.loads(whole)
    assert said(start, *SWEEP) == []


def test_a_lock_that_cannot_be_opened_leaves_its_run_alone(study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    shutil.rmtree(run)
    lock = study / ".locks" / f"{run.name}.lock"
    folder(lock)
    for arguments, code in ((DRY, 0), (SWEEP, 2)):
        (line,) = said(start, *arguments, code=code)
        assert line == f"initbench: {lock} is a folder, so its run is left alone: move it away, as a lock is a file"
        assert not run.exists()


def test_what_a_worker_finds_damaged_is_said_by_its_parent(study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    record(status="interrupted")(run / "record.json")
    (run / "checkpoint.ckpt").write_text("garbage")
    fifo(run / "log.txt")
    others = [argument for argument in SWEEP if not argument.startswith("hydra/launcher")]
    (line,) = said(start, *others, "hydra/launcher=local", "hydra.launcher.slots=1")
    assert line.startswith(f"initbench: {run / 'checkpoint.ckpt'} cannot be read (")
    assert json.loads((run / "record.json").read_bytes())["status"] == "finished"
    assert (run / "log.txt").is_file()


def test_a_file_in_the_place_of_a_run_leaves_it_alone(study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    shutil.rmtree(run)
    run.touch()
    for arguments, code in ((DRY, 0), (SWEEP, 2)):
        (line,) = said(start, *arguments, code=code)
        assert line == f"initbench: {run} is no folder, so its run is left alone: move it away"
        assert run.is_file()


def test_a_file_in_the_place_of_the_locks_ends_the_sweep(study: Path, said: Callable[..., list[str]]) -> None:
    (run,) = study.glob(VICTIM)
    shutil.rmtree(run)
    shutil.rmtree(study / ".locks")
    (study / ".locks").write_text("")
    before = files(study)
    for of in (status.main, report.main, read):
        assert said(of, str(study)) == []
    (line,) = said(start, *SWEEP, code=2)
    assert line == f"initbench: {study / '.locks'} is no folder: move it away, as the locks of runs belong there"
    assert {**files(study), ".sweep/plan.json": ""} == {**before, ".sweep/plan.json": ""}


@pytest.mark.parametrize("launcher", [pytest.param("local", marks=pytest.mark.slow), "auto"])
def test_the_commands_themselves(launcher: str, study: Path, said: Callable[..., list[str]]) -> None:
    """With workers, of which none speaks; everything is damaged at once."""
    (run,), (newer,) = study.glob(VICTIM), study.glob("*zeros-seed0*")
    half(run / "record.json")
    record(schema=9)(newer / "record.json")
    half(study / ".sweep" / "signatures.json")
    half(study / ".sweep" / "plan.json")
    (study / ".packs").mkdir()
    (study / ".packs" / "0123456789.json").write_text("[1]")
    (study / ".packs" / "fedcba9876.json").mkdir()
    engine = [f"hydra/launcher={launcher}", "hydra.launcher.slots=1"]
    for module, arguments in (("initbench.status", [str(study)]), ("initbench.report", [str(study)])):
        shown = command(Path(), *arguments, module=module)
        assert (shown.returncode, len(shown.stderr.splitlines())) == (0, 3), shown.stderr
    found = command(Path(), *SWEEP, *engine)
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    about = [line for line in found.stderr.splitlines() if "cannot be read" in line]
    assert len(about) == len(set(about)) == (6 if launcher == "auto" else 4), found.stderr
    assert sorted(load_runs(study)["seed"]) == [0, 1, 1]
    again = command(Path(), *SWEEP, *engine)
    assert [line.partition(": ")[2].split()[0] for line in again.stderr.splitlines()] == [str(newer / "record.json")]


@pytest.mark.parametrize(
    "name", mostly_slow({"a FIFO": fifo, "garbage": MEMORIES["garbage"], "a folder": folder}, "a FIFO")
)
def test_a_damaged_memory_of_what_was_said_is_made_again(
    name: str, study: Path, said: Callable[..., list[str]]
) -> None:
    path = study / ".sweep" / "said"
    MEMORIES[name](path)
    assert said(start, *SWEEP) == []
    assert path.is_file()
