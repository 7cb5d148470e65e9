"""The initialization rate: a normal law with the standard deviation fan_in^(-gamma)."""

import math

import pytest
from scipy import stats
from torch import nn

from initbench.init import describe, initialize


@pytest.mark.parametrize("gamma", [0.5, 0.8, 1.3])
def test_law_of_a_grouped_convolution(gamma: float) -> None:
    model = initialize(nn.Conv2d(8, 300, 5, groups=2), "gamma", gamma=gamma)
    values = model.weight.detach().flatten().numpy()
    assert stats.kstest(values, stats.norm(scale=100**-gamma).cdf).pvalue > 1e-3
    assert describe(model, "gamma", gamma=gamma).loc[0, "std_expected"] == pytest.approx(100**-gamma)


def test_the_default_is_the_papers_small_initialization() -> None:
    assert describe(nn.Linear(512, 4), "gamma").loc[0, "std_expected"] == pytest.approx(512**-0.8)


def test_a_half_is_lecuns_variance() -> None:
    rate, lecun = (describe(nn.Linear(50, 4), *each) for each in (("gamma",), ("lecun_uniform",)))
    half = describe(nn.Linear(50, 4), "gamma", gamma=0.5)
    assert half.loc[0, "std_expected"] == pytest.approx(lecun.loc[0, "std_expected"])
    assert rate.loc[0, "std_expected"] == pytest.approx(lecun.loc[0, "std_expected"] * 50**-0.3)


def test_query_key_and_value_have_fans_of_their_own() -> None:
    table = describe(nn.MultiheadAttention(64, 2), "gamma").set_index("parameter")
    assert table["std_expected"]["in_proj_weight"] == pytest.approx(64**-0.8)
    assert table["std"]["in_proj_weight"] == pytest.approx(64**-0.8, rel=5 / math.sqrt(2 * 3 * 64**2))


@pytest.mark.parametrize("gamma", [0, -0.5])
def test_a_rate_that_is_not_positive_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=f"gamma must be positive, got {float(gamma)}"):
        initialize(nn.Linear(3, 4), "gamma", gamma=float(gamma))


def test_a_tensor_without_fans_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bias has shape.*fans need at least two dimensions"):
        initialize(nn.Linear(3, 4), "normal", bias="gamma")
