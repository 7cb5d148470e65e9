"""The correlation map: how alike two inputs still are after each layer (Poole et al. 2016; Schoenholz et al. 2017)."""

import math

import torch
from torch import Tensor

PAIRS = 16


def draw_pairs(samples: int, seed: int) -> Tensor:
    """Indices of disjoint pairs of the samples of a batch, (pairs, 2), at most 16 pairs."""
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    return order[: 2 * min(samples // 2, PAIRS)].view(-1, 2)


def cosines(values: Tensor, samples: int, pairs: Tensor) -> list[float]:
    """The cosine similarity of each pair of samples; NaN if one of them is zero, or if dimension 0 is not the batch."""
    if len(values) != samples:
        return [math.nan] * len(pairs)
    flat = values.detach().reshape(samples, -1)[pairs.flatten()].float()
    flat = flat / flat.abs().amax(dim=1, keepdim=True)  # the squares of vanishing values would underflow
    flat = flat / flat.norm(dim=1, keepdim=True)
    similar: list[float] = (flat[0::2] * flat[1::2]).sum(dim=1).tolist()
    return similar
