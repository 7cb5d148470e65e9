"""IDInit (Pan et al. 2025): identities everywhere, and branches that are nearly zero but not dead."""

from collections.abc import Callable
from functools import partial

from torch import Generator, nn

from initbench.init.methods.zero_hadamard import fill_ends
from initbench.init.schemes.identity import zero_preserving_


def idinit_(model: nn.Module, stream: Callable[[str], Generator], *, epsilon: float = 1e-6) -> dict[str, int]:
    """Make the last linear layer or convolution of every residual branch +-epsilon, balanced; a scheme fills the rest.

    The scheme is `schemes.identity.padded_identity_`, the ends are `schemes.identity.zero_preserving_`. Returns how
    many `branches` it found; a model without any keeps what the scheme filled.

    Source: Pan et al. 2025, IDInit: a universal and stable initialization method for neural network training.
    Acts on: the last weight of each residual branch; its scheme on every linear and convolutional layer.
    """
    return {"branches": fill_ends(model, stream, partial(zero_preserving_, epsilon=epsilon))}
