"""The Vision Transformer (Dosovitskiy et al. 2021) without class token and dropout."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.model.layers import Activation, activation, named
from initbench.schema.ranges import NonNegativeInt, PositiveFloat, PositiveInt

Norm = Literal["pre", "post", "none"]


class PatchEmbedding(nn.Module):
    """A linear map of each patch plus a learned embedding of its position."""

    def __init__(self, in_channels: int, image_size: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, width, kernel_size=patch_size, stride=patch_size)
        self.position_embedding = nn.Parameter(torch.empty(1, (image_size // patch_size) ** 2, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw position embeddings from N(0, 0.02^2) as Dosovitskiy et al. do; the projection resets itself."""
        nn.init.normal_(self.position_embedding, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, in_channels, image_size, image_size) to (batch, tokens, width)."""
        embedded: Tensor = self.projection(images)
        return embedded.flatten(2).transpose(1, 2) + self.position_embedding


class Attention(nn.Module):
    """Multi-head self-attention over (batch, tokens, width)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        batch, tokens, width = x.shape
        heads = self.qkv(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, width / heads)
        mixed = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return output


class Residual(nn.Module):
    """`x + branch(x)` with LayerNorm first in the branch (`norm="pre"`), after the sum ("post"), or nowhere ("none").

    With `gate` the branch is multiplied by a learnable scalar, initially 1. With "post" x is multiplied by
    `skip_scale`, which is not trained and is 1 unless an initializer sets it (DeepNorm).
    """

    def __init__(self, layers: dict[str, nn.Module], width: int, norm: Norm, gate: bool) -> None:
        super().__init__()
        first = nn.LayerNorm(width) if norm == "pre" else None
        self.branch = nn.Sequential(named({"norm": first, **layers}))
        self.gate = nn.Parameter(torch.ones(())) if gate else None
        self.skip_scale = nn.Parameter(torch.ones(()), requires_grad=False) if norm == "post" else None
        self.norm = nn.LayerNorm(width) if norm == "post" else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        added: Tensor = self.branch(x)
        if self.gate is not None:
            added = self.gate * added
        if self.skip_scale is not None:
            x = self.skip_scale * x
        x = x + added
        return x if self.norm is None else self.norm(x)


class ViT(nn.Module):
    """Patch and position embeddings, `depth` times (attention, MLP), the mean over tokens, a linear classifier.

    A token has `width` features, divided equally among `num_heads` heads; an MLP has one hidden layer of `mlp_ratio` *
    `width` units. `norm` is the position of LayerNorm: before each branch and before the classifier (pre), after each
    sum as in Vaswani et al. 2017 (post), or nowhere (none). `gate` multiplies each branch by a learnable scalar
    (ReZero, Bachlechner et al. 2021).

    Raises ValueError for a patch_size (in pixels) that does not divide the image, and for a number of heads that does
    not divide the width.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        patch_size: PositiveInt,
        width: PositiveInt,
        depth: NonNegativeInt,
        num_heads: PositiveInt,
        mlp_ratio: PositiveFloat = 4,
        nonlinearity: Activation = "gelu",
        norm: Norm = "pre",
        gate: bool = False,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"patch_size must divide the image's {image_size} pixels, {patch_size} does not")
        if width % num_heads:
            raise ValueError(f"num_heads must divide the width of {width}, {num_heads} does not")
        self.patches = PatchEmbedding(in_channels, image_size, patch_size, width)
        hidden = round(mlp_ratio * width)
        blocks = []
        for _ in range(depth):
            attention: dict[str, nn.Module] = {"attention": Attention(width, num_heads)}
            mlp = {
                "linear1": nn.Linear(width, hidden),
                "activation": activation(nonlinearity),
                "linear2": nn.Linear(hidden, width),
            }
            branches = {"attention": attention, "mlp": mlp}
            blocks.append(
                nn.Sequential(named({key: Residual(layers, width, norm, gate) for key, layers in branches.items()}))
            )
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width) if norm == "pre" else None
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, in_channels, image_size, image_size) to scores (batch, num_classes)."""
        tokens: Tensor = self.blocks(self.patches(images))
        if self.norm is not None:
            tokens = self.norm(tokens)
        scores: Tensor = self.classifier(tokens.mean(dim=1))
        return scores
