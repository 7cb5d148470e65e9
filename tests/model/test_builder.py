"""`build`: the person's own model, what the check refuses, and that it leaves no trace."""

import re
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf
from tasks import classifier as build
from torch import nn

DATA = {"in_channels": 1, "image_size": 28, "num_classes": 10}

# Forward of Restless changes all it can: a buffer, an attribute, the generator; in evaluation too.
SOURCE = """
import torch
from torch import nn

class Restless(nn.Module):
    def __init__(self, in_channels, image_size, num_classes, sizes):
        super().__init__()
        self.sizes = sizes
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()))
        self.norm = nn.BatchNorm2d(in_channels)
        self.linear = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, x):
        self.calls += 1
        self.seen += len(x)
        return self.linear(self.norm(x + torch.rand_like(x)).flatten(1))

class Pair(Restless):
    def forward(self, x):
        return super().forward(x), x

class Raw(nn.Module):
    def __init__(self, in_channels, image_size, num_classes):
        super().__init__()

    def forward(self, x):
        return x
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_models", None)


def test_own_model_and_no_trace_of_the_check(own):
    from own_models import Restless

    torch.manual_seed(3)
    expected = Restless(**DATA, sizes=[1, 2])
    state = torch.get_rng_state()
    torch.manual_seed(3)
    model = build({"_target_": "own_models.Restless", "name": "mine", "sizes": [1, 2]})

    assert isinstance(model, Restless)
    assert type(model.sizes) is list
    assert torch.equal(torch.get_rng_state(), state)
    assert model.state_dict().keys() == expected.state_dict().keys()
    for key, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    assert model.calls == 0
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_name_may_be_interpolated_and_the_config_is_kept():
    cfg = OmegaConf.create(
        {
            "size": 7,
            "model": {
                "_target_": "initbench.model.MLP",
                "name": "tanh",
                "depth": 1,
                "width": "${size}",
                "nonlinearity": "${.name}",
            },
        }
    )
    model = build(cfg.model)
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "Tanh", "Linear"]
    assert model[1].out_features == 7
    assert cfg.model.name == "tanh"


@pytest.mark.parametrize(
    "cfg,message",
    [
        ({"_target_": "own_models.Pair", "sizes": 0, "name": "pair"}, "model pair .* returns a tuple, not"),
        ({"_target_": "own_models.Raw", "name": "raw"}, r"returns shape \(2, 1, 28, 28\), not \(2, 10\)"),
        (
            {"_target_": "own_models.Absent"},
            "model._target_='own_models.Absent' cannot be imported: .*'Absent'",
        ),
        ({"_target_": "absent_module.Model"}, "absent_module"),
        ({"_target_": "collections.Counter", "name": "d"}, "model d: its _target_ made a Counter, not an nn.Module"),
        ({"name": "n"}, "model._target_ must be the dotted name of a function or class, got None"),
    ],
)
def test_refusals(own, cfg, message):
    with pytest.raises(ValueError, match=message):
        build(cfg)


def test_too_deep_for_the_image():
    cfg = {"_target_": "initbench.model.torchvision_model", "name": "alexnet", "architecture": "alexnet"}
    with pytest.raises(ValueError, match=r"^model alexnet cannot take 1x28x28 images: .*too small") as error:
        build(cfg)
    assert "\n" not in str(error.value)


def test_too_small_an_image():
    cfg = {"_target_": "initbench.model.LeNet", "name": "lenet"}
    with pytest.raises(ValueError, match=r"^model lenet: images must be at least 12x12 pixels, not 10x10"):
        build(cfg, in_channels=3, image_size=10, num_classes=2)


def test_import_is_light():
    code = "import sys, initbench.model; print(*{'timm', 'torchvision', 'lightning'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == ""


class Misshapen(nn.Module):
    """Returns the scores in another shape."""

    def __init__(self, in_features: int, out_features: int, *, how: str) -> None:
        super().__init__()
        self.linear, self.how = nn.Linear(in_features, out_features), how

    def forward(self, x):
        scores = self.linear(x.flatten(1))
        return {"turned": scores.T, "summed": scores.sum(0, keepdim=True), "flat": scores.flatten()}[self.how]


@pytest.mark.parametrize("how, shape", [("turned", "(10, 2)"), ("summed", "(1, 10)"), ("flat", "(20,)")])
def test_scores_that_are_not_one_row_a_sample_are_refused(how, shape):
    said = f"model m cannot take 1x28x28 images: for a batch of 2 it returns shape {shape}, not (2, 10)"
    with pytest.raises(ValueError, match=re.escape(said)):
        build({"_target_": f"{__name__}.Misshapen", "name": "m", "how": how})


def test_a_model_without_a_name_is_called_by_its_target():
    with pytest.raises(ValueError, match=r"^model initbench.model.LeNet: images must be"):
        build({"_target_": "initbench.model.LeNet"}, in_channels=3, image_size=10, num_classes=2)
