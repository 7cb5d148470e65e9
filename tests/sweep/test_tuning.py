"""experiment=tuned: which runs each round asks for, from records written by hand, and one real sweep."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forking
import pytest
from omegaconf import DictConfig

from initbench.config.resolve import resolve
from initbench.errors import UserMistake
from initbench.record.store import Store
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import Planned
from initbench.sweep.rounds import rounds

TUNED = ["experiment=tuned", "tuning.lr_factors=[0.3,1,3]", "tuning.seeds=[100,101]"]
Accuracy = Callable[[str, float, int], float | None]  # of an initializer, a learning rate and a seed


@pytest.fixture
def start(compose: Any) -> Callable[..., tuple[CachingConfigLoader, DictConfig]]:
    return lambda *typed: compose(*TUNED, *typed)


def play(loader: CachingConfigLoader, master: DictConfig, jobs: list[list[str]], accuracy: Accuracy) -> list[Any]:
    """The rounds of a sweep, each as (init, lr, seed), where runs end with `accuracy`, diverge at None."""
    base = [f"runs_dir={master.runs_dir}", *TUNED]
    seen = []
    for batch in rounds(loader, master, [[*base, *job] for job in jobs], Planned(), 4):
        asked = []
        for overrides in batch:
            config = loader.load_sweep_config(master, overrides)
            store = Store(resolve(config, config.hydra))
            init, lr, seed = store.config["init"]["name"], store.config["optimizer"]["lr"], store.config["seed"]
            asked.append((init, lr, seed))
            value = accuracy(init, lr, seed)
            status = "finished" if value is not None else "diverged"
            store.write(status, results={"val/accuracy": value, "test/accuracy": value, "ln_classes": 2.302585})
        seen.append(asked)
    return seen


def test_each_initializer_is_scored_at_the_rate_that_suits_it(start: Any) -> None:
    """Adam's 0.002: orthogonal is best in the middle; zeros at the top, and after one step on within the grid."""
    best = {"orthogonal": 0.002, "zeros": 0.006}
    jobs = [[f"init={init}", f"seed={seed}"] for init in best for seed in (0, 1)]
    seen = play(*start(), jobs, lambda init, lr, seed: 0.9 - abs(lr - best[init]) - seed / 1e6)
    grid = [(init, lr, seed) for init in best for lr in (0.0006, 0.002, 0.006) for seed in (100, 101)]
    further = [("zeros", 0.018, seed) for seed in (100, 101)]
    scored = [("orthogonal", 0.002, 0), ("orthogonal", 0.002, 1), ("zeros", 0.006, 0), ("zeros", 0.006, 1)]
    assert seen == [grid, further, scored]


def test_the_grid_goes_on_downwards_and_only_so_often(start: Any) -> None:
    seen = play(*start("tuning.extensions=3"), [["init=zeros", "seed=0"]], lambda init, lr, seed: 1 - lr)
    assert [batch[0][1] for batch in seen] == [0.0006, 0.00018, 5.4e-05, 1.62e-05, 1.62e-05]
    assert seen[-1] == [("zeros", 1.62e-05, 0)]


def test_where_all_rates_are_alike_the_configs_own_is_taken(start: Any) -> None:
    seen = play(*start(), [["init=zeros", "seed=0"]], lambda *_: 0.1)
    assert seen[1:] == [[("zeros", 0.002, 0)]]


def test_a_rate_that_diverges_scores_chance(start: Any) -> None:
    seen = play(*start(), [["init=zeros", "seed=0"]], lambda init, lr, seed: None if lr > 0.001 else 0.05)
    assert seen[-1] == [("zeros", 0.006, 0)]  # chance, 0.1, is more than 0.05; between equals above the middle


def test_what_is_not_tuned_yet_is_not_scored(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loader, master = start()
    job = [f"runs_dir={master.runs_dir}", *TUNED, "init=zeros", "seed=0"]
    assert len(list(rounds(loader, master, [job], Planned(), 4))) == 1  # nobody runs it
    assert "1 run to be scored waits for tuning runs" in capsys.readouterr().out.replace("\n", " ")


def test_a_rate_is_chosen_when_all_of_its_runs_have_ended(start: Any) -> None:
    """The best one may be the one that is still running."""
    loader, master = start()
    job = [f"runs_dir={master.runs_dir}", *TUNED, "init=zeros", "seed=0"]
    batches = rounds(loader, master, [job], Planned(), 4)
    for overrides in next(batches)[:-1]:
        config = loader.load_sweep_config(master, overrides)
        values = {"val/accuracy": 0.5, "test/accuracy": 0.5, "ln_classes": 2.302585}
        Store(resolve(config, config.hydra)).write("finished", results=values)
    assert list(batches) == []


@pytest.mark.parametrize("scored, is_warned", [(2, False), (3, True)])
def test_fewer_seeds_that_choose_than_are_scored_are_told(
    scored: int, is_warned: bool, start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    loader, master = start()
    base = [f"runs_dir={master.runs_dir}", *TUNED]
    next(rounds(loader, master, [[*base, "init=zeros", f"seed={seed}"] for seed in range(scored)], Planned(), 4))
    said = capsys.readouterr().out
    assert ("only 2 seeds choose the learning rates, but 3 are scored" in said) == is_warned


@pytest.mark.parametrize(
    "typed, job, said",
    [
        ([], ["optimizer.lr=0.1", "seed=0"], "optimizer.lr cannot be set with experiment=tuned"),
        ([], ["seed=101"], "seed=101 cannot be scored"),
        ([], ["~optimizer.lr", "seed=0"], "no learning rate to tune"),
    ],
)
def test_what_cannot_be_tuned_is_refused(start: Any, typed: list[str], job: list[str], said: str) -> None:
    loader, master = start(*typed)
    with pytest.raises(UserMistake, match=said):
        next(rounds(loader, master, [job], Planned(), 4))


def test_a_real_one_and_the_commands_of_its_runs(tmp_path: Path) -> None:
    typed = "init=orthogonal,zeros model=mlp seed=0,1 trainer.max_steps=6 data.val_every_n_steps=3 logger=none"
    command = [sys.executable, "-m", "initbench", *TUNED, *shlex.split(typed)]
    command += ["trainer.accelerator=cpu", "trainer.threads=1", "study=tuned", "tuning.extensions=1"]
    first = forking.run(tmp_path, command, timeout=240)
    assert first.returncode == 0, first.stdout + first.stderr
    lines = [line for line in first.stdout.splitlines() if "-seed100" in line]
    assert {word for line in lines for word in line.split("  ") if word.startswith("lr ")} >= {"lr 0.0006", "lr 0.006"}
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/tuned/*/record.json")]
    scored = [record for record in records if record["seed"] in (0, 1)]
    assert len(scored) == 4
    assert sum(record["seed"] in (100, 101) for record in records) in (12, 14, 16)
    assert {record["status"] for record in records} == {"finished"}
    own = shlex.split(scored[0]["config"]["command"])
    again = forking.run(tmp_path, [sys.executable, *own[1:], "dry_run=true"])
    assert "1 run, 0 to do" in again.stdout, again.stdout + again.stderr
