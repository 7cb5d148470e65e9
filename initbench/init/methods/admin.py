"""Admin: post-norm transformers that train stably, by scaling skip connections."""

import math
from collections import Counter, defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from initbench.errors import unknown
from initbench.init.memory import storage_of
from initbench.init.method import Batch
from initbench.init.methods.encoders import skip_scales
from initbench.init.structure.branch import Branch

OUTPUT_CHANGES = ("log", "constant")


@torch.no_grad()
def admin_(model: nn.Module, branches: list[Branch], batch: Batch) -> dict[str, float]:
    """x <- LayerNorm(omega_i x + f_i(x)), where omega_i^2 is the sum of the variances of all layers before layer i.

    omega_1 = 1 and omega_{i+1}^2 = Var[omega_i x_{i-1}] + Var[f_i(x_{i-1})], measured in one forward pass on the batch,
    in which each omega is set before it is used. As x_{i-1} is normalized, this is the paper's
    omega_i^2 = sum over j < i of Var[f_j(x_{j-1})], with the variance of the embeddings as its first term. A small
    change of all weights then changes the output of N layers by O(log N) instead of O(N).

    Variances are over all samples, positions and features. The `skip_scale` of each residual block is set to its omega;
    all other parameters keep their starting values, Xavier's. A decoder starts again from omega_1 = 1. A block that
    runs several times is set at its first run.

    The paper measures all variances with omega = 1; here the pass uses the omegas, as in the authors' code. There,
    omega is a trainable vector; here it is the model's `skip_scale`, which is a constant number in model=vit.

    Returns `omega_last`, that of the last block.

    Raises ValueError for a model whose residual blocks lack a `skip_scale` or start with a norm, and for a sum that is
    not computed as skip_scale * x + f(x).

    Source: Liu et al. 2020, section 4.3; the authors' Transformer-Clinic.
    Acts on: the skip connections of post-norm transformers.
    """
    scales = skip_scales(branches, "admin")
    profile = _Profile(branches, scales)
    with profile:
        model(batch.inputs)
    for branch, scale in zip(branches, scales, strict=True):
        if scale not in profile.summed:
            raise ValueError(
                f"admin finds no sum of skip_scale * x and {branch.name or type(branch.block).__name__}, so it cannot "
                "measure their variances: compute it in these two steps, as model=vit does"
            )
    return {"omega_last": float(scales[-1].detach().mean())}


@torch.no_grad()
def admin_torch_(model: nn.Module, branches: list[Branch], *, output_change: str = "log") -> dict[str, float]:
    """x <- LayerNorm(omega x + f(x)) with omega^2 = (R + 1) / log(R + 1) - 1, for R residual layers.

    R counts attentions and MLPs: it is 2 N in an encoder of N layers. `output_change` says how the change of the output
    by one step of the optimizer grows with R: `log` has the omega above, the default of the authors' package;
    `constant` has omega^2 = R. (The change is O(R) with omega = 1, which is plain post-norm.) It needs no batch;
    `admin` is the paper's own rule, with an omega for each layer.

    The `skip_scale` of each residual block is set to omega; all other parameters keep their starting values, Xavier's.
    An encoder and a decoder each have their own R.

    Returns `omega`; that of the decoder if there is one.

    Raises ValueError for a model whose residual blocks lack a `skip_scale` or start with a norm, and for an unknown
    `output_change`.

    Source: Liu et al. 2020 and the authors' package admin-torch.
    Acts on: the skip connections of post-norm transformers.
    """
    if output_change not in OUTPUT_CHANGES:
        raise unknown("output_change of admin_torch", output_change, OUTPUT_CHANGES)
    layers = Counter(branch.stream for branch in branches)
    for branch, scale in zip(branches, skip_scales(branches, "admin_torch"), strict=True):
        depth = layers[branch.stream]
        omega = math.sqrt(depth if output_change == "constant" else (depth + 1) / math.log(depth + 1) - 1)
        scale.fill_(omega)
    return {"omega": omega}


class _Profile(TorchDispatchMode):
    """Sets each skip scale when x is multiplied by it, and then measures both terms of the sum."""

    def __init__(self, branches: list[Branch], scales: list[nn.Parameter]) -> None:
        super().__init__()
        # A view of a parameter has its memory, but is another tensor.
        self.scales = {storage_of(scale): scale for scale in scales}
        self.streams = {scale: branch.stream for branch, scale in zip(branches, scales, strict=True)}
        self.variances: dict[int, float] = defaultdict(lambda: 1.0)  # omega^2 of the next layer of each stream
        self.products: list[tuple[nn.Parameter, Tensor]] = []  # each omega x that has not been added to f(x) yet
        self.summed: set[nn.Parameter] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.rstrip("_")
        operands = [value for value in args if isinstance(value, Tensor)]
        scale = None
        if name == "mul":
            scale = next((found for each in operands if (found := self.scales.get(storage_of(each))) is not None), None)
            if scale in self.summed:
                scale = None
            if scale is not None:
                scale.fill_(self.variances[self.streams[scale]] ** 0.5)
        if name == "add" and len(operands) == 2:  # a number may be added inside of a branch
            self._read(operands)
        output = func(*args, **(kwargs or {}))
        if scale is not None:
            self.products.append((scale, output))
        return output

    def _read(self, terms: list[Tensor]) -> None:
        for scale, product in self.products:
            for one, other in (terms, terms[::-1]):
                if one is product:
                    self.variances[self.streams[scale]] = float(one.var(correction=0) + other.var(correction=0))
                    self.summed.add(scale)
        self.products = [each for each in self.products if each[0] not in self.summed]
