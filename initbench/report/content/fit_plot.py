"""What models have learned of toy data: lines for a function of one variable, maps for two variables or two classes."""

import numpy as np

from initbench.analysis.workload.fits import Fits, fits
from initbench.analysis.workload.ranking import Ranking
from initbench.report.content.plot import Plot, View

_MOST_POINTS = 2000  # of the test set


def fit_plot(ranking: Ranking) -> Plot | None:
    """What the median run of each initializer has learned; None if the data cannot be drawn."""
    found = fits(ranking)
    if found is None:
        return None
    drawing, is_map = found.drawing, found.drawing.inputs.shape[1] == 2
    order = np.argsort(drawing.inputs[:_MOST_POINTS, 0], kind="stable")
    x, *y = drawing.inputs[order].T.tolist()
    place: View = {"x": x, "y": y[0]} if is_map else {"x": x}
    value = "z" if is_map else "y"
    line: View = {"x": drawing.truth_inputs[:, 0].tolist(), "y": drawing.truth.tolist()}
    return Plot(
        f"fit-{ranking.workload_id}",
        "The fit",
        _caption(found, len(order), is_map),
        {init: {"fit": {**place, value: learned[order].tolist()}} for init, learned in found.learned.items()},
        {"fit": "first variable" if is_map else "x"},
        {"fit": "second variable" if is_map else "y"},
        runs={"workload": ranking.workload_id, "scored": "yes"},
        truth={f"true {_what(found)}": {**place, "z": drawing.truth[order].tolist()} if is_map else line},
        points={} if is_map else {"test set": {**place, "y": drawing.targets[order].tolist()}},
        z_title=("probability of the second class" if drawing.has_classes else "value") if is_map else "",
    )


def _what(found: Fits) -> str:
    return "classes" if found.drawing.has_classes else "function"


def _caption(found: Fits, points: int, is_map: bool) -> str:
    total = len(found.drawing.inputs)
    some = f"{points:,} of the {total:,}" if points < total else f"the {total:,}"
    sentences = [
        f"The {_what(found)} that each initializer's median run has learned, at {some} test points.",
        "It is the median by test score; of two runs in the middle, the worse.",
    ]
    if not is_map:
        sentences.append("Dots are the test set, which is noisy.")
    elif not found.drawing.has_classes:
        sentences.append("Values beyond those of the true function have the colour of the nearest.")
    if found.missing:
        why = "as the median run diverged, or has no outputs that can be read"
        sentences.append(f"Not drawn, {why}: {', '.join(found.missing)}.")
    return " ".join(sentences)
