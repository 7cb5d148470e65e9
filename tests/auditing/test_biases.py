"""Biases that a norm takes away again."""

import pytest
from torch import nn

from initbench.auditing.biases import idle_biases
from initbench.auditing.subject import Subject


@pytest.mark.parametrize(
    "layers, names",
    [
        ((nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), ["0.bias"]),
        ((nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), []),
        ((nn.Linear(3, 4), nn.BatchNorm1d(4)), ["0.bias"]),
        ((nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4)), ["0.bias"]),
        ((nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), []),
        ((nn.Linear(3, 4), nn.LayerNorm(4)), []),
    ],
)
def test_only_what_a_norm_subtracts_is_named(layers: tuple[nn.Module, ...], names: list[str]) -> None:
    assert [found.parameter for found in idle_biases(Subject(nn.Sequential(*layers)))] == names


def test_what_something_else_uses_too_has_an_effect() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

        def forward(self, x: object) -> object:
            features = self.layer(x)
            return features + self.norm(features)

    assert list(idle_biases(Subject(Both()))) == []
