"""Gates that start shut: each residual branch is multiplied by a learnable number that begins at zero."""

import torch
from torch import nn


@torch.no_grad()
def gates_(model: nn.Module, gates: list[tuple[str, nn.Parameter]], *, value: float = 0) -> None:
    """Every gate = value: with 0 each block starts as its skip connection, x + 0 * branch(x).

    Gates are what the model has: `gate`, SkipInit's gain, or a layer scale, where all channels get the value. The
    gradient opens them: d loss / d gate = <d loss / d out, branch(x)>, while that of the branch is zero at first.

    SkipInit and ReZero are this same act, and differ in the model and in the other weights. SkipInit's gates are one
    for each branch of a ResNet without norms, with the weights of He et al. ReZero gates any layer, and attention and
    feed-forward of one layer of a transformer share a gate; its weights are the model's own.

    Source: De & Smith 2020, section 3; Bachlechner et al. 2020, eq. 2.
    Acts on: the gates of all residual branches.
    """
    for _, gate in gates:
        gate.fill_(value)
