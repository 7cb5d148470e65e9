"""Write docs/explanation/depth.svg: signal and gradient through fifty layers, for several activations and gains.

python scripts/signal_figure.py
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from torch import nn

import initbench

TARGET = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "depth.svg"
DEPTH, WIDTH, SAMPLES = 50, 256, 128
GREY = "#808080"  # readable on white and on black
# Colours of Okabe & Ito (2008), which readers with colour blindness can tell apart.
CASES: list[tuple[str, type[nn.Module], str, dict[str, Any], str]] = [
    ("ReLU, default", nn.ReLU, "default", {}, "#d55e00"),
    ("ReLU, gain √2", nn.ReLU, "kaiming_normal", {}, "#0072b2"),
    ("tanh, gain 1", nn.Tanh, "kaiming_normal", {"gain": 1.0}, "#cc79a7"),
    ("tanh, gain 5/3", nn.Tanh, "kaiming_normal", {}, "#009e73"),
    ("SELU, gain 1", nn.SELU, "kaiming_normal", {"gain": 1.0}, "#e69f00"),
    ("GELU, gain 1.53", nn.GELU, "kaiming_normal", {}, "#56b4e9"),
]
PANELS = {
    "pre_second_moment": "second moment of the signal",
    "gradient_second_moment": "second moment of the gradient",
}


def main() -> None:
    torch.manual_seed(0)
    batch = torch.randn(SAMPLES, WIDTH), torch.randint(10, (SAMPLES,))
    colors = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY)
    with mpl.rc_context({**colors, "svg.hashsalt": "initbench", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        for label, activation, init, keys, color in CASES:
            hidden = [layer for _ in range(DEPTH) for layer in (nn.Linear(WIDTH, WIDTH), activation())]
            model = initbench.initialize(nn.Sequential(*hidden, nn.Linear(WIDTH, 10)), init, seed=0, **keys)
            layers = initbench.diagnose(model, batch, jacobian=False).layers.iloc[:DEPTH]
            for axis, quantity in zip(axes, PANELS, strict=True):
                values = layers[quantity] / layers[quantity].iloc[0 if axis is axes[0] else -1]
                axis.semilogy(range(1, DEPTH + 1), values, color=color, label=label)
        for axis, title in zip(axes, PANELS.values(), strict=True):
            axis.set(xlabel="layer", ylim=(1e-12, 1e6), title=title, facecolor="none")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("relative to where it starts")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
        figure.savefig(TARGET, transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()
