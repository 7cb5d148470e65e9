"""Draw docs/_static/explorer/still.svg, which the explorer shows without JavaScript, from its simulated networks.

python scripts/explorer_picture.py
"""

import json

import matplotlib as mpl
import numpy as np
from explorer_data import LAYERS, TARGET
from matplotlib import pyplot as plt

from initbench.figures import look

DEPTH = 30
WIDTH = 256
SIGMAS = {1.0: "$σ_w$ = 1", 1.4142: "$σ_w$ = √2", 2.0: "$σ_w$ = 2"}  # noqa: RUF001 - sigma is meant


def rows() -> dict[str, list[int]]:
    """The rows of data.js; their keys are "activation family width sigma_w sigma_b"."""
    text = TARGET.read_text().partition('"simulations":')[2]
    found: dict[str, list[int]] = json.loads(text.replace(",\n}};", "}"))
    return found


def correlations(start: float) -> list[float]:
    """Layer by layer, of ReLU networks without biases: the arc-cosine kernel of Cho & Saul 2009."""
    found = [start]
    for _ in range(DEPTH - 1):
        angle = np.arccos(min(found[-1], 1.0))
        found.append(float((np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi))
    return found


def main() -> None:
    # The same bytes for the same numbers: no date, no random ids; text stays text.
    mpl.rcParams.update({"svg.hashsalt": "initbench", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    layers = np.arange(1, DEPTH + 1)
    shown = [k for k, layer in enumerate(LAYERS) if layer <= DEPTH]
    for index, (sigma, label) in enumerate(SIGMAS.items()):
        row = np.array(rows()[f"relu normal {WIDTH} {sigma:g} 0"]).reshape(-1, 2, len(LAYERS))[..., shown]
        factor = sigma**2 / 2
        lines = (sigma**2 * factor ** (layers - 1), correlations(0.2), factor ** (layers - 1))
        for panel, line, quantity in zip(axes, lines, (0, 2, 1), strict=True):
            panel.plot(layers, line, color=look(index)[0], label=label)
            mean, deviation = row[quantity] / 1000
            if quantity == 2:
                low, middle, high = mean - deviation, mean, mean + deviation
            else:
                low, middle, high = (10 ** (10 * mean + sign * deviation) for sign in (-1, 0, 1))
            bars = [middle - low, high - middle]
            at = [LAYERS[k] for k in shown]
            panel.errorbar(at, middle, bars, fmt="o", markersize=4, mfc="white", color=look(index)[0])
    for panel, title in zip(axes, ("variance", "correlation, from 0.2", "gradient at layer 1"), strict=True):
        panel.set(title=title, xlabel="layer", yscale="linear" if title.startswith("corr") else "log")
    axes[0].legend(frameon=False)
    figure.savefig(TARGET.with_name("still.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
