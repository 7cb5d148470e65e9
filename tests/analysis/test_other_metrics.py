"""Records that are judged by a loss: less is better, from the record to the sentences and the page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import frame, record
from studies import history, write_study

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by
from initbench.analysis.workload.ranking import hardest_reached, rankings, targets_of
from initbench.metric import ACCURACY, Metric
from initbench.report.content.workload_plots import learning_curves

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats", perfect=0.5, chance=4.0)


def of_loss(init: str, seed: int, loss: float, status: str = "finished", **parts: Any) -> dict[str, Any]:
    results = {"val/loss": loss, "val/best_loss": loss, "chance_loss": 4.0}
    results |= {"test/loss": loss} if status == "finished" else {}
    targets = {
        f"{target:g}": {"reached": loss <= target, "steps": 40, "seconds": 2.0, "reason": None} for target in (3.0, 2.0)
    }
    given = {"metric": asdict(LOSS), "results": results, "targets": targets, **parts}
    return record(init, seed, None, status=status, **given)


def runs() -> Any:
    good = [of_loss("a", seed, 1.5 + 0.01 * seed) for seed in range(8)]
    bad = [of_loss("b", seed, 2.5 + 0.01 * seed) for seed in range(8)]
    return frame(*good, *bad, of_loss("c", 0, 9.0, "diverged"))


def test_scores_are_losses_with_the_other_sign_and_chance_is_that_of_who_knows_nothing() -> None:
    found = runs().set_index(["init", "seed"])
    assert found.loc[("a", 0), "score"] == -1.5
    assert found.loc[("c", 0), "score"] == found.loc[("c", 0), "chance"] == -4.0
    assert found.loc[("a", 0), "learned"]
    assert not found.loc[("c", 0), "learned"]
    assert judged_by(runs()) == LOSS


def test_the_lowest_is_the_best_and_the_lowest_target_the_hardest() -> None:
    assert targets_of(runs()) == ["3", "2"]
    assert hardest_reached(runs()) == "2"
    (ranking,) = rankings(runs())
    assert list(ranking.table.index)[:2] == ["a", "b"]


def test_the_verdict_says_so_in_its_unit() -> None:
    text = str(initbench.verdict(runs()))
    assert "a has the lowest mean test loss, 1.5350 nats (8 seeds)." in text
    assert "Fastest to a validation loss of 2 nats" in text


def test_runs_by_another_metric_are_named_and_not_compared() -> None:
    later = {"started_at": "2026-01-02T00:00:00+00:00"}
    accuracies = [
        record(init, seed, value, model={"depth": 3}, **later)
        for init, value in (("a", 0.9), ("b", 0.8))
        for seed in range(8)
    ]
    losses = [of_loss(init, seed, 2.0) for init in ("a", "b") for seed in range(8)]
    both = frame(*losses, *accuracies)
    metric = judged_by(both)
    assert metric.name == ACCURACY.name
    comparison = Comparison(both, metric)
    assert len(comparison.scored["workload"].unique()) == 2
    assert comparison.scores.index.get_level_values("workload").nunique() == 1
    assert [why for _, why in comparison.left_out] == ["its runs are judged by test loss"]


def test_the_table_of_results_has_the_metric_itself(tmp_path: Path) -> None:
    initbench.verdict(runs()).report(tmp_path / "report", "Losses")
    results = pd.read_csv(tmp_path / "report" / "results.csv").set_index(["init", "seed"])
    assert results.loc[("a", 3), ["score", "selection_score", "chance"]].tolist() == pytest.approx([1.53, 1.53, 4.0])
    assert results.loc[("c", 0), ["score", "chance"]].tolist() == [4.0, 4.0]


def test_the_page_draws_chance_and_the_least_that_is_possible(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", *(of_loss(init, seed, 1.5) for init in ("a", "b") for seed in range(2)))
    for folder in study.iterdir():
        history(0.5).to_parquet(folder / "history.parquet")
    (ranking,) = rankings(initbench.load_runs(study))
    plot = learning_curves(ranking, LOSS, points=50)
    if plot is None:
        pytest.fail("there are histories")
    assert plot.levels["val/loss|step"] == {"chance": 4.0, "best possible": 0.5}
    assert "train/loss|step" not in plot.levels


def test_a_run_that_diverged_never_counts_as_better_than_one_that_ended() -> None:
    """A loss has no floor: here the worst run lost more than one that knows nothing."""
    found = frame(of_loss("a", 0, 1.5), of_loss("a", 1, 20.0), of_loss("b", 0, 9.0, "diverged"))
    assert found.set_index("init").loc["b", "score"] == -20.0


def test_without_a_chance_level_a_run_that_diverged_counts_as_the_worst_and_is_not_left_out() -> None:
    unknown = {"metric": {**asdict(LOSS), "chance": None}}
    ended = [of_loss(init, seed, loss, **unknown) for init, loss in (("a", 1.5), ("b", 1.0)) for seed in (0, 1)]
    found = frame(*ended, of_loss("b", 2, 0.0, "diverged", **unknown), of_loss("c", 0, 0.0, "diverged", **unknown))
    scores = found.set_index(["init", "seed"])["score"]
    assert scores["b", 2] == -1.5
    assert found.loc[found["init"] == "c", "score"].isna().all()  # nothing is known about it
    (ranking,) = rankings(found)
    assert ranking.failures_count_as == "the worst score of the workload"
