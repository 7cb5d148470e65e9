"""A plan tries each scheme on each kind of shape, so that nothing is refused halfway through a model."""

import pytest
from torch import nn

from initbench.init import initializer


@pytest.mark.parametrize("scheme", ["delta_orthogonal", "orthogonal_conv"])
@pytest.mark.parametrize(
    "allowed, refused",
    [
        (nn.Conv2d(4, 4, 3), nn.Conv2d(16, 8, 3)),  # as many outputs as inputs; more inputs
        (nn.Conv2d(2, 4, 3), nn.Conv2d(16, 8, 3, groups=2)),  # more outputs; more inputs in each group
        (nn.Conv2d(8, 2, 1), nn.Conv2d(8, 4, 3)),  # a matrix may have more inputs
    ],
)
def test_the_kind_that_a_scheme_refuses_is_found_behind_a_smaller_one_that_it_takes(
    scheme: str, allowed: nn.Module, refused: nn.Module
) -> None:
    initializer(scheme).plan(nn.Sequential(allowed))
    with pytest.raises(ValueError, match=r"1\.weight has \d+ input"):
        initializer(scheme).plan(nn.Sequential(allowed, refused))
