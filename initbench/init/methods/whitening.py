"""Patch whitening: a first convolution that whitens the patches of the images (Jordan 2024)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.assignment import Assignment
from initbench.init.declarations import Factors, optimizer_rule
from initbench.init.method import Batch
from initbench.init.methods.execution import LayerCall, visit_layers
from initbench.init.parametrized import write


def _factors(
    assignments: Sequence[Assignment], adaptive: bool, *, eps: float = 5e-4, freeze: bool = True
) -> dict[str, Factors]:
    first = (a for a in assignments if freeze and a.layer.position and a.layer.position.is_first)
    return {a.layer.name: Factors(lr=0.0) for a in first}


@optimizer_rule(_factors)
def patch_whitening_(model: nn.Module, batch: Batch, *, eps: float = 5e-4, freeze: bool = True) -> dict[str, float]:
    """Filters +-v / sqrt(lambda + eps), with eigenvectors v and eigenvalues lambda of the second moment of the patches.

    They are sorted by decreasing eigenvalue, first all with +, then all with -. A layer with fewer units than twice the
    size of a patch takes the first ones; one with more keeps its other filters. As in airbench the moment is not
    centered, since inputs are expected to be normalized. Patches are those inside the images, at the stride and
    dilation of the convolution; each group is whitened separately. The bias is set to zero.

    With `freeze` the learning rate of the whole weight is 0 (in your own code: `initbench.learning_rates`). Airbench
    also stops training the bias after 3 epochs, which is not done here. Its other convolutions start from
    `partial_identity`.

    Raises ValueError if the first module with weights that runs is not a convolution.

    Source: Jordan 2024, section 3.2, airbench94; after Page 2019.
    Acts on: the weight and the bias of the first convolution.
    """
    if eps < 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    conv, inputs = _first_convolution(model, batch.inputs)
    weight = conv.weight.detach().clone()
    spans = [(size - 1) * spacing + 1 for size, spacing in zip(conv.kernel_size, conv.dilation, strict=True)]
    if any(size < span for size, span in zip(inputs.shape[2:], spans, strict=True)):
        raise ValueError(f"no patch of size {tuple(spans)} lies inside inputs of size {tuple(inputs.shape[2:])}")
    for rows, channels in zip(weight.chunk(conv.groups), inputs.chunk(conv.groups, dim=1), strict=True):
        filters = whitening_filters(second_moment(channels, conv), len(rows), eps)
        rows[: len(filters)] = filters.view(-1, *rows.shape[1:])
    write(conv, "weight", weight)
    if conv.bias is not None:
        write(conv, "bias", torch.zeros_like(conv.bias))
    return {"steps": 1}


def second_moment(inputs: Tensor, conv: Any) -> Tensor:
    """E[p p^T] over all patches p inside inputs (N, C, *size), as an fp64 CPU tensor (d, d) with d = C * kernel."""
    spatial = len(conv.kernel_size)
    total, count = torch.zeros((), dtype=torch.float64), 0
    for images in inputs.split(16):  # the patches of a batch may take a hundred times its memory
        for axis in range(spatial):
            spacing = conv.dilation[axis]
            span = (conv.kernel_size[axis] - 1) * spacing + 1
            images = images.unfold(2 + axis, span, conv.stride[axis])[..., ::spacing]
        # (N, C, *positions, *kernel) to one row per patch, ordered like a row of the weight
        patches = images.movedim(1, 1 + spatial).flatten(0, spatial).flatten(1)
        total = total + (patches.T @ patches).cpu().double()
        count += len(patches)
    return total / count


def whitening_filters(moment: Tensor, units: int, eps: float) -> Tensor:
    """+-v / sqrt(lambda + eps) for a (d, d) second moment, by decreasing lambda: shape (min(units, 2 d), d)."""
    eigenvalues, eigenvectors = torch.linalg.eigh(moment)
    # Rounding may leave a zero eigenvalue below zero.
    filters = (eigenvectors / (eigenvalues.clamp(min=0) + eps).sqrt()).T.flip(0)[: (units + 1) // 2]
    # The sign of an eigenvector is arbitrary; fix it, so that it does not depend on the library.
    filters = filters * filters.gather(1, filters.abs().argmax(1, keepdim=True)).sign()
    return torch.cat([filters, -filters])[:units]


def _first_convolution(model: nn.Module, inputs: Tensor) -> tuple[Any, Tensor]:
    """The first convolution and its input. Raises ValueError if another module with weights runs before it."""
    seen: list[LayerCall] = []
    visit_layers(model, inputs, lambda layer: None if seen else seen.append(layer))
    layer = seen[0]
    if not layer.is_first:
        raise ValueError(
            f"patch_whitening needs a convolution as the first layer that runs; before {layer.name} runs an embedding, "
            "a recurrent layer or an attention"
        )
    if not isinstance(layer.module, _ConvNd) or layer.module.transposed:
        kind = type(layer.module).__name__
        raise ValueError(
            f"patch_whitening needs a convolution as the first layer that runs, got layer {layer.name}, a {kind}"
        )
    return layer.module, layer.inputs[0]
