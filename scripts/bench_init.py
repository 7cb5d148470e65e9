"""The time of `initialize` compared with torch.nn.init on the same weights, for resnet50.

    python scripts/bench_init.py [--rounds 7] [--threads N] [--json FILE]

All in one process. "torch" calls the function of torch.nn.init on each convolutional and linear weight in place; it
does not set biases or norms. "constant" draws nothing: its difference is what `initialize` adds to the drawing.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from benchmarking import Table, parser_of, ratios, report, take_turns, timing
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


TORCH: dict[str, Fill] = {
    "orthogonal": torch_orthogonal,
    "kaiming_normal": torch_kaiming,
    "constant": torch_constant,
}


def seconds(fill: Fill, model: nn.Module) -> float:
    started = time.perf_counter()
    fill(model)
    return time.perf_counter() - started


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of torch and of initbench, by the name of the initializer."""
    model = resnet50()
    ways: dict[str, Callable[[], float]] = {}
    for name, fill in TORCH.items():
        ways[f"torch {name}"] = partial(seconds, fill, model)
        ways[f"initbench {name}"] = partial(seconds, partial(initbench.initialize, init=name, seed=0), model)
    return take_turns(ways, rounds, warm_up=1)


def table(took: dict[str, list[float]]) -> Table:
    rows = []
    for name in TORCH:
        theirs, ours = timing(took[f"torch {name}"]), timing(took[f"initbench {name}"])
        ratio = ratios(took[f"initbench {name}"], took[f"torch {name}"])
        times = [f"{1e3 * of.median:.1f} ms ({1e3 * of.low:.1f} to {1e3 * of.high:.1f})" for of in (theirs, ours)]
        rows.append([name, *times, ratio.cell(".3f"), f"{1e3 * (ours.median - theirs.median):+.1f} ms"])
    return Table("resnet50", ["initializer", "torch", "initbench", "ratio", "difference"], rows)


def main() -> None:
    parser = parser_of(__doc__, rounds=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    report(partial(measure, asked.rounds), table, asked.json)


if __name__ == "__main__":
    main()
