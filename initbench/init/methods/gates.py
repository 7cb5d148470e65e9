"""Gates that start at zero: SkipInit and ReZero, whose residual branches are multiplied by learnable numbers."""

import torch
from torch import nn


@torch.no_grad()
def gates_(model: nn.Module, gates: list[tuple[str, nn.Parameter]], *, value: float = 0) -> None:
    """Set every gate to `value`: with 0 each block starts as its skip connection, x + 0 * branch(x).

    A gate is a parameter `gate`, SkipInit's gain, or a layer scale, all of whose channels are set. At zero the gradient
    of the gate is <d loss / d out, branch(x)>, and that of the branch is zero until the gate has moved.

    SkipInit and ReZero both do this; they differ in the model and in the other weights. SkipInit has one gate for each
    branch of a ResNet without norms, and the weights of He et al. ReZero gates layers of any kind, and one gate is
    shared by the attention and feed-forward branch of a transformer layer; its weights are the model's own.

    Source: De & Smith 2020, section 3; Bachlechner et al. 2020, eq. 2.
    Acts on: the gates of all residual branches.
    """
    for _, gate in gates:
        gate.fill_(value)
