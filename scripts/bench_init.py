"""The time of `initialize` compared with torch.nn.init on the same weights, for resnet50.

    python scripts/bench_init.py [--rounds 7] [--threads N]

Times are medians over rounds in which the contenders take turns, in one process. "torch" calls the function of
torch.nn.init on each convolutional and linear weight in place; it does not set biases or norms. "overhead" is the
time of `initialize` with weights that take almost no time to draw (constants), minus the time that torch takes to
fill the same parameters.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from torchvision.models import resnet50

import initbench
from initbench.init.roles import walk

Fill = Callable[[nn.Module], object]


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [found.tensor for found in walk(model) if found.role == "weight"]


@torch.no_grad()
def torch_orthogonal(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for weight in weights(model):
        nn.init.orthogonal_(weight, 2**0.5, generator)


@torch.no_grad()
def torch_kaiming(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for weight in weights(model):
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


@torch.no_grad()
def torch_constant(model: nn.Module) -> None:
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.01)


CONTENDERS: dict[str, Fill] = {
    "torch orthogonal_": torch_orthogonal,
    "initbench orthogonal": lambda model: initbench.initialize(model, "orthogonal", seed=0),
    "torch kaiming_normal_": torch_kaiming,
    "initbench kaiming_normal": lambda model: initbench.initialize(model, "kaiming_normal", seed=0),
    "torch constant_": torch_constant,
    "initbench constant": lambda model: initbench.initialize(model, "constant", seed=0),
}


def seconds(fill: Fill, model: nn.Module) -> float:
    started = time.perf_counter()
    fill(model)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = resnet50()
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for round_number in track(range(arguments.rounds + 1), "rounds", transient=True):
        for name, fill in CONTENDERS.items():
            taken = seconds(fill, model)
            if round_number:  # the first warms up
                times[name].append(taken)
    median = {name: statistics.median(values) for name, values in times.items()}
    table = Table(box=SIMPLE_HEAD, title=f"resnet50, {arguments.threads} threads", title_justify="left")
    for column in ("initializer", "torch", "initbench", "ratio", "difference"):
        table.add_column(column, justify="left" if column == "initializer" else "right")
    for theirs, ours in zip(list(CONTENDERS)[::2], list(CONTENDERS)[1::2], strict=True):
        ratios = [a / b for a, b in zip(times[ours], times[theirs], strict=True)]
        difference = 1e3 * (median[ours] - median[theirs])
        cells = (f"{1e3 * median[theirs]:.1f} ms", f"{1e3 * median[ours]:.1f} ms", f"{statistics.median(ratios):.3f}")
        table.add_row(ours.split()[1], *cells, f"{difference:+.1f} ms")
    Console().print(table)


if __name__ == "__main__":
    main()
