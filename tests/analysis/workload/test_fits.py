"""What is drawn of a toy function: the outputs of each initializer's median run, and of no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitted import POINTS, curves_of, write_fits
from frames import record

from initbench.analysis.loading.frame import load_runs
from initbench.analysis.workload.fits import Fits, fits, median_run
from initbench.analysis.workload.ranking import rankings


def fits_of(study: Path) -> Fits | None:
    (ranking,) = rankings(load_runs(study))
    return fits(ranking)


def accuracy(found: Fits | None, init: str) -> float:
    """That of the run that is drawn."""
    assert found is not None
    probability = found.learned[init]
    assert len(probability) == POINTS
    return float(np.log(probability / (1 - probability))[0])


def test_the_median_run_of_each_initializer_is_drawn_the_best_first(tmp_path: Path) -> None:
    runs = [record("a", n, score) for n, score in enumerate([0.7, 0.5, 0.6])]
    runs += [record("b", n, score) for n, score in enumerate([0.9, 0.8])]
    found = fits_of(write_fits(tmp_path / "s", *runs))
    assert accuracy(found, "a") == pytest.approx(0.6)
    assert accuracy(found, "b") == pytest.approx(0.8)  # the worse of the two
    assert list(found.learned) == ["b", "a"]
    assert found.missing == []


def test_a_run_that_diverged_may_be_the_median_and_is_not_drawn(tmp_path: Path) -> None:
    diverged = [record("a", n, None, status="diverged", hits=(None, None)) for n in (0, 1)]
    found = fits_of(write_fits(tmp_path / "s", *diverged, record("a", 2, 0.9), record("b", 0, 0.7)))
    assert found is not None
    assert list(found.learned) == ["b"]
    assert found.missing == ["a"]


@pytest.mark.parametrize("content", [None, b"PAR1 no more"], ids=["missing", "damaged"])
def test_a_file_costs_the_plot_of_its_run_alone(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_fits(tmp_path / "s", record("a", 0, 0.7), record("b", 0, 0.9))
    file = next(study.glob("0000-*")) / "test_samples.parquet"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    found = fits_of(study)
    assert found is not None
    assert (list(found.learned), found.missing) == (["b"], ["a"])
    assert ("test_samples.parquet cannot be read" in capsys.readouterr().err) == (content is not None)


def test_a_file_that_is_longer_than_the_test_set_is_not_drawn(tmp_path: Path) -> None:
    study = write_fits(tmp_path / "s", record("a", 0), record("b", 0), data=curves_of(size=38))
    assert fits_of(study) is None


@pytest.mark.parametrize(
    "config",
    [
        {"data": curves_of() | {"_target_": "initbench.data.mnist_mini"}},
        {"data": {"name": "mnist"}},
        {"task": "Autoencoder"},
    ],
    ids=["images", "unknown", "an autoencoder"],
)
def test_what_cannot_be_drawn_is_not(tmp_path: Path, config: dict[str, Any]) -> None:
    assert fits_of(write_fits(tmp_path / "s", record("a", 0), **config)) is None


def test_runs_that_have_not_ended_are_not_drawn(tmp_path: Path) -> None:
    study = write_fits(tmp_path / "s", record("a", 0, status="failed"), record("b", 0, status="running"))
    assert fits_of(study) is None


def test_the_median_of_an_even_number_is_the_worse_of_the_middle() -> None:
    scores = pd.DataFrame({"score": [3.0, 1.0, 4.0, 2.0]})
    assert median_run(scores)["score"] == 2.0
    assert median_run(scores.iloc[:3])["score"] == 3.0
