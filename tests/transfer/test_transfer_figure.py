"""What is drawn of a transfer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from initbench.metric import Metric
from initbench.transfer.best_rate import Scores
from initbench.transfer.check import Check
from initbench.transfer.drift import Drift
from initbench.transfer.figure import draw

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")


def test_the_panels_show_losses_best_rates_with_intervals_and_the_line_of_the_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []

    def keep(figure: Figure, *_: Any, **__: Any) -> None:
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", keep)  # what is saved takes a second to write and cannot be read
    means = np.array([[-3.0, -1.0, -2.0], [-4.0, -2.0, -3.0]])
    scores = Scores("a", (64.0, 256.0), (0.25, 0.5, 1.0), np.array([means - 1, means + 1]), (), means > 0)
    best = np.array([-1.0, -2.0])
    drift = Drift(scores, best, best - 1, best + 2, -0.5, -0.9, -0.1)
    draw([drift], {"a": Check([0.7, 0.6], {"layer": [1.0, 3.0]})}, "width", LOSS, tmp_path / "transfer.svg")
    curves, rates, sizes = figures[0].axes
    lines = {line.get_label(): line for line in curves.get_lines()}
    assert np.allclose(lines["64"].get_ydata(), [3.0, 1.0, 2.0])
    assert np.allclose(lines["256"].get_ydata(), [4.0, 2.0, 3.0])
    lines = {line.get_label(): line for line in rates.get_lines()}
    assert np.allclose(lines["-0.50 octaves per doubling"].get_ydata(), [0.5, 0.25])
    assert np.allclose(lines["2 / λmax at init"].get_ydata(), [0.7, 0.6])
    (bars,) = rates.collections
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.allclose(ends, [[0.25, 2.0], [0.125, 1.0]])
    (line,) = sizes.get_lines()
    assert np.allclose(line.get_ydata(), [1.0, 3.0])
