"""A race from the frame of runs: which of them count, and what those without a result score."""

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import frame, record

from initbench.analysis.race.raced import Raced, races
from initbench.metric import ACCURACY
from initbench.record.plans import Plan, Race

LOSS = {"name": "loss", "label": "test loss", "higher_is_better": False, "unit": "nats", "perfect": 0.0}


def scored(init: str, seed: int, value: float | None, *, chance: float | None = None, **parts: Any) -> dict[str, Any]:
    """A record that is judged by a loss, with or without a chance level."""
    if value is not None:
        parts["results"] = {"val/loss": value, "val/best_loss": value, "test/loss": value, "chance_loss": chance}
    return record(init, seed, None, metric={**LOSS, "chance": chance}, **parts)


def plan_of(runs: pd.DataFrame, **parts: Any) -> Plan:
    race = Race(level=0.05, most_seeds=20, budget=None, strict=False, per_task=False)
    workloads = tuple(runs["workload_id"].drop_duplicates())
    return replace(Plan(("a", "b"), workloads, (), (), None, None, race), **parts)


def raced(*records: dict[str, Any], **parts: Any) -> Raced:
    (race,) = races(runs := frame(*records), plan_of(runs, **parts))
    return race


def known(race: Raced) -> list[list[float]]:
    """The scores of the seeds of which something has ended."""
    return race.scores[~np.isnan(race.scores).all(axis=1)].tolist()


def test_without_a_chance_level_what_failed_scores_the_worst_up_to_its_seed() -> None:
    """Neither the worst of its own seed alone, which may be a good one, nor that of all, which is not known yet."""
    a = [scored("a", seed, loss) for seed, loss in enumerate((1.0, 3.0, 1.5, 1.25, 7.0))]
    b = [scored("b", seed, 2.0) for seed in (0, 1, 4)]
    failed = [scored("b", 2, None, status="failed"), scored("b", 3, math.inf, status="diverged")]
    assert known(raced(*a, *b, *failed)) == [[-1, -2], [-3, -2], [-1.5, -3], [-1.25, -3], [-7, -2]]


def test_what_failed_scores_chance_where_that_is_worse_than_the_worst() -> None:
    runs = [scored("a", seed, loss, chance=4.0) for seed, loss in enumerate((1.0, 9.0, 2.0))]
    failed = [scored("b", seed, None, chance=4.0, status="failed") for seed in range(3)]
    assert known(raced(*runs, *failed)) == [[-1, -4], [-9, -9], [-2, -9]]


def test_what_failed_before_any_had_a_score_is_alike() -> None:
    failed = [scored(init, 0, None, status="failed") for init in "ab"]
    assert known(raced(*failed, scored("a", 1, 2.0), scored("b", 1, 3.0))) == [[0, 0], [-2, -3]]


def test_a_share_of_what_failed_is_chance_however_low_the_others_are() -> None:
    metric = asdict(replace(ACCURACY, chance=0.1))
    first = [record("a", 0, 0.05, metric=metric), record("b", 0, None, status="failed", metric=metric)]
    race = raced(*first, *(record(init, 1, value, metric=metric) for init, value in {"a": 0.9, "b": 0.8}.items()))
    assert known(race) == [[0.05, 0.1], [0.9, 0.8]]


def test_what_has_not_ended_has_no_score_and_is_not_counted() -> None:
    race = raced(record("a", 0, 0.5), record("b", 0, status="running"), record("b", 1, status="interrupted"))
    assert race.scores[0, 0] == 0.5
    assert np.isnan(race.scores[0, 1])
    assert np.isnan(race.scores[1]).all()
    assert race.runs == 1


def test_only_what_the_plan_names_takes_part() -> None:
    """Not other initializers or workloads, seeds that tune, or seeds beyond the most that may be run."""
    runs = frame(
        *(record(init, seed, 0.5, tuning=(7,)) for init in "abc" for seed in (0, 7, 20)),
        *(record(init, 0, 0.9, model={"depth": 2}) for init in "ab"),
    )
    first = runs["workload_id"].iloc[0]
    (race,) = races(runs, plan_of(runs, workloads=(first,)))
    assert race.inits == ("a", "b")
    assert race.workloads == (first,)
    assert known(race) == [[0.5, 0.5]]
    assert race.runs == 2


def test_a_score_is_the_mean_over_the_workloads_and_missing_where_one_is() -> None:
    runs = [record(init, 0, 0.5, model={"depth": depth}) for init in "ab" for depth in (1, 2)]
    more = [record("a", 0, 0.8, model={"depth": 3}), record("b", 0, 0.2, model={"depth": 3})]
    half = [record("a", 1, 0.5, model={"depth": 1})]
    race = raced(*runs, *more, *half)
    assert race.scores[0] == pytest.approx([0.6, 0.4])
    assert np.isnan(race.scores[1]).all()
    assert race.needed == race.course.runs * 3
    assert race.runs == 7


def test_what_is_saved_is_saved_on_each_workload() -> None:
    means = {"a": (0.9, 0.8), "b": (0.1, 0.1), "c": (0.8, 0.9)}
    runs = [
        record(init, seed, of[seed % 2] + seed / 1e4, model={"depth": depth})
        for init, of in means.items()
        for seed in range(12)
        for depth in (1, 2)
    ]
    race = raced(*runs, inits=("a", "b", "c"))
    (out,) = race.course.exits
    assert race.course.seeds == 12 > out.seeds
    assert race.saved == 2 * (12 - out.seeds)


def test_runs_that_share_seeds_by_design_take_no_part() -> None:
    crossed = {"seed": 0, "seeds": {"weights": 0, "order": 1}}
    runs = frame(record("a", 0, 0.5), record("b", 0, 0.4))
    both = pd.concat([runs, runs.assign(score=0.9, seed=1, seeds=[crossed["seeds"]] * 2)], ignore_index=True)
    (race,) = races(both, plan_of(runs))
    assert known(race) == [[0.5, 0.4]]
    assert race.runs == 2


def test_a_run_that_ended_without_a_number_failed() -> None:
    metric = asdict(replace(ACCURACY, chance=0.1))
    runs = frame(*(record(init, seed, 0.8, metric=metric) for init in "ab" for seed in (0, 1)))
    runs.loc[(runs["init"] == "b") & (runs["seed"] == 1), "score"] = math.nan
    (race,) = races(runs, plan_of(runs))
    assert known(race) == [[0.8, 0.8], [0.8, 0.1]]


def test_the_refused_are_out_and_named() -> None:
    race = raced(*(record("a", seed, 0.5) for seed in range(2)), record("b", 0, status="refused"))
    assert (race.inits, race.refused) == (("a",), ("b",))


def test_one_that_was_refused_once_and_could_then_takes_part() -> None:
    race = raced(record("a", 0, 0.5), record("b", 0, status="refused"), record("b", 1, 0.4))
    assert (race.inits, race.refused) == (("a", "b"), ())


def test_each_look_halves_the_level_and_workloads_that_race_apart_share_it() -> None:
    runs = frame(*(record(init, 0, 0.5, model={"depth": depth}) for init in "ab" for depth in (1, 2)))
    plan = plan_of(runs)
    assert plan.race is not None
    (whole,) = races(runs, plan, looks=3)
    assert whole.course.rules.level == pytest.approx(0.05 / 8)
    apart = races(runs, replace(plan, race=replace(plan.race, per_task=True)), looks=1)
    assert [race.course.rules.level for race in apart] == pytest.approx([0.05 / 4] * 2)
    assert [race.workloads for race in apart] == [(of,) for of in plan.workloads]


@pytest.mark.parametrize(
    "margin, is_share, expected", [(None, True, 0.005), (2.0, True, 0.02), (None, False, None), (0.1, False, 0.1)]
)
def test_the_margin_is_in_the_unit_of_the_scores(margin: float | None, is_share: bool, expected: float | None) -> None:
    make: Any = record if is_share else scored
    rules = raced(make("a", 0, 0.5), make("b", 0, 0.5), margin=margin).course.rules
    assert rules.margin == (None if expected is None else pytest.approx(expected))


def test_the_saved_are_those_that_the_beaten_were_spared() -> None:
    """b is beaten at once; the race goes on between a and c, which are alike by turns, until the runs end."""
    means = {"a": (0.9, 0.8), "b": (0.1, 0.1), "c": (0.8, 0.9)}
    runs = [record(init, seed, of[seed % 2] + seed / 1e4) for init, of in means.items() for seed in range(20)]
    race = raced(*runs, inits=("a", "b", "c"), margin=0.01)
    (out,) = race.course.exits
    assert race.inits[out.init] == "b"
    assert race.course.seeds > out.seeds
    assert race.saved == race.course.seeds - out.seeds
    assert race.needed == 2 * race.course.seeds + out.seeds
