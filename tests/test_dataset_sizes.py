"""What a dataset says about its samples, and what models take of it."""

import pytest

from initbench.sizes import Sizes


@pytest.mark.parametrize(
    "sizes, what, sample, given",
    [
        (
            Sizes(100, (3, 8, 8), num_classes=5),
            "3x8x8 images",
            "image",
            {"in_channels": 3, "image_size": 8, "in_features": 192},
        ),
        (Sizes(100, (7,), target_size=2), "rows of 7 numbers", "row", {"in_features": 7}),
        (Sizes(100, (1,), num_classes=2), "rows of 1 number", "row", {"in_features": 1}),
        (Sizes(100, (16,), vocab_size=50), "texts of 16 tokens", "text", {"vocab_size": 50, "context_length": 16}),
        (Sizes(100, (1,), vocab_size=2), "texts of 1 token", "text", {"vocab_size": 2, "context_length": 1}),
    ],
)
def test_what_samples_are(sizes: Sizes, what: str, sample: str, given: dict[str, int]) -> None:
    assert (sizes.what, sizes.sample, dict(sizes.given)) == (what, sample, given)
    assert sizes.has_images == (sample == "image")
