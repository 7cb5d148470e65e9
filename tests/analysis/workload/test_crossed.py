"""A workload whose sources of randomness were crossed: the parts of its variance, and no claims of the usual kind."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import frame, record
from studies import write_study

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import CLAIMS
from initbench.analysis.verdict.verdict import Verdict
from initbench.metric import ACCURACY
from initbench.record.signature import digest
from initbench.report.write import write_report

GRID = tuple(product(range(4), range(5)))


def crossed_record(init: str, seeds: dict[str, int], accuracy: float, seed: int = 0) -> dict[str, Any]:
    made = record(init, seed, accuracy)
    made["config"]["seeds"] = seeds
    return {**made, "signature": digest(made["config"])}


def records(inits: Sequence[str] = ("orthogonal", "default"), of_weights: float = 0.02) -> list[dict[str, Any]]:
    """Weights x order, where the weights matter."""
    rng = np.random.default_rng(0)
    found = []
    for init in inits:
        weights = of_weights * rng.normal(size=4)
        for weight, order in GRID:
            accuracy = 0.9 + weights[weight] + 0.002 * rng.normal()
            found.append(crossed_record(init, {"weights": weight, "order": order}, accuracy))
    return found


def verdict_of(*made: dict[str, Any]) -> Verdict:
    return Verdict(Comparison(frame(*made)))


def test_the_parts_are_told_and_nothing_is_claimed() -> None:
    verdict = verdict_of(*records())
    kinds = [sentence.kind for sentence in verdict.sentences]
    assert kinds == ["components", "components", "crossed"]
    first, _, why = (sentence.text for sentence in verdict.sentences)
    assert first.startswith("The variance between the runs of ")
    assert "comes from the weights (9" in first
    assert why == (
        "Initializers are not compared: the runs share seeds (4 seeds of the weights x 5 seeds of the order of the "
        "samples), so they are not independent."
    )
    assert not verdict.problems


def test_intervals_that_need_independent_runs_are_not_given() -> None:
    comparison = Comparison(frame(*records()))
    (ranking,) = comparison.rankings
    assert ranking.table["runs"].tolist() == [20, 20]
    assert ranking.table[["half_width", "iqm_low", "iqm_high", "learned_low"]].isna().all(axis=None)
    assert ranking.table["mean"].notna().all()
    assert comparison.findings == comparison.times == comparison.new_data == comparison.left_out == []


def test_an_ordinary_workload_beside_it_is_compared_as_ever() -> None:
    ordinary = [record(init, seed, 0.8 + 0.01 * (init == "default") + 0.001 * seed) for init, seed in product(
        ("orthogonal", "default"), range(7)
    )]  # fmt: skip  # several values to a line
    alone, both = verdict_of(*ordinary), verdict_of(*ordinary, *records())
    claims = [sentence.text for sentence in alone.sentences if sentence.kind in CLAIMS]
    assert claims
    assert [sentence.text for sentence in both.sentences if sentence.kind in CLAIMS] == claims
    assert "components" in [sentence.kind for sentence in both.sentences]


def test_seeds_that_all_runs_share_leave_an_ordinary_comparison() -> None:
    made = [
        crossed_record(init, {"order": 3}, 0.8 + 0.01 * (init == "default") + 0.001 * seed, seed)
        for init, seed in product(("orthogonal", "default"), range(7))
    ]
    verdict = verdict_of(*made)
    assert verdict.sentences[0].kind == "winner"
    assert verdict.comparison.crossed == []
    assert set(verdict.comparison.runs["seed"]) == set(range(7))


def test_a_seed_that_varies_too_is_a_source() -> None:
    made = [
        crossed_record("default", {"order": order}, 0.8 + 0.01 * seed + 0.001 * order**2, seed)
        for order, seed in product(range(3), range(4))
    ]
    (found,) = verdict_of(*made).comparison.crossed
    assert found.levels == {"seed": 4, "order": 3}
    assert found.parts["default"]["seed"].share > 0.9


def test_a_single_source_is_told_too() -> None:
    made = [crossed_record("default", {"order": order}, 0.8 + 0.001 * order**2) for order in range(5)]
    (found,) = verdict_of(*made).comparison.crossed
    assert {name: part.share for name, part in found.parts["default"].items()} == {"order": 1.0}


def test_an_initializer_without_all_combinations_has_no_parts() -> None:
    made = records()
    verdict = verdict_of(*made[:-1])
    (found,) = verdict.comparison.crossed
    assert list(found.parts) == ["orthogonal"]
    assert found.missing == {"default": 19}
    assert verdict.sentences[-1].text.endswith(
        "The parts of the variance need all combinations, and are missing for default (19 of 20 runs)."
    )


def test_runs_that_are_all_equal_are_no_error() -> None:
    verdict = verdict_of(*(crossed_record("default", {"order": a, "weights": b}, 0.5) for a, b in GRID))
    assert [sentence.kind for sentence in verdict.sentences] == ["crossed"]


def test_the_part_of_the_test_set_is_found_and_all_is_in_the_report(tmp_path: Path) -> None:
    """Runs that differ in nothing but luck on 300 samples."""
    rng = np.random.default_rng(0)
    right = [rng.random(300) < np.linspace(0.8, 1, 300) for _ in GRID]
    made = [
        crossed_record("default", {"weights": weights, "order": order}, float(values.mean()))
        for (weights, order), values in zip(GRID, right, strict=True)
    ]
    study = write_study(tmp_path / "study", *made)
    for folder, values in zip(sorted(study.iterdir()), right, strict=True):
        pd.DataFrame({"accuracy": values}).to_parquet(folder / "test_samples.parquet")
    verdict = Verdict(Comparison(initbench.load_runs(study)))
    (found,) = verdict.comparison.crossed
    part = found.parts["default"]["test set"]
    assert part.low < 1 == pytest.approx(part.high)
    assert part.low < 0.4 < part.share
    write_report(verdict, study / "report", "study")
    rows = pd.read_csv(study / "report" / "components.csv")
    assert rows["part"].tolist() == ["weights", "order", "interaction", "test set"]
    for name in ("index.html", "report.md"):
        assert "Where the noise comes from" in (study / "report" / name).read_text()
    content = json.loads((study / "report" / "verdict.json").read_text())["crossed"]
    assert content[0]["levels"] == {"weights": 4, "order": 5}
    assert verdict.comparison.metric == ACCURACY
