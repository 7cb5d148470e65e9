"""What a dataset is, in words and for a model."""

import pytest

from initbench.sizes import Sizes

IMAGES = Sizes(10, (3, 8, 8), num_classes=4)
ROWS = Sizes(10, (5,), target_size=2)
TEXTS = Sizes(10, (16,), vocab_size=99)


@pytest.mark.parametrize(
    "sizes, what, sample, given",
    [
        (IMAGES, "3x8x8 images", "image", {"in_channels": 3, "image_size": 8, "in_features": 192}),
        (ROWS, "rows of 5 numbers", "row", {"in_features": 5}),
        (Sizes(10, (1,), num_classes=2), "rows of 1 number", "row", {"in_features": 1}),
        (TEXTS, "texts of 16 tokens", "text", {"vocab_size": 99, "context_length": 16}),
        (Sizes(10, (1,), vocab_size=9), "texts of 1 token", "text", {"vocab_size": 9, "context_length": 1}),
    ],
)
def test_samples_in_words_and_as_arguments_of_models(
    sizes: Sizes, what: str, sample: str, given: dict[str, int]
) -> None:
    assert (sizes.what, sizes.sample, sizes.given) == (what, sample, given)
    assert sizes.has_images is (sizes is IMAGES)
