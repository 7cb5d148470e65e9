"""The grid of learning rates: where it goes on, and what is said of it."""

from typing import Any

import pytest

from initbench.errors import UserMistake
from initbench.sweep import race, tuning
from initbench.sweep.tuning import _base, _beyond, _candidates, _job


@pytest.mark.parametrize(
    "rates, best, expected",
    [
        ([0.1, 0.3, 1.0], 0.3, None),
        ([0.1, 0.3, 1.0], 0.1, 0.0333333),
        ([0.1, 0.3, 1.0], 1.0, 3.33333),
        ([1.0, 2.0], 1.0, 0.5),
        ([1.0, 2.0], 2.0, 4.0),
        ([0.0006, 0.002, 0.006], 0.006, 0.018),
    ],
)
def test_the_grid_goes_on_by_its_last_step(rates: list[float], best: float, expected: float | None) -> None:
    assert _beyond(rates, best) == expected


def test_a_job_is_tuned_by_all_but_its_seed_and_a_rate_is_typed_in_six_digits() -> None:
    job = ["init=zeros", "seed=3", "model=mlp"]
    assert _base(job) == ("init=zeros", "model=mlp")
    assert _job(_base(job), 0.1 / 3, 7) == ["init=zeros", "model=mlp", "seed=7", "optimizer.lr=0.0333333"]


def test_candidates_are_multiples_of_the_configs_own_rate_in_order_each_once(compose: Any) -> None:
    loader, master = compose()
    where = (f"runs_dir={master.runs_dir}",)
    assert _candidates(loader, master, where, [3, 1, 0.3, 1]) == [0.0006, 0.002, 0.006]
    typed = (*where, "optimizer.lr=0.1")
    assert _candidates(loader, master, typed, [3, 1 / 3]) == [0.0333333, 0.3], (
        "as they are typed, not 0.30000000000000004"
    )
    assert _candidates(loader, master, (*where, "optimizer=sgd"), [1]) == [
        loader.load_sweep_config(master, [*where, "optimizer=sgd"]).optimizer.lr
    ]


TUNED = ["experiment=tuned", "tuning.seeds=[100,101,102]", "tuning.lr_factors=[0.3,1]"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "typed, scored, told",
    [
        ([], 3, ""),
        ([], 4, "only 3 seeds choose the learning rates, but 4 are scored"),
        (["tuning.seeds=[100]"], 2, "only 1 seed chooses the learning rates, but 2 are scored"),
        (["until=sure"], 1, "only 3 seeds choose the learning rates, but up to 30 are scored"),
        (["tuning.seeds=[100,101,102,103,104,105,106,107,108,109]", "until=sure"], 1, ""),
        (["tuning.seeds=[100,101,102,103,104,105,106,107,108]", "until=sure"], 1, "only 9 seeds choose"),
    ],
)
def test_what_chooses_the_rates_is_told_beside_what_is_scored(
    typed: list[str], scored: int, told: str, compose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    loader, master = compose(*TUNED, *typed)
    base = [f"runs_dir={master.runs_dir}", *TUNED, *typed]
    jobs = [[*base, f"init={init}", f"seed={seed}"] for init in ("zeros", "ones") for seed in range(scored)]
    first = next(tuning.rounds(loader, master, jobs))
    seeds = list(master.tuning.seeds)
    assert first == [
        [*base, f"init={init}", f"seed={seed}", f"optimizer.lr={rate}"]
        for init in ("zeros", "ones")
        for rate in ("0.0006", "0.002")
        for seed in seeds
    ]
    found = said(capsys)
    number = f"{len(seeds)} seed" + ("s" if len(seeds) > 1 else "")
    assert found.startswith(f"tuning: 2 configs at 2 learning rates, {number} each")
    assert (told in found) if told else ("choose" not in found)


@pytest.mark.parametrize(
    "jobs, words",
    [
        ([["seed=0", "optimizer.lr=1"]], r"^optimizer\.lr cannot be set with experiment=tuned"),
        (
            [["seed=0"], ["seed=102"], ["seed=100"]],
            r"^seed=100,102 cannot be scored, because tuning.seeds=\[100, 101",
        ),
        ([["seed=0"], ["seed=1", "~optimizer.lr"]], "^there is no learning rate to tune: optimizer.lr=None"),
    ],
)
def test_what_cannot_be_tuned_is_named_wherever_it_stands(jobs: list[list[str]], words: str, compose: Any) -> None:
    loader, master = compose(*TUNED)
    with pytest.raises(UserMistake, match=words):
        tuning.check(loader, master, [[f"runs_dir={master.runs_dir}", *TUNED, *job] for job in jobs])


RACE = ["until=sure"]


@pytest.mark.parametrize(
    "typed, jobs, words",
    [
        ([], [["init=zeros"], ["init=ones", "+seed=3"]], "^seed=3 cannot be set with until=sure, which runs seeds"),
        *[
            ([], [["init=zeros"], ["init=ones", f"seeds.{of}=3"]], f"^seeds.{of} cannot be set with until=sure")
            for of in ("weights", "order", "augmentation")
        ],
        (["report.reference=zeros"], [["init=zeros"], ["init=ones"]], "^report.reference=zeros cannot be set"),
        ([], [["init=ones"], ["init=ones"]], "needs two initializers or more, and ones is the only one"),
        (
            ["experiment=tuned", "tuning.seeds=[30,29,12,5]"],
            [["init=zeros"], ["init=ones"]],
            r"^tuning.seeds=\[30, 29, 12, 5\] must not overlap the seeds of the race, 0 to 29; 5 does",
        ),
    ],
)
def test_what_no_race_can_be_run_of_is_named(typed: list[str], jobs: list[list[str]], words: str, compose: Any) -> None:
    loader, master = compose(*RACE, *typed)
    with pytest.raises(UserMistake, match=words):
        race.check(loader, master, [[f"runs_dir={master.runs_dir}", *RACE, *typed, *job] for job in jobs])


@pytest.mark.parametrize(
    "typed, jobs",
    [
        ([], [["init=zeros", "seeds.order=null"], ["init=ones", "seeds.split=3"]]),
        (["experiment=tuned", "tuning.seeds=[30,31]"], [["init=zeros"], ["init=ones"]]),
        ([], [[f"init={init}", f"model={model}"] for init in ("zeros", "ones") for model in ("mlp", "lenet")]),
    ],
)
def test_what_a_race_can_be_run_of(typed: list[str], jobs: list[list[str]], compose: Any) -> None:
    loader, master = compose(*RACE, *typed)
    race.check(loader, master, [[f"runs_dir={master.runs_dir}", *RACE, *typed, *job] for job in jobs])


def test_a_round_is_as_large_as_the_slots_or_as_it_was_set(compose: Any) -> None:
    _, master = compose()
    assert [race.runs_per_round(master.race, slots) for slots in (1, 7, 8, 9)] == [8, 8, 8, 9]
    _, master = compose("race.runs_per_round=1")
    assert race.runs_per_round(master.race, 9) == 1
