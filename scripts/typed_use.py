"""What a user of the library writes, for `mypy --strict` against an installed initbench: scripts/check_dist.py.

Each `type: ignore` marks a mistake. mypy refuses an ignore that is not needed, so it has to find every one of them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import initbench


def train(init: Callable[..., Any], seed: int) -> float:
    model = nn.Linear(4, 2)
    init(model)
    return float(model(torch.ones(1, 4)).sum())


model: nn.Module = initbench.initialize(nn.Linear(4, 2), "orthogonal", seed=0, gain=2.0)
batch: tuple[Tensor, Tensor] = (torch.ones(8, 4), torch.zeros(8, dtype=torch.long))
print(initbench.describe(model, "orthogonal", batch=batch).to_string())
rates: dict[str, float] = initbench.learning_rates(model, "mup", adaptive=True)
print(initbench.diagnose(model, batch), initbench.audit(model))
print(initbench.verdict(initbench.load_runs("runs"), margin=0.01))

initbench.initialize(model, "orthogonal", seed="zero")  # type: ignore[arg-type]
initbench.diagnose(model, torch.ones(8, 4))  # type: ignore[arg-type]
initbench.compare(train, ["orthogonal"], range(6), score="loss")  # type: ignore[call-arg]
initbench.load_run("runs")  # type: ignore[attr-defined]
initbench.verdict(initbench.load_runs("runs"), margin="1%")  # type: ignore[arg-type]
