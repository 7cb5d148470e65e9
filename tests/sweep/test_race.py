"""until=sure: which runs each round asks for, from records written by hand, and real races."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from outcomes import outcomes

from initbench import load_runs, verdict
from initbench.config.check import check_sweep
from initbench.config.resolve import resolve
from initbench.errors import UserMistake
from initbench.record.plans import read_plans
from initbench.record.store import Store
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import Planned
from initbench.sweep.race import runs_per_round
from initbench.sweep.rounds import rounds

RACE = ["until=sure", "race.runs_per_round=4"]
Start = Callable[..., tuple[CachingConfigLoader, DictConfig]]
Accuracy = Callable[[str, int], float | str]  # of an initializer and a seed, or another status


@pytest.fixture
def start(compose: Start) -> Start:
    return lambda *typed: compose(*RACE, *typed)


def grid(master: DictConfig, *jobs: list[str]) -> list[list[str]]:
    return [[f"runs_dir={master.runs_dir}", *RACE, *job] for job in jobs]


def play(
    started: tuple[CachingConfigLoader, DictConfig], jobs: list[list[str]], accuracy: Accuracy, most: int = 1000
) -> list[list[tuple[str, str, int]]]:
    """The rounds of a race, each as (model, init, seed), where runs end as `accuracy` says; `most`: it is killed."""
    loader, master = started
    seen: list[list[tuple[str, str, int]]] = []
    left = most
    for batch in rounds(loader, master, grid(master, *jobs), Planned(), 4):
        asked = []
        for overrides in batch:
            config = loader.load_sweep_config(master, overrides)
            store = Store(resolve(config, config.hydra))
            init, seed = store.config["init"]["name"], store.config["seed"]
            asked.append((store.config["model"]["name"], init, seed))
            value = accuracy(init, seed)
            if left == 0:
                return seen
            left -= 1
            if isinstance(value, str):
                store.write(value, results={}, reason="because")
            else:
                results = {"val/accuracy": value, "test/accuracy": value, "ln_classes": 2.302585}
                store.write("finished", results=results)
        seen.append(asked)
    return seen


INITS = ["orthogonal", "default", "zeros", "constant"]
JOBS = [[f"init={init}"] for init in INITS]


def level(init: str, seed: int) -> float:
    """default is ahead of orthogonal with the first seed alone; the others have learned nothing."""
    wobble = math.sin(12.9898 * (seed + 1) + 78.233 * len(init)) / 200
    return {"orthogonal": 0.95, "default": 0.96 if seed == 0 else 0.93, "zeros": 0.1, "constant": 0.1}[init] + wobble


def test_each_round_has_the_next_seeds_of_those_that_are_in(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    seen = play(start(), JOBS, level)
    assert sorted(seen[0]) == sorted(("lenet", init, seed) for init in INITS for seed in range(5))
    assert sorted(seen[1]) == [("lenet", init, seed) for init in ("default", "orthogonal") for seed in (5, 6)]
    assert {init for batch in seen[1:] for _, init, _ in batch} == {"default", "orthogonal"}
    said = capsys.readouterr().out.replace("\n", " ")
    assert "after 5 seeds zeros is out: behind orthogonal in every run, by 84." in said
    assert "default is out: behind orthogonal" in said


def test_a_round_keeps_all_slots_busy_unless_its_size_is_set(start: Start) -> None:
    _, master = start("race.runs_per_round=null")
    assert [runs_per_round(master.race, slots) for slots in (1, 8, 16)] == [8, 8, 16]
    _, master = start("race.runs_per_round=4")
    assert runs_per_round(master.race, 16) == 4


def test_a_killed_race_goes_on_and_decides_as_it_would_have(start: Start, tmp_path: Path) -> None:
    """Killed after each number of runs; what it has decided is in its last round."""
    whole = play(start(), JOBS, level)
    total = sum(map(len, whole))
    for killed in (0, 3, 20, 21, total - 1):
        for record in tmp_path.glob("main/*/record.json"):
            record.unlink()
        play(start(), JOBS, level, most=killed)
        assert len(list(tmp_path.glob("main/*/record.json"))) == killed
        play(start(), JOBS, level)
        assert len(list(tmp_path.glob("main/*/record.json"))) == total
    assert play(start(), JOBS, level) == []  # all of it is there


def test_a_run_that_fails_scores_chance_when_it_has_been_tried_and_stops_nothing(start: Start, tmp_path: Path) -> None:
    seen = play(start(), JOBS, lambda init, seed: "failed" if init == "default" else level(init, seed))
    assert {init for batch in seen for _, init, seed in batch if seed > 5} == set()
    again = play(start(), JOBS, level)
    assert sorted(again[0]) == sorted(seen[0])  # those that failed are among them
    assert any(init == "default" and seed > 5 for batch in again for _, init, seed in batch)


def test_one_that_is_refused_takes_no_part(start: Start) -> None:
    seen = play(start(), JOBS, lambda init, seed: "refused" if init == "zeros" else level(init, seed))
    assert {init for batch in seen[1:] for _, init, _ in batch} == {"default", "orthogonal"}
    assert seen[1:]


def test_it_waits_for_runs_that_another_process_trains(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    seen = play(start(), JOBS, lambda init, seed: "interrupted" if (init, seed) == ("zeros", 4) else level(init, seed))
    assert len(seen) == 1
    assert "1 run has not ended, lenet-mnist_mini-zeros-seed4" in capsys.readouterr().out.replace("\n", " ")


def test_the_plan_is_written_before_the_first_run(start: Start, tmp_path: Path) -> None:
    loader, master = start("race.level=0.1", "report.margin=0.3")
    next(rounds(loader, master, grid(master, *JOBS), Planned(), 4))
    (plan,) = read_plans(tmp_path / "main")
    assert plan.inits == tuple(INITS)
    assert plan.race is not None
    assert (plan.race.level, plan.race.most_seeds, plan.margin, plan.seeds, plan.runs_before) == (0.1, 30, 0.3, (), 0)
    assert plan.targets == (0.8, 0.9, 0.95)


def test_one_race_over_all_workloads_or_one_for_each(start: Start) -> None:
    jobs = [[f"model={model}", f"init={init}"] for model in ("lenet", "mlp") for init in INITS]
    together = play(start(), jobs, level)
    assert {model for batch in together[1:] for model, _, _ in batch} == {"lenet", "mlp"}
    for batch in together:
        of_each = [{(init, seed) for name, init, seed in batch if name == model} for model in ("lenet", "mlp")]
        assert of_each[0] == of_each[1]
    apart = play(
        start("race.per_task=true", "study=apart"),
        [[*job, "study=apart", "race.per_task=true"] for job in jobs],
        level,
    )
    longest = [max(seed for batch in of for _, _, seed in batch) for of in (together, apart)]
    assert longest[0] < longest[1]  # two races share the level


def test_budgets_end_it_before_a_round_that_exceeds_them(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["race.budget=24", "study=runs"]
    seen = play(start(*typed), [[*job, *typed] for job in JOBS], level)
    assert sum(map(len, seen)) == 24
    assert "race: ends after 24 runs" in capsys.readouterr().out
    typed = ["race.budget=0s", "study=time"]
    assert len(play(start(*typed), [[*job, *typed] for job in JOBS], level)) == 1
    assert "as race.budget=0s has passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "typed, jobs, said",
    [
        ([], [["init=zeros"]], "until=sure needs two initializers or more, and zeros is the only one"),
        ([], [["init=zeros", "seed=3"], ["init=default", "seed=3"]], "seed=3 cannot be set with until=sure"),
        ([], [["init=zeros", "seeds.order=3"], ["init=default"]], "seeds.order cannot be set with until=sure"),
        (
            [],
            [
                [init, rate]
                for init in ("init=zeros", "init=default")
                for rate in ("optimizer.lr=0.1", "optimizer.lr=1")
            ],
            "optimizer.lr is swept over",
        ),
        (
            ["race.budget=5"],
            JOBS,
            "race.budget=5 is too small: nothing can be decided before 5 seeds, which are 20 runs",
        ),
        (["race.most_seeds=4"], JOBS, "race.most_seeds=4 is too small: .* before 5 seeds"),
        (["experiment=tuned", "tuning.seeds=[3,40]"], JOBS, "must not overlap the seeds of the race, 0 to 29; 3 does"),
    ],
)
def test_what_no_race_can_be_run_of_is_refused_before_anything_is_written(
    start: Start, tmp_path: Path, typed: list[str], jobs: list[list[str]], said: str
) -> None:
    loader, master = start(*typed)
    with pytest.raises(UserMistake, match=said):
        next(rounds(loader, master, grid(master, *([*typed, *job] for job in jobs)), Planned(), 4))
    assert not list(tmp_path.glob("**/*.lock"))


def test_rates_are_chosen_before_the_race_and_stay(start: Start) -> None:
    typed = ["experiment=tuned", "tuning.lr_factors=[0.3,1]", "tuning.extensions=0", "tuning.seeds=[100,101]"]
    loader, master = start(*typed)
    jobs = [[*typed, *job] for job in JOBS[:2]]
    seen = []
    for batch in rounds(loader, master, grid(master, *jobs), Planned(), 4):
        for overrides in batch:
            config = loader.load_sweep_config(master, overrides)
            store = Store(resolve(config, config.hydra))
            init, lr, seed = store.config["init"]["name"], store.config["optimizer"]["lr"], store.config["seed"]
            best = {"orthogonal": 0.0006, "default": 0.002}[init]
            value = level(init, seed) - (lr != best) / 10
            seen.append((init, lr, seed))
            results = {"val/accuracy": value, "test/accuracy": value, "ln_classes": 2.302585}
            store.write("finished", results=results)
    raced = {(init, lr) for init, lr, seed in seen if seed < 100}
    assert raced == {("orthogonal", 0.0006), ("default", 0.002)}
    assert {seed for _, _, seed in seen if seed < 100} >= set(range(5))


def test_in_races_of_their_own_workloads_are_named(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["race.per_task=true"]
    jobs = [[f"model={model}", f"init={init}", *typed] for model in ("lenet", "mlp") for init in INITS]
    play(start(*typed), jobs, level)
    said = capsys.readouterr().out
    for model in ("lenet", "mlp"):
        assert f"race on {model} on mnist_mini" in said


@pytest.mark.parametrize("budget", ["1.5", "true", "2 h", "[2]", "-3", "''"])
def test_a_budget_is_a_number_of_runs_or_a_time(start: Start, budget: str) -> None:
    _, master = start(f"race.budget={budget}")
    with pytest.raises(UserMistake, match=r"must be (a number of runs, such as 200, or a time|at least 1 run)"):
        check_sweep(master)


def test_the_last_round_that_a_budget_allows_is_said_to_be_the_last(start: Start, tmp_path: Path) -> None:
    play(start("race.budget=24"), [[*job, "race.budget=24"] for job in JOBS], level)
    plan = json.loads((tmp_path / "main" / ".sweep" / "plan.json").read_text())
    assert [(race["seeds"], race["is_over"]) for race in plan["race"]] == [(7, True)]


RACED = [
    *("-m", "logger=none", "trainer.accelerator=cpu", "trainer.threads=1", "model=mlp", "trainer.max_steps=20"),
    *("data.val_every_n_steps=10", "hydra/launcher=basic", "init=orthogonal,kaiming_normal", "until=sure"),
    *("race.runs_per_round=4", "race.most_seeds=12"),
]


def begin(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "initbench", f"data_dir={folder.parent}", *RACED]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def outcome_of(folder: Path) -> dict[str, Any]:
    """What a race has decided, and all that its runs left."""
    study = folder / "runs" / "main"
    plan = json.loads((study / ".sweep" / "plan.json").read_text())
    lock = [each.content for each in read_plans(study)]
    of_verdict = verdict(load_runs(study)).to_dict()
    found = {key: of_verdict[key] for key in ("sentences", "races", "workloads", "problems")}  # no times on the clock
    return {"plan": (plan["runs"], plan["race"]), "lock": lock, "verdict": found, "runs": outcomes(study)}


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_real_race_that_is_killed_in_its_second_round_ends_as_one_that_is_not(tmp_path: Path) -> None:
    whole = begin(tmp_path / "whole")
    killed = begin(tmp_path / "killed")
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("killed/runs/main/*/record.json"))) < 12:
        assert killed.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    (race,) = json.loads((tmp_path / "killed" / "runs" / "main" / ".sweep" / "plan.json").read_text())["race"]
    assert (race["seeds"], race["is_over"]) == (5, False)
    assert begin(tmp_path / "killed").wait(timeout=120) == 0
    assert whole.wait(timeout=120) == 0
    undisturbed = outcome_of(tmp_path / "whole")
    assert len(undisturbed["runs"]) >= 14
    assert outcome_of(tmp_path / "killed") == undisturbed
