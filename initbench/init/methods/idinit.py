"""IDInit (Pan et al. 2025): identity-like weights, and residual branches that start near zero but have gradients."""

from collections.abc import Callable
from functools import partial

from torch import Generator, nn

from initbench.init.methods.zero_hadamard import fill_last_layers
from initbench.init.schemes.identity import zero_preserving_
from initbench.init.structure.branch import Branch


def idinit_(
    model: nn.Module, branches_if_any: list[Branch], stream: Callable[[str], Generator], *, epsilon: float = 1e-6
) -> dict[str, int]:
    """Fill the last linear layer or convolution of every residual branch with +-epsilon; a scheme fills the others.

    The scheme is `schemes.identity.padded_identity_`; the last layers are filled by
    `schemes.identity.zero_preserving_`. Returns the number of `branches` found; in a model without any, all weights are
    those of the scheme.

    Source: Pan et al. 2025, IDInit: a universal and stable initialization method for neural network training.
    Acts on: the last weight of each residual branch; its scheme on every linear and convolutional layer.
    """
    return {"branches": fill_last_layers(branches_if_any, stream, partial(zero_preserving_, epsilon=epsilon))}
