"""Which runs of a sweep are launched, and in which order."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from frames import record
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from initbench import CONF
from initbench.console import console
from initbench.errors import UserMistake
from initbench.record.store import write_record
from initbench.record.sweep_id import SWEEP_VARIABLE, begin_sweep
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import Planned, dispatch, say_what_can_be_shown
from initbench.sweep.plan import plan


@pytest.fixture
def hydra() -> Iterator[Hydra]:
    yield Hydra.create_main_hydra2(task_name="initbench", config_search_path=create_config_search_path(str(CONF)))
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    "typed, left",
    [
        ([], [["2", "3", "1"], ["5"]]),
        (["force=true"], [["0", "2", "3", "1"], ["5", "4"]]),
        (["dry_run=true"], [["2", "3", "1"], ["5", "4"]]),
    ],
)
def test_what_is_done_is_left_out_and_what_died_comes_last(
    hydra: Hydra, tmp_path: Path, typed: list[str], left: list[list[str]]
) -> None:
    where = f"runs_dir={tmp_path}/runs"
    master = hydra.compose_config("config", [where, *typed], RunMode.MULTIRUN)
    loader = CachingConfigLoader(hydra.config_loader)
    batches = [[[where, f"seed={seed}"] for seed in seeds] for seeds in ((0, 1, 2, 3), (4, 5))]
    statuses = {0: "finished", 1: "running", 2: "interrupted", 4: "failed"} | ({} if typed else {4: "diverged"})
    for seed, job in enumerate(plan(loader, master, [job for batch in batches for job in batch])):
        if seed in statuses:
            write_record(job.folder, record("any", seed, status=statuses[seed]))
    found: Any = list(dispatch(loader, master, batches, Planned()))
    assert [[overrides[-1].partition("=")[2] for overrides in batch] for batch in found] == left
    planned = tmp_path / "runs" / "main" / ".sweep" / "plan.json"
    assert planned.exists() is (typed != ["dry_run=true"])
    if planned.exists():
        assert len(json.loads(planned.read_text())["runs"]) == 6


def test_the_plan_of_a_sweep_in_rounds_is_of_all_of_them(
    hydra: Hydra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came to nothing in the first is still missing after the last; another sweep's plan is none of this one's."""
    monkeypatch.setenv(SWEEP_VARIABLE, "")  # and unset at the end, whatever is set here
    where = f"runs_dir={tmp_path}/runs"
    master = hydra.compose_config("config", [where], RunMode.MULTIRUN)
    loader, path = CachingConfigLoader(hydra.config_loader), tmp_path / "runs" / "main" / ".sweep" / "plan.json"

    def planned(seed: int, of: Planned) -> dict[str, Any]:
        assert len(list(dispatch(loader, master, [[[where, f"seed={seed}"]]], of))) == 1
        written: dict[str, Any] = json.loads(path.read_text())
        return written

    begin_sweep()
    rounds = Planned()
    first, second = planned(0, rounds), planned(1, rounds)
    assert (len(first["runs"]), len(second["runs"])) == (1, 2)
    assert first["sweep"] == second["sweep"]
    begin_sweep()
    another = planned(2, Planned())
    assert len(another["runs"]) == 1
    assert another["sweep"] != second["sweep"]


@pytest.mark.parametrize(
    "reference, is_known", [("orthogonal", True), ("zeros", True), ("normal", True), ("zero", False)]
)
def test_a_reference_that_neither_the_sweep_nor_the_study_has_is_refused(
    reference: str, is_known: bool, hydra: Hydra, tmp_path: Path
) -> None:
    where = f"runs_dir={tmp_path}/runs"
    master = hydra.compose_config("config", [where, f"report.reference={reference}"], RunMode.MULTIRUN)
    write_record(tmp_path / "runs" / "main" / "earlier", record("normal", 0))
    jobs = [[where, "init=orthogonal"], [where, "init=zeros"]]
    started = dispatch(CachingConfigLoader(hydra.config_loader), master, [jobs], Planned())
    if is_known:
        assert [len(todo) for todo in started] == [2]
        written = json.loads((tmp_path / "runs" / "main" / ".sweep" / "plan.json").read_text())
        assert written["report"] == {"margin": None, "reference": reference}
    else:
        message = r"^unknown report\.reference 'zero'\. Did you mean 'zeros'\? Allowed: normal, orthogonal, zeros$"
        with pytest.raises(UserMistake, match=message):
            next(started)


@pytest.mark.parametrize(
    "seeds, inits, said",
    [
        (3, ["orthogonal", "zeros"], "3 seeds cannot show a significant difference; at least 6 are needed"),
        (
            10,
            ["orthogonal", "zeros"],
            "10 seeds can show a difference of 1.0 standard deviations of the paired difference",
        ),
        (10, ["orthogonal"], ""),
    ],
)
def test_a_plan_says_what_it_can_show(
    seeds: int, inits: list[str], said: str, hydra: Hydra, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"runs_dir={tmp_path}/runs"
    master = hydra.compose_config("config", [where, "dry_run=true"], RunMode.MULTIRUN)
    grid = [[where, f"init={init}", f"seed={seed}"] for init in inits for seed in range(seeds)]
    say_what_can_be_shown(CachingConfigLoader(hydra.config_loader), master, grid)
    found = capsys.readouterr().out
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    "typed, states",
    [
        ([], {"finished": "done", "interrupted": "refused: its files must stay as they are", "new": "new"}),
        (
            ["force=true"],
            {"finished": "refused: its files must stay as they are", "new": "new", "failed": "runs again"},
        ),
    ],
)
def test_a_plan_names_the_runs_whose_files_must_stay(
    typed: list[str],
    states: dict[str, str],
    hydra: Hydra,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The locks of two of them cannot be opened; one that is done stays as it is anyway, unless it is to run again."""
    monkeypatch.setattr(console, "_width", 200)  # a row of the table is one line
    where = f"runs_dir={tmp_path}/runs"
    master = hydra.compose_config("config", [where, "dry_run=true", *typed], RunMode.MULTIRUN)
    loader = CachingConfigLoader(hydra.config_loader)
    grid = [[where, f"seed={seed}"] for seed in range(4)]
    for status, job in zip(("finished", "interrupted", "new", "failed"), plan(loader, master, grid), strict=True):
        if status != "new":
            write_record(job.folder, record("any", 0, status=status))
        if status in ("finished", "interrupted"):
            (job.folder.parent / ".locks" / f"{job.folder.name}.lock").mkdir(parents=True)
    list(dispatch(loader, master, [grid], Planned()))
    shown = [line for line in capsys.readouterr().out.splitlines() if "lenet-mnist_mini" in line]
    found = dict(zip(("finished", "interrupted", "new", "failed"), shown, strict=True))
    assert {status: found[status].partition("seed")[2].split(maxsplit=1)[1].strip() for status in states} == states
