"""The plot of what models have learned: lines or maps at the test points, in the function's own units."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fitted import POINTS, curves_of, write_fits
from frames import record
from studies import write_study

from initbench.analysis.loading.frame import load_runs
from initbench.analysis.workload.ranking import rankings
from initbench.data import curves
from initbench.report.content.fit_plot import fit_plot
from initbench.report.content.plot import Plot


def plot_of(study: Path) -> Plot | None:
    (ranking,) = rankings(load_runs(study))
    return fit_plot(ranking)


def test_a_function_of_one_variable_is_a_line_for_each_initializer(tmp_path: Path) -> None:
    runs = [record(init, 0, score) for init, score in (("a", 0.5), ("b", 0.7))]
    plot = plot_of(write_fits(tmp_path / "s", *runs, data=curves_of("sine"), task="Regression"))
    assert plot is not None
    data = curves("sine", 40, 0.1)
    assert plot.series["a"]["fit"]["x"] == sorted(data.test_inputs[:, 0].tolist())
    points = dict(zip(data.test_inputs[:, 0].tolist(), data.test_targets[:, 0].tolist(), strict=True))
    assert dict(zip(*plot.points["test set"].values(), strict=True)) == points
    x, y = (np.array(values) for values in plot.truth["true function"].values())
    np.testing.assert_allclose(y, np.sin(2 * np.pi * x), atol=1e-5)
    # The outputs are 0.5 and 0.7 standard deviations above the mean.
    heights = [set(plot.series[init]["fit"]["y"]) for init in ("a", "b")]
    assert [len(height) for height in heights] == [1, 1]
    (low,), (high,) = heights
    assert high - low == pytest.approx(0.2 * float(data.train_targets.std()), rel=0.1)
    assert not plot.z_title
    assert plot.log_axes == ""


@pytest.mark.parametrize("function", ["sine", "peaks"])
def test_each_point_has_what_was_learned_of_it(function: str, tmp_path: Path) -> None:
    """The first point of the test set has the output 0, the next one 1, and so on; x is in order."""
    study = write_fits(tmp_path / "s", record("a", 0), data=curves_of(function), task="Regression")
    (folder,) = study.iterdir()
    outputs = pd.DataFrame({"accuracy": True, "output_0": np.arange(float(POINTS))})
    outputs.to_parquet(folder / "test_samples.parquet")
    plot = plot_of(study)
    assert plot is not None
    fit = plot.series["a"]["fit"]
    assert fit["x"] == sorted(fit["x"])
    number = {x: place for place, x in enumerate(curves(function, 40, 0.1).test_inputs[:, 0].tolist())}
    assert len(number) == POINTS
    learned = np.array(fit["z" if function == "peaks" else "y"])
    places = np.array([number[x] for x in fit["x"]])
    slope, height = np.polyfit(places, learned, 1)
    np.testing.assert_allclose(learned, height + slope * places, atol=1e-9)
    assert slope > 0


@pytest.mark.parametrize(
    "function, task, colour",
    [("peaks", "Regression", "value"), ("spirals", "Classification", "probability of the second class")],
)
def test_of_two_variables_and_of_classes_there_are_maps(tmp_path: Path, function: str, task: str, colour: str) -> None:
    plot = plot_of(write_fits(tmp_path / "s", record("a", 0), data=curves_of(function), task=task))
    assert plot is not None
    (truth,) = plot.truth.values()
    shown = plot.series["a"]["fit"]
    assert (shown["x"], shown["y"]) == (truth["x"], truth["y"])
    assert len(shown["z"]) == len(truth["z"]) == 21
    assert len(set(shown["z"])) == 1
    assert len(set(truth["z"])) == (2 if function == "spirals" else 21)
    assert plot.z_title == colour
    assert plot.points == {}


def test_the_caption_says_which_run_it_is_and_what_is_missing(tmp_path: Path) -> None:
    runs = [record("a", 0), record("b", 0, None, status="diverged", hits=(None, None))]
    plot = plot_of(write_fits(tmp_path / "s", *runs))
    assert plot is not None
    assert "each initializer's median run" in plot.caption
    assert "the 21 test points" in plot.caption
    assert "Not drawn, as the median run diverged, or has no outputs that can be read: b." in plot.caption


def test_images_have_no_such_plot(tmp_path: Path) -> None:
    assert plot_of(write_study(tmp_path / "s", record("a", 0))) is None
