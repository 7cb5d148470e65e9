"""What is said of a race, and of a study to which seeds were added after its results had been seen."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.verdict import Verdict
from initbench.record.plans import Plan, Race

RACE = Race(0.05, 30, None, strict=False, per_task=False)


def planned(runs: pd.DataFrame, **keys: object) -> pd.DataFrame:
    """The same runs, of a study whose only plan was a race; keys: of its rules, or of the plan."""
    rules = {key: value for key, value in keys.items() if hasattr(RACE, key)}
    race = Race(**{**vars(RACE), **rules})
    others = {key: value for key, value in keys.items() if key not in rules}
    inits, workloads = (tuple(dict.fromkeys(runs[column])) for column in ("init", "workload_id"))
    plan = {"inits": inits, "workloads": workloads, "seeds": (), "targets": (), "margin": None, "reference": None}
    runs.attrs["plans"] = [Plan(**{**plan, **others}, race=race)]
    return runs


def scores(*leads: float, seeds: int = 30, spread: float = 0.004) -> pd.DataFrame:
    """Runs of initializers a, b, ... with these mean accuracies, in points above 90 %."""
    rng = np.random.default_rng(0)
    common = spread * rng.normal(size=seeds)
    places = [(init, lead, seed) for init, lead in zip("abcdefgh", leads, strict=False) for seed in range(seeds)]
    return frame(
        *(record(init, seed, 0.9 + lead / 100 + common[seed] + spread * rng.normal()) for init, lead, seed in places)
    )


def said(runs: pd.DataFrame, margin: float | None = None) -> dict[str, str]:
    return {sentence.kind: sentence.text for sentence in Verdict(Comparison(runs, margin=margin)).sentences}


def test_a_winner_who_is_out_and_how_many_runs_it_took() -> None:
    found = said(planned(scores(0.8, 0, -80)))
    assert found["winner"].startswith("Use a: it won the race against the other 2 initializers after ")
    assert found["winner"].endswith("the best initializer drops out in at most 5% of races.")
    assert found["out"].startswith("Dropped: c after 5 seeds (beaten by a by 80.")
    assert "is no claim that it is worse than another" in found["out"]
    assert ". If its lead of 0." in found["runs"]
    assert not {"better", "worse", "open", "standing"} & found.keys()


def test_equal_ones() -> None:
    found = said(planned(scores(0, 0, 0, spread=0.001)))
    assert found["equal"].startswith("Use a, b or c: these are equal to within 0.50 points after ")
    assert "so any of them will do" in found["equal"]


def test_the_margin_is_the_one_that_was_planned() -> None:
    runs = planned(scores(0, 0, spread=0.001), margin=0.2)
    assert said(runs, margin=3.0)["equal"].startswith("Use a or b: these are equal to within 0.20 points after ")


def test_an_undecided_one() -> None:
    found = said(planned(scores(0.1, 0, seeds=12, spread=0.02)))
    assert found["open"] == "The race between a and b is undecided after 12 seeds."
    assert said(planned(scores(0.1, 0, spread=0.02), most_seeds=12))["open"] == (
        "The race between a and b ends undecided after 12 seeds."
    )


def test_a_strict_one_says_who_is_worse() -> None:
    found = said(planned(scores(2, 0, -80), strict=True))
    assert found["worse"].endswith(
        "Each is worse than the one that beat it; in at most 5% of races is any of these statements wrong."
    )


def test_each_workload_has_a_race_of_its_own_with_per_task() -> None:
    shallow, deep = scores(2, 0), scores(0, 2)
    runs = pd.concat([shallow, deep.assign(workload="deep", workload_id="deep")], ignore_index=True)
    texts = [of.text for of in Verdict(Comparison(planned(runs, per_task=True))).sentences if of.kind == "winner"]
    assert [text.partition(". ")[2][:6] for text in texts] == ["Use a:", "Use b:"]
    assert all("at most 2.5% of races" in text for text in texts)
    together = said(planned(runs))
    assert "winner" not in together


def test_a_run_that_failed_counts_as_chance_and_stays_decided() -> None:
    failed = [record("b", seed, None, status="failed") for seed in range(5)]
    runs = frame(*(record("a", seed, 0.9) for seed in range(5)), *failed)
    assert said(planned(runs))["winner"].startswith("Use a")


def test_who_was_refused_takes_no_part() -> None:
    refused = [record("c", seed, None, status="refused") for seed in range(5)]
    others = [record(init, seed, accuracy) for init, accuracy in (("a", 0.9), ("b", 0.1)) for seed in range(5)]
    assert "the other one after 5 seeds" in said(planned(frame(*others, *refused)))["winner"]


def test_a_study_that_grew_is_judged_at_half_the_level() -> None:
    runs = scores(0.55, 0, seeds=20)
    inits, workloads = ("a", "b"), tuple(runs["workload_id"].unique())
    first = Plan(inits, workloads, tuple(range(10)), (), None, None)
    second = Plan(inits, workloads, tuple(range(20)), (), None, None, runs_before=20)
    runs.attrs["plans"] = [first, second]
    comparison = Comparison(runs)
    assert comparison.looks == [first]
    assert comparison.level == 0.025
    assert comparison.findings[0].level == 0.025
    found = said(runs)
    assert found["looks"] == (
        "The results of 10 seeds had been seen before, so this verdict uses a level of 2.5% instead of 5%."
    )
    problems = [problem.text for problem in Verdict(comparison).problems]
    assert problems == [
        "The plan was changed after 20 runs of the study: seeds added: 10, 11, 12, 13, 14, 15, 16, 17 and 2 more."
    ]


def test_an_initializer_whose_command_is_typed_again_was_not_added() -> None:
    """Each has a command of its own, and gets its further seeds by the same one."""
    runs = scores(0.55, 0, seeds=4)
    workloads = tuple(runs["workload_id"].unique())
    first, second = (
        Plan((init,), workloads, (0, 1), (), None, None, runs_before=n) for init, n in (("a", 0), ("b", 2))
    )
    again = [replace(plan, seeds=(0, 1, 2, 3), runs_before=n) for plan, n in ((first, 4), (second, 6))]
    runs.attrs["plans"] = [first, second, *again]
    assert [problem.text for problem in Verdict(Comparison(runs)).problems] == [
        "The plan was changed after 2 runs of the study: initializers added: b.",
        "The plan was changed after 4 runs of the study: seeds added: 2, 3.",
    ]


def test_the_level_that_is_announced_is_the_one_of_the_next_verdict() -> None:
    """c came with the seeds that a and b had."""
    runs = scores(0.1, 0.1, 0.1, seeds=12)
    plan = Plan(("a", "b"), tuple(runs["workload_id"].unique()), tuple(range(12)), (), None, None)
    wider = replace(plan, inits=("a", "b", "c"), runs_before=24)
    runs.attrs["plans"] = [plan, wider]
    (announced,) = re.findall(r"at a level of (\S+)%;", said(runs)["settle"])
    runs.attrs["plans"].append(replace(wider, seeds=tuple(range(30)), runs_before=36))
    assert Comparison(runs).level == float(announced) / 100 == 0.025


@pytest.mark.parametrize(
    "second",
    [
        {"seeds": (0, 1), "runs_before": 4},  # fewer
        {"seeds": (0, 1, 2, 3, 4, 5), "inits": ("b", "c"), "runs_before": 4},  # others
        {"seeds": (0, 1, 2, 3, 4, 5), "workloads": ("other",), "runs_before": 4},
        {"seeds": (0, 1, 2, 3, 4, 5), "runs_before": 0},  # nobody has seen anything
    ],
)
def test_what_is_no_further_look(second: dict) -> None:
    plan = {"inits": ("a", "b"), "workloads": ("w",), "targets": (), "margin": None, "reference": None}
    runs = scores(0, 0, seeds=6)
    runs.attrs["plans"] = [Plan(**plan, seeds=(0, 1, 2)), Plan(**{**plan, **second})]
    assert Comparison(runs).level == 0.05


def test_the_latest_sweep_decides_what_is_said_and_what_was_seen_halves_the_level() -> None:
    runs = planned(scores(2, 0))
    (race,) = runs.attrs["plans"]
    typed = replace(race, race=None, seeds=tuple(range(6)))
    runs.attrs["plans"] = [typed, replace(race, runs_before=12)]
    found = said(runs)
    assert "in at most 2.5% of races" in found["winner"]
    assert "The results of 6 seeds had been seen before, so" in found["looks"]
    runs.attrs["plans"] = [race, replace(typed, seeds=tuple(range(30)), runs_before=12)]
    found = said(runs)
    assert "chance alone would do that in fewer than 1 of 40 such studies" in found["winner"]
    assert "The results of a race had been seen before" in found["looks"]


def test_where_nobody_learns_there_is_nothing_to_choose() -> None:
    runs = planned(frame(*(record(init, seed, 0.1 + seed / 1e4) for init in "ab" for seed in range(30))))
    assert said(runs).keys() & {"winner", "equal", "nothing"} == {"nothing"}


def test_the_lead_that_a_fixed_design_would_have_to_show_is_the_smallest() -> None:
    """b and c are out at the same look."""
    places = [(init, accuracy, seed) for init, accuracy in (("a", 0.9), ("b", 0.87), ("c", 0.1)) for seed in range(5)]
    found = said(planned(frame(*(record(init, seed, of + seed / 1e4) for init, of, seed in places))))
    assert "If its lead of 3.00 points over b were the true one" in found["runs"]
