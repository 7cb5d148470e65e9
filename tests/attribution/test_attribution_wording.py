"""What is said of an attribution: claims where something is shown, and only there."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench_attribution import NAMES, truth

from initbench.attribution.design import design
from initbench.attribution.effects import Effects
from initbench.attribution.figure import forest
from initbench.attribution.smallest import Smallest, smallest
from initbench.attribution.study import Runs
from initbench.attribution.wording import CLAIMS, Wording, rows
from initbench.attribution.write import described, write
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


def wording(planted: Planted, small: Smallest | None = None, seeds: int = 12, **options: Any) -> Wording:
    """The sentences to come, with another smallest set than that of the scores."""
    plan = design(NAMES[:3])
    noise = 0.001 * np.random.default_rng(0).normal(size=(seeds, len(plan.arms)))
    scores = pd.DataFrame(truth(plan, planted) + noise - 2.0)
    for seed in options.get("missing", ()):
        scores.iloc[seed, 1] = np.nan
    effects = Effects(plan, scores)
    runs = Runs(scores, LOSS, 0.05, options.get("without", {}), options.get("left_to_a", 0))
    return Wording(effects, runs, small, "gpt2", "nanochat")


@pytest.mark.parametrize(
    "small, said, unsaid",
    [
        (Smallest(("A",), 0.98, 0.9, 1.1, 1.0), "(95% interval 90% to 110%).", "take some of that back"),
        (Smallest(("A",), 1.2, 0.9, 1.3, 1.0), "would keep about 120%", "take some of that back"),
        (Smallest(("A",), 1.2, 1.1, 1.3, 1.0), "The other parts seem to take some of that back.", "Without one"),
        (
            Smallest(("A",), 1.0, 0.9, 1.1, 0.75),
            "Without one of the seeds, another set is chosen in 3 of 12 cases.",
            "take some",
        ),
        (Smallest(("A",), 1.0, math.nan, math.nan, 1.0), "(its 95% interval is unbounded).", "nan%"),
        (Smallest(("A", "B", "C"), 1.0, 1.0, 1.0, 1.0), "No smaller set of parts is estimated to keep 95%", "Drawn"),
    ],
)
def test_what_is_said_of_the_smallest_set(small: Smallest, said: str, unsaid: str) -> None:
    (text,) = [each.text for each in wording({(0,): 0.2}, small).all() if each.kind == "smallest"]
    assert said in text
    assert unsaid not in text


def test_the_largest_effects_come_first_whatever_their_sign() -> None:
    planted = {(0,): 0.2, (1,): 0.3, (2,): 0.25, (0, 1): 0.02, (0, 2): -0.08, (1, 2): 0.04}
    found = [(each.kind, each.text) for each in wording(planted).all()]
    (parts,) = [text for kind, text in found if kind == "parts"]
    assert [parts.index(f" {name} (") for name in "BCA"] == sorted(parts.index(f" {name} (") for name in "ABC")
    assert [text[:5] for kind, text in found if kind == "interaction"] == ["A x C", "B x C", "A x B"]
    (worse,) = [each.text for each in wording({(0,): -0.1, (1,): -0.3}).all() if each.kind == "parts"]
    assert worse.index("B (") < worse.index("A (")


@pytest.mark.parametrize(
    "missing, said", [((4,), ", so seed 4 is left out."), ((1, 4), ", so seeds 1 and 4 are left out.")]
)
def test_seeds_that_are_left_out_are_named(missing: tuple[int, ...], said: str) -> None:
    found = [each.text for each in wording({}, missing=missing, without={"failed": len(missing)}).all()]
    assert found[-1] == f"Some runs have no score ({len(missing)} failed){said}"


def test_another_part_that_differs_is_one() -> None:
    (text,) = [each.text for each in wording({}, left_to_a=1).all() if each.kind == "left"]
    assert text == "gpt2 and nanochat also differ in another part, which gpt2 draws in every arm."


def test_the_figure_has_the_largest_effects_on_top_with_their_intervals_in_points() -> None:
    plan = design(NAMES[:3])
    noise = 0.001 * np.random.default_rng(0).normal(size=(12, 8))
    table = Effects(plan, pd.DataFrame(0.5 + truth(plan, {(1,): -0.1, (2,): 0.2}) + noise)).table
    table = table.assign(low=table["gain"] - 0.01, high=table["gain"] + 0.03)
    figure = forest(table, ACCURACY, "nanochat")
    assert [*figure.layout.yaxis.categoryarray][::-1][:4] == ["all parts", "C", "B", "A"]  # plotly's axis goes up
    gains = dict(zip(table["effect"], table["gain"], strict=True))
    for trace in figure.data:
        assert [*trace.x] == pytest.approx([100 * gains[name] for name in trace.y])
        assert np.allclose(trace.error_x.array, 3.0)
        assert np.allclose(trace.error_x.arrayminus, 1.0)


@pytest.mark.parametrize(
    "parts, arms, said",
    [
        (3, None, "3 parts in 8 arms, every combination"),
        (5, None, "5 parts in 17 arms, a fraction of resolution V: all pairs of parts are told apart"),
        (6, None, "6 parts in 32 arms, a fraction of resolution VI: all pairs of parts are told apart"),
        (7, 16, "7 parts in 16 arms, a fraction of resolution IV: some pairs of parts cannot be told apart"),
    ],
)
def test_a_design_in_words(parts: int, arms: int | None, said: str) -> None:
    assert described(design(NAMES[:parts], arms)) == said


def test_the_page_has_the_means_of_the_seeds_that_count(tmp_path: Path) -> None:
    of = wording({(0,): 0.2}, missing=(0,))
    scores = of.effects.scores.copy()
    scores.iloc[0, 0] = -9.0  # of the seed that is left out
    effects = replace(of.effects, scores=scores)
    (tmp_path / "plotly.min.js").touch()
    page = write(tmp_path, "title", effects, of.runs, None, list(of.all()), ("gpt2", "nanochat"), "command")
    html = page.read_text()
    for mean in effects.complete.mean():
        assert LOSS.cell(mean) in html
    assert LOSS.cell(scores[0].mean()) not in html
    numbers = json.loads((tmp_path / "attribution.json").read_text())
    assert (numbers["seeds"], numbers["smallest"], numbers["arms"]) == (11, None, 8)
