"""What is said of a race while it runs, from courses made by hand."""

import math
import time
from typing import Any

import numpy as np
import pytest

from initbench.analysis.race.course import Course, Exit, Look
from initbench.analysis.race.raced import Raced
from initbench.analysis.race.rules import Rules
from initbench.errors import UserMistake
from initbench.metric import ACCURACY, Metric
from initbench.record.plans import Plan, Race
from initbench.sweep.race import _Entrant, _first_look, _is_spent, _next, check_size
from initbench.sweep.race_state import news, state

RULES = Rules(4, 0.05, 30, None, False)


def raced(inits: tuple[str, ...] = ("a", "b", "c", "d"), metric: Metric = ACCURACY, **parts: Any) -> Raced:
    """After 7 seeds b leads a; c is out since seed 5, d since seed 6."""
    exits = [Exit(2, 5, 1, 0.25, True), Exit(3, 6, 0, 0.125, False)]
    looks = [
        Look(5, 0, {1: 0.5, 2: 0.25}, {1: 0.75, 2: 0.2}),
        Look(7, 1, {0: 0.0625}, {0: 0.5}),
    ]
    keys: dict[str, Any] = {"inside": [0, 1], "seeds": 7, "exits": exits, "looks": looks, **parts}
    return Raced(inits, ("w1", "w2"), Course(RULES, **keys), np.zeros((7, 4)), (), 50, metric)


def test_a_state_is_that_after_the_latest_seed_in_the_names_of_initializers() -> None:
    assert state(raced(), "net on mnist") == {
        "workload": "net on mnist",
        "seeds": 7,
        "most_seeds": 30,
        "inside": ["a", "b"],
        "out": {"c": 5, "d": 6},
        "best": "b",
        "leads": {"a": ["6.25 points", "50.00 points"]},
        "saved": (2 + 1) * 2,  # seeds that those that are out have been spared, on two workloads
        "is_over": False,
    }


def test_a_lead_that_no_bound_ends_has_none() -> None:
    assert state(raced(looks=[Look(7, 1, {0: 0.0625}, {0: math.inf})]))["leads"] == {"a": ["6.25 points", ""]}


def test_a_race_that_is_over_or_out_of_budget_says_so() -> None:
    spent = state(raced(), is_spent=True)
    assert spent["is_over"]
    assert spent["leads"]  # as it stood
    over = state(raced(inside=[1]))
    assert (over["is_over"], over["leads"], over["best"]) == (True, {}, "b")


def test_before_its_first_look_a_race_has_no_best() -> None:
    begun = state(raced(inside=[0, 1, 2, 3], seeds=0, exits=[], looks=[]))
    assert (begun["best"], begun["leads"], begun["out"], begun["saved"], begun["workload"]) == (None, {}, {}, 0, "")


def test_whoever_leaves_is_told_once_with_who_beat_it_and_where() -> None:
    told: set[str] = set()
    first = "race: after 5 seeds c is out: behind b in every run, by 25.00 points on average"
    second = "race: after 6 seeds d is out: behind a, by 12.50 points on average"
    assert list(news([raced()], [""], told)) == [first, second]
    assert list(news([raced()], [""], told)) == []
    elsewhere = list(news([raced(), raced(exits=[])], ["net on mnist", "other"], told))
    assert elsewhere == [line.replace("race:", "race on net on mnist:") for line in (first, second)]
    assert list(news([raced(), raced()], ["net on mnist", "other"], told)) == [
        line.replace("race:", "race on other:") for line in (first, second)
    ]


ENTRANTS = [_Entrant((f"init={init}", f"model={of}"), init, of) for of in ("w1", "w2", "w3") for init in "abcd"]


@pytest.mark.parametrize(
    "size, seeds", [(1, [7]), (4, [7]), (5, [7, 8]), (8, [7, 8]), (9, [7, 8, 9]), (10**6, [*range(7, 30)])]
)
def test_a_round_has_whole_seeds_of_those_that_are_in_on_the_workloads_of_the_race(size: int, seeds: list[int]) -> None:
    assert _next(raced(), ENTRANTS, size) == [
        [f"init={init}", f"model={of}", f"seed={seed}"] for of in ("w1", "w2") for init in "ab" for seed in seeds
    ]


def test_a_race_that_is_over_has_no_further_round() -> None:
    assert _next(raced(inside=[1]), ENTRANTS, 8) == []
    assert _next(raced(seeds=30), ENTRANTS, 8) == []


@pytest.mark.parametrize(
    "budget, passed, said",
    [
        (None, 1e9, ""),
        (30, 0, ""),
        (29, 0, "ends after 20 runs, as another round of 10 would exceed race.budget=29"),
        ("90min", 5399, ""),
        ("90min", 5401, "ends after 20 runs, as race.budget=90min has passed"),
        ("1.5h", 5399, ""),
        ("1.5h", 5401, "ends after 20 runs, as race.budget=1.5h has passed"),
        ("2s", 1.9, ""),
        ("2s", 2.1, "ends after 20 runs, as race.budget=2s has passed"),
        ("1d", 86_300, ""),
        ("1d", 86_500, "ends after 20 runs, as race.budget=1d has passed"),
    ],
)
def test_a_budget_is_of_runs_or_of_time(
    budget: int | str | None, passed: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + passed)
    assert _is_spent(budget, 20, 10, 1000.0) == said


def planned(most_seeds: int = 30, budget: int | None = None, **keys: Any) -> Plan:
    race = Race(0.05, most_seeds, budget, strict=False, per_task=bool(keys.pop("per_task", False)))
    workloads = keys.pop("workloads", ("w1", "w2"))
    return Plan(("a", "b", "c"), workloads, (), (), None, None, race)


def test_a_race_that_is_just_long_enough_is_allowed() -> None:
    first = _first_look(planned(), 0)
    check_size(planned(most_seeds=first), 0)
    with pytest.raises(UserMistake, match=f"about 3 initializers before {first} seeds$"):
        check_size(planned(most_seeds=first - 1), 0)
    runs = first * 3 * 2
    check_size(planned(budget=runs), 0)
    with pytest.raises(UserMistake, match=f"before {first} seeds, which are {runs} runs$"):
        check_size(planned(budget=runs - 1), 0)


def test_each_look_and_each_race_of_its_own_takes_half_of_the_level_or_its_part() -> None:
    """At a half of the level as many seeds are needed as by one look more, at a quarter as by two."""
    by_looks = [_first_look(planned(), looks) for looks in range(4)]
    assert by_looks == sorted(by_looks)
    assert by_looks[0] < by_looks[3]
    apart = [_first_look(planned(per_task=True, workloads=tuple("wxyz"[:number])), 0) for number in (1, 2, 4)]
    assert apart == by_looks[:3]
    assert _first_look(planned(per_task=True), 1) == by_looks[2]
    halved = Plan(("a", "b", "c"), ("w",), (), (), None, None, Race(0.05 / 8, 30, None, strict=False, per_task=False))
    assert _first_look(halved, 0) == by_looks[3]
