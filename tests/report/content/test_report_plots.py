"""What is drawn is what the records say, and nothing is drawn of what there is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import record
from scipy import stats
from studies import history, write_study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import load_runs
from initbench.analysis.statistics.survival import kaplan_meier
from initbench.report.content.plot import Plot
from initbench.report.content.report_plots import report_plots


def drawn(study: Path) -> dict[str, Plot]:
    """All plots of a study by the first part of their names."""
    found = report_plots(Comparison(load_runs(study)))
    return {plot.name.split("-")[0]: plot for group in found.values() for plot in group}


def points(plot: Plot, init: str, view: str, name: str = "y") -> list[float]:
    return list(plot.series[init][view][name])


def test_learning_curves_are_means_with_the_range_over_seeds(tmp_path: Path) -> None:
    plot = drawn(write_study(tmp_path / "s", record("a", 0, 0.9), record("a", 1, 0.7)))["curves"]
    assert points(plot, "a", "val/accuracy|step", "x") == list(range(0, 100, 10))
    for name, last in (("y", 0.8), ("low", 0.7), ("high", 0.9)):
        assert points(plot, "a", "val/accuracy|step", name)[-1] == pytest.approx(last)
    assert points(plot, "a", "val/error|step")[-1] == pytest.approx(0.2)
    assert points(plot, "a", "train/loss|seconds")[-1] == pytest.approx(2.2 - 0.2 * 9)
    # A run's seconds have those of its initializer.
    assert points(plot, "a", "train/loss|seconds", "x") == pytest.approx([0.5 + n for n in range(10)])
    assert plot.first == "val/error|step"
    assert plot.log[plot.first] == "y"


def test_where_an_initializer_is_perfect_the_accuracy_comes_first(tmp_path: Path) -> None:
    """Its error, 0, has no logarithm."""
    study = write_study(tmp_path / "s", record("a", 0, 1.0), record("b", 0, 0.9))
    assert drawn(study)["curves"].first == "val/accuracy|step"
    assert drawn(study)["ranking"].first == "test accuracy"


def test_long_histories_are_thinned_and_the_caption_says_so(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("a", 0, 0.9))
    assert "is drawn" not in drawn(study)["curves"].caption
    (file,) = study.glob("*/history.parquet")
    long = pd.concat([history(0.9)] * 1000, ignore_index=True).assign(step=range(10_000))
    long.to_parquet(file)
    plot = drawn(study)["curves"]
    steps = points(plot, "a", "val/loss|step", "x")
    assert len(steps) <= 202
    assert steps[0] == 0
    assert steps[-1] == 9999
    assert f"One of every {steps[1]} points is drawn" in plot.caption


def test_survival_is_kaplan_meier_by_target(tmp_path: Path) -> None:
    hits = [(10, 40), (20, None), (20, None), (None, None)]
    study = write_study(tmp_path / "s", *(record("a", n, 0.8, hits=hit) for n, hit in enumerate(hits)))
    plot = drawn(study)["survival"]
    assert points(plot, "a", "0.5", "x") == [0, 10, 20, 100]
    assert points(plot, "a", "0.5") == pytest.approx([1, 0.75, 0.25, 0.25])
    assert points(plot, "a", "0.9") == pytest.approx([1, 0.75, 0.75])
    assert plot.first == "0.5"  # the hardest that half of them reached
    expected = kaplan_meier([10, 20, 20, 100], [True, True, True, False])
    for name in ("low", "high"):
        assert points(plot, "a", "0.5", name) == pytest.approx(expected[name].tolist(), nan_ok=True)


def test_learning_rates_are_drawn_where_there_are_several(tmp_path: Path) -> None:
    one = write_study(tmp_path / "one", record("a", 0, 0.9))
    assert "lr" not in drawn(one)
    runs = [record("a", seed, accuracy, lr=lr) for lr, accuracy in ((0.1, 0.6), (1.0, 0.8)) for seed in range(2)]
    diverged = [record("a", seed, None, lr=10.0, status="diverged", hits=(None, None)) for seed in range(2)]
    plot = drawn(write_study(tmp_path / "several", *runs, *diverged))["lr"]
    assert points(plot, "a", "val/accuracy", "x") == [0.1, 1.0, 10.0]
    assert points(plot, "a", "val/accuracy") == pytest.approx([0.6, 0.8, 0.1])  # chance: ten classes
    assert points(plot, "a", "val/error") == pytest.approx([0.4, 0.2, 0.9])


def test_bands_of_rates_and_of_workloads_are_students_intervals(tmp_path: Path) -> None:
    scores = {0.1: [0.6, 0.62, 0.67], 1.0: [0.8, 0.81, 0.88]}
    runs = [record("a", n, score, lr=lr) for lr, of in scores.items() for n, score in enumerate(of)]
    plot = drawn(write_study(tmp_path / "rates", *runs))["lr"]
    ends = [stats.t.interval(0.95, 2, np.mean(of), stats.sem(of)) for of in scores.values()]
    assert points(plot, "a", "val/accuracy", "low") == pytest.approx([low for low, _ in ends])
    assert points(plot, "a", "val/accuracy", "high") == pytest.approx([high for _, high in ends])
    assert points(plot, "a", "val/error", "low") == pytest.approx([1 - high for _, high in ends])
    assert points(plot, "a", "val/error", "high") == pytest.approx([1 - low for low, _ in ends])
    deep = [
        record(init, n, score - 0.1 * (init == "b"), model={"depth": depth})
        for init in "ab"
        for depth, of in zip((30, 2), scores.values(), strict=True)
        for n, score in enumerate(of)
    ]
    found = drawn(write_study(tmp_path / "depths", *deep))
    assert points(found["against"], "a", "model.depth", "x") == [2, 30]
    assert points(found["against"], "a", "model.depth", "low") == pytest.approx([low for low, _ in ends[::-1]])
    assert points(found["against"], "a", "model.depth", "high") == pytest.approx([high for _, high in ends[::-1]])


def test_the_ranking_has_interquartile_means_with_intervals_and_errors_turned(tmp_path: Path) -> None:
    runs = [record(init, n, mean + n * n / 1000) for init, mean in (("a", 0.9), ("b", 0.8)) for n in range(6)]
    study = write_study(tmp_path / "s", *runs)
    main = Comparison(load_runs(study)).main
    assert main is not None
    plot = drawn(study)["ranking"]
    assert list(plot.series) == list(main.overall.index) == ["a", "b"]
    for init, row in main.overall.iterrows():
        of = {name: points(plot, str(init), "test accuracy", name) for name in ("x", "low", "high")}
        assert of == {"x": [row["iqm"]], "low": [row["low"]], "high": [row["high"]]}
        of = {name: points(plot, str(init), "test error", name)[0] for name in ("x", "low", "high")}
        assert of == pytest.approx({"x": 1 - row["iqm"], "low": 1 - row["high"], "high": 1 - row["low"]})
    assert plot.first == "test error"


def test_depth_is_of_the_initialized_network_in_the_order_of_execution(tmp_path: Path) -> None:
    plot = drawn(write_study(tmp_path / "s", record("a", 0), record("a", 1), layers=[1.0, 0.5, 0.0]))["depth"]
    assert points(plot, "a", "pre_second_moment") == [1.0, 0.5, 0.0]
    assert points(plot, "a", "pre_second_moment", "text") == ["layer9", "layer8", "layer7"]
    assert "jacobian" not in plot.x_titles  # its numbers are not one a layer
    assert plot.log == {"pre_second_moment": "y"}  # but not shares
    assert "depth" not in drawn(write_study(tmp_path / "without", record("a", 0)))


def deep(init: str, depth: int, accuracy: float, hits: tuple[int | None, int | None]) -> dict[str, Any]:
    return record(init, 0, accuracy, model={"depth": depth}, hits=hits)


def test_workloads_that_differ_in_a_number_are_drawn_against_it_and_in_a_profile(tmp_path: Path) -> None:
    a = [deep("a", 2, 0.8, (10, None)), deep("a", 30, 0.7, (10, None))]
    b = [deep("b", 2, 0.9, (20, None)), deep("b", 30, 0.2, (None, None))]
    found = drawn(write_study(tmp_path / "s", *a, *b))
    assert points(found["against"], "b", "model.depth", "x") == [2, 30]
    assert points(found["against"], "b", "model.depth") == pytest.approx([0.9, 0.2])
    assert found["against"].log == {"model.depth": "x"}
    assert points(found["profile"], "a", "tau") == [1, 1, 1]  # the fastest on both
    assert points(found["profile"], "b", "tau") == [0, 0.5, 0.5]  # on one within twice the time, on the other never
    assert points(found["profile"], "b", "tau", "x")[:2] == [1, 2]


def test_nothing_that_ended_is_no_plot(tmp_path: Path) -> None:
    assert drawn(write_study(tmp_path / "s", record("a", 0, status="failed"))) == {}


def test_a_history_that_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("a", 0, 0.9), record("a", 1, 0.7))
    broken = sorted(study.glob("*/history.parquet"))[0]
    broken.write_bytes(b"half of")
    plot = drawn(study)["curves"]
    assert points(plot, "a", "val/accuracy|step")[-1] == pytest.approx(0.7)
    assert broken.parent.name in plot.caption


@pytest.mark.parametrize("column, values", [("step", ["x", "y"]), ("val/accuracy", [[1], [2]]), (None, [])])
def test_a_history_of_other_types_is_named(column: str | None, values: list[object], tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", *(record("a", n) for n in range(2)))
    (broken, *_) = sorted(study.iterdir())
    table = pd.DataFrame({"step": [1, 2], "val/accuracy": [0.1, 0.2]})
    table = pd.DataFrame(index=range(2)) if column is None else table.assign(**{column: pd.Series(values)})
    table.to_parquet(broken / "history.parquet")
    (group, *_) = [of for place, of in report_plots(Comparison(load_runs(study))).items() if place is not None]
    (curves,) = [plot for plot in group if plot.name.startswith("curves")]
    assert (broken.name in curves.caption) == (column is not None)


def test_every_plot_leads_to_its_runs(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("a", 0), record("b", 0), layers=[1.0])
    (workload,) = load_runs(study)["workload_id"].unique()
    of_workload = {"workload": workload, "scored": "yes"}
    wanted = {"ranking": {"scored": "yes"}, "curves": of_workload, "survival": of_workload, "depth": of_workload}
    assert {name: plot.runs for name, plot in drawn(study).items()} == wanted
