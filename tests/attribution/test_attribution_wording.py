"""What is said of an attribution: claims where something is shown, and only there."""

import math
from typing import Any

import numpy as np
import pandas as pd
from bench_attribution import NAMES, truth

from initbench.attribution.design import design
from initbench.attribution.effects import Effects
from initbench.attribution.figure import forest
from initbench.attribution.smallest import smallest
from initbench.attribution.study import Runs
from initbench.attribution.wording import CLAIMS, Wording, rows
from initbench.metric import ACCURACY, Metric

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")
Planted = dict[tuple[int, ...], float]


def said(planted: Planted, seeds: int = 12, parts: int = 3, metric: Metric = LOSS, **options: Any) -> dict[str, str]:
    """The sentences by kind, of scores that differ by what is planted and by a little noise."""
    plan = design(NAMES[:parts])
    noise = 0.001 * np.random.default_rng(0).normal(size=(seeds, len(plan.arms)))
    base = 0.5 if metric.is_share else -2.0
    effects = Effects(plan, pd.DataFrame(base + truth(plan, planted) - truth(plan, planted)[0] + noise))
    runs = Runs(effects.scores, metric, 0.05, options.get("without", {}), options.get("left_to_a", 0))
    found = list(Wording(effects, runs, smallest(effects), "gpt2", "nanochat").all())
    assert len({sentence.kind for sentence in found}) == len(found)
    return {sentence.kind: str(sentence) for sentence in found}


def test_one_part_is_named_with_its_direction_and_size() -> None:
    found = said({(1,): 0.25})
    assert found["whole"].startswith(
        "nanochat is better than gpt2 by 0.251 nats: a mean test loss of 1.7493 nats instead of 1.9999 nats"
    )
    assert "(12 seeds; p ≤ 0.004, after Holm's correction for 7 tests)." in found["whole"]
    assert found["parts"] == (
        "On average over the other parts, nanochat in place of gpt2 is better for B (0.250 nats) (p < 0.05, after "
        "Holm's correction for 7 tests)."
    )
    assert found["no_effect"] == "No effect of A or C was shown."
    assert found["smallest"].startswith("Drawn by nanochat, with everything else by gpt2, B alone (1 of 3 parts) would")
    assert (
        "about 100% of the difference, as estimated on each seed by the set that the other seeds choose (95% interval"
        in found["smallest"]
    )
    assert "interaction" not in found
    assert "higher" not in found


def test_a_loss_that_rises_is_worse() -> None:
    found = said({(0,): -0.25, (1,): 0.1})
    assert found["whole"].startswith("nanochat is worse than gpt2 by 0.149 nats")
    assert "is better for B (0.100 nats) and worse for A (0.250 nats) (p < 0.05 for each, " in found["parts"]
    assert "A alone (1 of 3 parts) would keep about 168% of the difference" in found["smallest"]
    assert found["smallest"].endswith(" The other parts seem to take some of that back.")


def test_an_accuracy_is_in_points() -> None:
    found = said({(0,): 0.05}, metric=ACCURACY)
    assert found["whole"].startswith("nanochat is better than gpt2 by 5.0")
    assert "a mean test accuracy of 55.0" in found["whole"]
    assert "better for A (4.99 points)" in found["parts"]


def test_parts_that_need_each_other() -> None:
    found = said({(0,): 0.1, (1,): 0.1, (0, 1): 0.2})
    assert found["interaction"].startswith(
        "A x B: together they gain 0.201 nats more than the sum of what each gains alone (p ≤ "
    )
    assert "A and B alone (2 of 3 parts)" in found["smallest"]
    less = said({(0,): 0.1, (1,): 0.1, (0, 1): -0.05})
    assert "gain 0.0492 nats less than" in less["interaction"]


def test_pairs_that_cannot_be_told_apart_are_named_together() -> None:
    found = said({(0,): 0.1, (2, 4): 0.2}, parts=7)
    assert found["interaction"].startswith("C x E or F x G: together they gain 0.200 nats more")
    assert found["interaction"].endswith("; this design cannot tell these pairs apart).")


def test_nothing_is_claimed_of_noise_or_of_too_few_seeds() -> None:
    nothing = said({})
    assert not {*CLAIMS} & {*nothing}
    assert nothing["open"].startswith("No difference between gpt2 and nanochat was shown: a mean test loss of 1.9999")
    assert nothing["no_effect"] == "No effect of A, B or C was shown."
    assert "smallest" not in nothing
    few = said({(0,): 1.0}, seeds=5)
    assert list(few) == ["few"]
    assert few["few"] == (
        "Five seeds cannot show which part makes a difference; seven tests take at least nine seeds.\n"
        "    'seed=range(9)'"
    )


def test_a_part_may_matter_though_the_whole_does_not() -> None:
    found = said({(0,): 0.2, (1,): -0.2})
    assert "whole" not in found
    assert "better for A (0.200 nats) and worse for B (0.200 nats)" in found["parts"]
    assert "smallest" not in found


def test_three_parts_that_interact_are_a_caveat() -> None:
    plan = design(NAMES[:3])
    only_all = np.array([0.4 if len(arm) == 3 else 0.0 for arm in plan.arms])
    noise = 0.001 * np.random.default_rng(0).normal(size=(12, 8))
    effects = Effects(plan, pd.DataFrame(only_all + noise - 2.0))
    runs = Runs(effects.scores, LOSS, 0.05, {}, 0)
    found = {each.kind: each.text for each in Wording(effects, runs, smallest(effects), "a", "b").all()}
    assert found["higher"].startswith(
        "The effects of single parts add up to +0.300 nats and not to +0.401 nats (p < 0.001)"
    )


def test_what_is_not_part_of_it_is_said() -> None:
    found = said({(0,): 0.2}, left_to_a=2, without={"failed": 1})
    assert found["whole"].startswith("gpt2 with these parts of nanochat is better than gpt2 by 0.201 nats")
    assert found["left"] == "gpt2 and nanochat also differ in two other parts, which gpt2 draws in every arm."
    assert found["missing"] == "Some runs have no score (1 failed)."


def test_the_table_and_the_figure_have_every_effect() -> None:
    plan = design(NAMES[:7])
    table = Effects(plan, pd.DataFrame([truth(plan, {(0,): 1.0})] * 12)).table
    cells = rows(table, LOSS)
    assert len(cells) == 1 + 7 + 18
    assert cells[1][:2] == ["A", "+1.00"]
    assert any(name == "C x E = F x G" for name, *_ in cells)
    figure = forest(table, LOSS, "<b>nanochat</b>")
    drawn = [name for trace in figure.data for name in trace.y]
    assert sorted(drawn) == sorted(name for name, *_ in cells)
    assert "<b>" not in figure.layout.xaxis.title.text
    shown = next(trace for trace in figure.data if trace.name == "shown")
    assert dict(zip(shown.y, shown.x, strict=True)) == {"all parts": 1.0, "A": 1.0}
    assert not any(math.isnan(x) for trace in figure.data for x in trace.x)
