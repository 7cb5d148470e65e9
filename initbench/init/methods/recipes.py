"""Recipes of the reference implementations of ViT and ConvNeXt: one scheme for all weights, with exceptions."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.declarations import ExpectedStds
from initbench.init.parametrized import write
from initbench.init.roles import NamedParameter, walk
from initbench.init.structure.branch import Branch

Stream = Callable[[str], Generator]


@torch.no_grad()
def vit_(
    model: nn.Module,
    positions: list[NamedParameter],
    stream: Stream,
    *,
    position_std: float = 0.02,
    token_std: float = 1e-6,
) -> ExpectedStds:
    """N(0, 0.02^2) for all weights, N(0, position_std^2) for position embeddings, N(0, token_std^2) for tokens.

    The scheme fills the weights; this function sets position embeddings and tokens, if the model has any. timm
    truncates the normals at +-2, a hundred standard deviations. It keeps torch's default for convolutions, of which a
    ViT has one, the patch embedding; Hugging Face draws it like the other weights, and so does this function.

    Raises ValueError for a negative standard deviation.

    Source: Dosovitskiy et al. 2021; Touvron et al. 2021, DeiT; Wightman's timm, weight_init="".
    Acts on: all weights, class and register tokens, position embeddings.
    """
    drawn = _draw(positions, position_std, stream) | _draw(_tokens(model), token_std, stream)
    return ExpectedStds(drawn)


@torch.no_grad()
def vit_jax_(
    model: nn.Module,
    branches_if_any: list[Branch],
    positions: list[NamedParameter],
    stream: Stream,
    *,
    position_std: float = 0.02,
    token_std: float = 0.0,
    mlp_bias_std: float = 1e-6,
) -> ExpectedStds:
    """Xavier's uniform weights, a zero classifier, biases of MLPs N(0, mlp_bias_std^2); positions and tokens as in vit.

    The rules set the last weight matrix, the classifier, to zero, and the first, the patch embedding, to LeCun's
    truncated normal. Query, key and value each have their own fans, as in the original, where they are three matrices;
    timm's weight_init="jax" treats them as one matrix and draws them smaller by sqrt 2.

    Raises ValueError for a negative standard deviation.

    Source: Dosovitskiy et al. 2021, the code in JAX (google-research/vision_transformer).
    Acts on: all weights, biases of MLPs, class and register tokens, position embeddings.
    """
    drawn = _draw(positions, position_std, stream) | _draw(_tokens(model), token_std, stream)
    layers = [layer for branch in branches_if_any if branch.kind == "mlp" for layer in branch.weighted]
    for name, module in layers:
        own = getattr(module, "bias", None)
        if isinstance(own, Tensor) and not isinstance(module, _ConvNd):
            bias = torch.empty(own.shape)
            write(module, "bias", _normal(bias, mlp_bias_std, stream(f"{name}.bias")))
            drawn[f"{name}.bias"] = mlp_bias_std
    return ExpectedStds(drawn)


@torch.no_grad()
def convnext_(model: nn.Module, gates_if_any: list[tuple[str, nn.Parameter]], *, layer_scale: float = 1e-6) -> None:
    """N(0, 0.02^2) for all weights, `layer_scale` for the layer scales and gates of residual branches, if any.

    Source: Liu et al. 2022, Table 5; Touvron et al. 2021, CaiT, for the layer scale.
    Acts on: all weights, layer scales and gates.
    """
    for _, gate in gates_if_any:
        gate.fill_(layer_scale)


def _tokens(model: nn.Module) -> list[NamedParameter]:
    """Learned tokens that are added to those of the input (cls_token, class_token, reg_token, mask_token, ...)."""
    others = (found for found in walk(model) if found.role == "other" and found.tensor.dim() >= 2)
    return [found for found in others if found.key.endswith("token")]


def _draw(parameters: list[NamedParameter], std: float, stream: Stream) -> dict[str, float]:
    """Draw them; return the standard deviation of each, by its name."""
    for found in parameters:
        value = torch.empty(found.tensor.shape)
        write(found.module, found.key, _normal(value, std, stream(found.name)))
    return dict.fromkeys((found.name for found in parameters), std)


def _normal(value: torch.Tensor, std: float, generator: Generator) -> torch.Tensor:
    if not std >= 0:
        raise ValueError(f"a standard deviation must not be negative, got {std}")
    return nn.init.normal_(value, 0.0, std, generator)
