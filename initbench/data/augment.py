"""Augmentation of a whole batch at once. Every sample draws its own numbers, on the images' device.

Pure functions of (images, generator): no loop over samples, and nothing waits for the device. The generator
lives on the device of the images (N, C, H, W).
"""

import torch
from torch import Generator, Tensor


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)


def crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Pad by `padding` reflected pixels, then crop to the original size at a random position.

    The padded image is never built: a pixel of the crop is looked up where the reflection took it from.
    """
    n, channels, height, width = images.shape
    rows = _shifted(n, height, padding, generator, images.device)
    columns = _shifted(n, width, padding, generator, images.device)
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(n, 1, height * width)
    return images.flatten(2).gather(2, index.expand(-1, channels, -1)).view_as(images)


def cutout(images: Tensor, side: int, generator: Generator) -> Tensor:
    """Set a square of `side` pixels to 0, the mean of normalised images (DeVries and Taylor, 2017).

    As in the paper, the square's centre is uniform over the image and the border clips the square.
    """
    n, _, height, width = images.shape
    rows = _covered(n, height, side, generator, images.device)
    columns = _covered(n, width, side, generator, images.device)
    return images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0)


def _shifted(n: int, size: int, padding: int, generator: Generator, device: torch.device) -> Tensor:
    """(n, size) coordinates of a random crop along one side, in the unpadded image."""
    offset = torch.randint(-padding, padding + 1, (n, 1), generator=generator, device=device)
    coordinate = offset + torch.arange(size, device=device)
    return size - 1 - (size - 1 - coordinate.abs()).abs()  # reflect at 0, then at size - 1


def _covered(n: int, size: int, side: int, generator: Generator, device: torch.device) -> Tensor:
    """(n, size), true where the square covers the coordinate."""
    first = torch.randint(size, (n, 1), generator=generator, device=device) - side // 2
    coordinate = torch.arange(size, device=device)
    return (coordinate >= first) & (coordinate < first + side)
