"""A dataset so small that even a ResNet-50 is trained on it in float64 within a minute or two."""

import torch

from initbench.data import Arrays


def tiny(size: int) -> Arrays:
    """Ten classes of noise, `size` pixels square, each about a mean image of its own."""
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(10, 1, size, size, generator=generator)

    def images(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(number) % 10
        noisy = means[labels] + 0.3 * torch.randn(number, 1, size, size, generator=generator)
        return (255 * noisy.clamp(0, 1)).to(torch.uint8), labels

    return Arrays(*images(400), *images(64), classes=tuple("abcdefghij"))
