"""The coordinate check on GPTs: how much features change in a few steps of AdamW, at every width and every depth.

A learning rate that is right at all sizes changes them by the same amount at all sizes (Yang & Hu et al. 2021, appendix
D.1; Dey et al. 2025, figure 7).
"""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import optimizer
from initbench.init import initializer
from initbench.model import GPT

ADAMW = {"_target_": "torch.optim.AdamW", "lr": 3e-3, "eps": 1e-8, "weight_decay": 0.1}
FEATURES = ("first block", "last block", "norm")
WIDTHS = (64, 128, 256, 512)
DEPTHS = (4, 8, 16, 32)  # the change at depth 2 is 15 % above that at 4, and 30 % above the limit


def outputs(model: GPT, tokens: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    watched = {"first block": model.blocks[0], "last block": model.blocks[-1], "norm": model.norm}
    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: found.update({name: output.detach()}))
        for name, module in watched.items()
    ]
    with torch.no_grad():
        model(tokens)
    for handle in handles:
        handle.remove()
    return found


def trained(init: Mapping[str, Any], width: int, depth: int, *, steps: int = 4) -> dict[str, tuple[float, float]]:
    """The mean absolute change of features in `steps` steps, and their mean absolute value then."""
    model = GPT(
        vocab_size=32,
        context_length=16,
        depth=depth,
        width=width,
        heads=width // 16,  # so that the attention logits of a head do not depend on the width
        tied=False,
        branch_multiplier=True,
    )
    start = initializer(init["name"], **{key: value for key, value in init.items() if key != "name"})
    start.apply(model, seed=0)
    chosen = optimizer.build(ADAMW)(model, lambda adaptive: start.optimizer_factors(model, adaptive=adaptive))
    tokens = torch.randint(32, (4, 17), generator=torch.Generator().manual_seed(0))
    before = outputs(model, tokens[:, :-1])
    for _ in range(steps):
        chosen.zero_grad()
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        chosen.step()
    after = outputs(model, tokens[:, :-1])
    return {name: ((after[name] - before[name]).abs().mean().item(), after[name].abs().mean().item()) for name in after}


def slopes(
    init: Mapping[str, Any], *, widths: tuple[int, ...] = (64,), depths: tuple[int, ...] = (2,)
) -> dict[str, tuple[float, float]]:
    """By feature, d log(change) / d log(size) and d log(value) / d log(size), where the size is the width or depth."""
    sizes = [(width, depth) for width in widths for depth in depths]
    found = [trained(init, *size) for size in sizes]
    logs = [math.log(width * depth) for width, depth in sizes]
    return {
        name: tuple(stats.linregress(logs, [math.log(each[name][k]) for each in found]).slope for k in range(2))
        for name in FEATURES
    }


@pytest.mark.parametrize("init", ["mup", "spectral", "complete_p"])
def test_features_change_by_the_same_at_every_width(init: str) -> None:
    for name, found in slopes({"name": init}, widths=WIDTHS).items():
        assert max(map(abs, found)) < 0.1, (name, found)


def test_with_one_rate_for_all_weights_they_do_not() -> None:
    """Each of the weights moves by the rate, and all inputs together by the rate times the width."""
    found = slopes({"name": "gpt2"}, widths=WIDTHS)
    assert min(*found["first block"], *found["last block"]) > 1, found


@pytest.mark.parametrize("alpha", [pytest.param(0.5, marks=pytest.mark.slow), 1])
def test_features_change_by_the_same_at_every_depth(alpha: float) -> None:
    """The first block's, of which there are ever more, change ever less."""
    found = slopes({"name": "complete_p", "alpha": alpha}, depths=DEPTHS)
    for name in ("last block", "norm"):
        assert max(map(abs, found[name])) < 0.1, (name, found)
    assert found["first block"][0] < -0.3, found


def test_without_a_constant_on_branches_they_do_not() -> None:
    for init in ("gpt2", "mup"):
        found = slopes({"name": init}, depths=DEPTHS)
        assert min(found["last block"]) > 0.5, found
