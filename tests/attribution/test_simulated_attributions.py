"""What attributions claim, by simulation with fixed seeds; counts are held to the 0.1 % quantile of the binomial."""

import numpy as np
import pytest
from bench_attribution import NAMES, SCENARIOS, is_true, scores, truth
from scipy import stats

from initbench.attribution.design import Design, design
from initbench.attribution.effects import Effects
from initbench.attribution.smallest import smallest

STUDIES = 200
KINDS = ["normal", "skewed", "heavy", "unequal spread"]


def studies(plan: Design, kind: str, scenario: str, seeds: int = 12) -> list[Effects]:
    rng = np.random.default_rng([len(plan.parts), seeds, *kind.encode(), *scenario.encode()])
    return [Effects(plan, scores(rng, plan, kind, seeds, SCENARIOS[scenario])) for _ in range(STUDIES)]


def is_false(effects: Effects, scenario: str) -> bool:
    table = effects.table
    shown = np.flatnonzero(table["is_shown"])
    return any(not is_true(effects.design, SCENARIOS[scenario], row, table["gain"].iloc[row]) for row in shown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "scenario, parts", [*((scenario, 3) for scenario in SCENARIOS), ("nothing", 6), ("two that interact", 6)]
)
def test_a_claim_is_false_in_at_most_one_study_of_twenty(scenario: str, parts: int, kind: str) -> None:
    wrong = sum(is_false(effects, scenario) for effects in studies(design(NAMES[:parts]), kind, scenario))
    assert wrong <= stats.binom.ppf(0.999, STUDIES, 0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "scenario, found", [("one part", "A"), ("two that cancel", "B"), ("two that interact", "A x B")]
)
def test_what_is_planted_is_found(kind: str, scenario: str, found: str) -> None:
    tables = [effects.table for effects in studies(design(NAMES[:6]), kind, scenario)]
    shown = sum(bool(table.loc[table["effect"] == found, "is_shown"].iloc[0]) for table in tables)
    assert shown >= 0.9 * STUDIES


@pytest.mark.parametrize("kind", ["normal", "skewed", "heavy"])
def test_the_interval_of_a_share_covers_that_of_the_chosen_set(kind: str) -> None:
    plan, scenario = design(NAMES[:4]), "one, a little of the others"
    means = dict(zip(plan.arms, truth(plan, SCENARIOS[scenario]), strict=True))
    covered = number = 0
    for effects in studies(plan, kind, scenario):
        if effects.table["is_shown"].iloc[0]:
            found = smallest(effects)
            assert found is not None
            share = (means[found.parts] - means[()]) / (means[plan.parts] - means[()])
            covered += found.low <= share <= found.high
            number += 1
    assert number > 0.5 * STUDIES
    assert covered >= stats.binom.ppf(0.001, number, 0.93)
