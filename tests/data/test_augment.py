"""Each augmentation against a loop over samples that is handed the same random numbers."""

import numpy as np
import pytest
import torch
from scipy import stats

from initbench.data import augment

SHAPES = [(40, 1, 5, 5), (40, 3, 8, 8), (40, 2, 7, 7), (40, 3, 4, 9)]


def images_of(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
def test_flip(shape: tuple[int, ...]) -> None:
    images = images_of(shape)
    mirrored = torch.rand(len(images), generator=seeded()) < 0.5
    expected = np.stack(
        [np.fliplr(image.transpose(1, 2, 0)).transpose(2, 0, 1) if m else image
         for image, m in zip(images.numpy(), mirrored, strict=True)]
    )  # fmt: skip  # several values to a line
    assert 0 < int(mirrored.sum()) < len(images)
    assert np.array_equal(augment.flip(images, seeded()).numpy(), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [1, 3])
def test_crop(shape: tuple[int, ...], padding: int) -> None:
    images, (n, _, height, width) = images_of(shape), shape
    generator = seeded()
    tops = torch.randint(-padding, padding + 1, (n, 1), generator=generator).flatten() + padding
    lefts = torch.randint(-padding, padding + 1, (n, 1), generator=generator).flatten() + padding
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="reflect")
    expected = np.stack(
        [image[:, top : top + height, left : left + width]
         for image, top, left in zip(padded, tops.tolist(), lefts.tolist(), strict=True)]
    )  # fmt: skip  # several values to a line
    assert np.array_equal(augment.crop(images, padding, seeded()).numpy(), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout(shape: tuple[int, ...], side: int) -> None:
    images, (n, _, height, width) = images_of(shape).float() + 1, shape
    generator = seeded()
    rows = torch.randint(height, (n, 1), generator=generator).flatten() - side // 2
    columns = torch.randint(width, (n, 1), generator=generator).flatten() - side // 2
    expected = images.clone()
    for image, top, left in zip(expected, rows.tolist(), columns.tolist(), strict=True):
        image[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0
    assert torch.equal(augment.cutout(images, side, seeded()), expected)


def test_every_place_of_a_crop_is_equally_likely() -> None:
    """The pixel at the centre tells the offset: 9 places, chi-squared over 9,000 samples."""
    images = torch.arange(25, dtype=torch.uint8).view(1, 1, 5, 5).expand(9000, 1, 5, 5)
    centres = augment.crop(images, 1, seeded())[:, 0, 2, 2]
    places, counts = centres.unique(return_counts=True)
    assert places.tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_half_of_the_images_are_mirrored() -> None:
    images = torch.tensor([0, 1], dtype=torch.uint8).view(1, 1, 1, 2).expand(10_000, 1, 1, 2)
    mirrored = int(augment.flip(images, seeded())[:, 0, 0, 0].sum())
    assert stats.binomtest(mirrored, 10_000, 0.5).pvalue > 1e-3


def test_the_centre_of_a_cutout_is_uniform_over_the_image() -> None:
    """Side 1 covers the centre alone."""
    covered = augment.cutout(torch.ones(9000, 1, 3, 3), 1, seeded()) == 0
    assert int(covered.sum()) == 9000
    assert stats.chisquare(covered.sum((0, 1)).flatten().numpy()).pvalue > 1e-3
