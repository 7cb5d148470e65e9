"""Admin: every omega by hand, from a batch and in closed form, and the change of the output that it bounds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from one_step import change_by_one_step
from torch import Tensor, nn

import initbench
from initbench.init import Batch, initializer
from initbench.init.structure.parts import find_branches
from initbench.model import LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}
IMAGES = torch.randn(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
BOTH = ("admin", "admin_torch")


def vit(**keys: Any) -> ViT:
    return ViT(**{"patch_size": 7, "width": 16, "depth": 3, "num_heads": 2, "norm": "post", **MNIST, **keys})


def omegas(model: nn.Module) -> list[float]:
    return [float(branch.skip_scale.detach().mean()) for branch in find_branches(model)]


@torch.no_grad()
@pytest.mark.parametrize("gate", [False, True])
def test_omega_is_what_all_layers_before_add_up_to(gate: bool) -> None:
    """Measured block by block in the initialized model."""
    model = vit(gate=gate)
    numbers = initializer("admin", other=0.5).apply(model, seed=0, batch=Batch(IMAGES)).numbers
    x, expected = model.patches(IMAGES), 1.0
    for block in (part for blocks in model.blocks for part in blocks):
        assert float(block.skip_scale) == pytest.approx(expected, rel=1e-5)
        assert not block.skip_scale.requires_grad
        branch = (float(block.gate) if gate else 1.0) * block.branch(x)
        skip = block.skip_scale * x
        expected = math.sqrt(skip.square().mean() - skip.mean() ** 2 + branch.square().mean() - branch.mean() ** 2)
        x = block.norm(skip + branch)
    assert numbers == {"omega_last": pytest.approx(omegas(model)[-1])}


class Constant(nn.Module):
    """x + f(x) for a linear f whose output has a variance that is known."""

    def __init__(self, write: Callable[[Tensor, Tensor, Tensor], Tensor], shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.write = write
        self.branch = nn.Linear(2, 2, bias=False)
        self.skip_scale = nn.Parameter(torch.ones(shape))
        self.norm = nn.LayerNorm(2, eps=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.write(self.skip_scale, x, self.branch(x)))


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "skip first": lambda omega, x, added: omega * x + added,
    "branch first": lambda omega, x, added: added + x * omega,
    "in place": lambda omega, x, added: (x * omega).add_(added),
    "a view": lambda omega, x, added: omega.view(1, -1) * x + added,
}


@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize("way", WAYS)
def test_omega_by_pocket_calculator(way: str, shape: tuple[int, ...]) -> None:
    """Features 3 and -3, then always 1 and -1 behind the norm; weights of 2 and 0 double them."""
    model = nn.Sequential(*(Constant(WAYS[way], shape) for _ in range(3)))
    batch = Batch(torch.tensor([[3.0, -3.0], [-3.0, 3.0]]))
    initializer("admin", weight={"name": "eye", "gain": 2.0}).apply(model, seed=0, batch=batch)
    # 1; sqrt(9 + 36); sqrt(45 + 4).
    assert omegas(model) == pytest.approx([1.0, math.sqrt(45), 7.0])


def test_all_other_parameters_keep_their_starting_values() -> None:
    plain = initbench.initialize(vit(), "xavier_uniform").state_dict()
    for name in BOTH:
        ours = initbench.initialize(vit(), name, batch=IMAGES).state_dict()
        changed = {key for key, value in ours.items() if not torch.equal(value, plain[key])}
        assert {key.rpartition(".")[2] for key in changed} == {"skip_scale"}


@pytest.mark.parametrize(
    "depth,output_change,omega",
    [
        (1, "log", 1.3156),  # R = 2: sqrt(3 / 1.0986 - 1)
        (6, "log", 2.0170),  # R = 12: sqrt(13 / 2.5649 - 1)
        (18, "log", 3.0408),  # R = 36: sqrt(37 / 3.6109 - 1)
        (6, "constant", 3.4641),  # sqrt 12
    ],
)
def test_omega_in_closed_form(depth: int, output_change: str, omega: float) -> None:
    model = vit(depth=depth)
    numbers = initializer("admin_torch", output_change=output_change).apply(model, seed=0).numbers
    assert numbers == {"omega": pytest.approx(omega, abs=1e-4)}
    assert omegas(model) == pytest.approx([omega] * 2 * depth, abs=1e-4)


class Crossed(nn.Module):
    """An encoder of two blocks, and a decoder of three that starts from other features."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(2, 2)
        way = WAYS["skip first"]
        self.encoder = nn.Sequential(*(Constant(way) for _ in range(2)))
        self.decoder = nn.Sequential(*(Constant(way) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x) * self.decoder(self.embedding(x))


def test_each_of_two_stacks_is_counted_and_measured_by_itself() -> None:
    model = Crossed()
    initializer("admin_torch").apply(model, seed=0)
    two, three = (math.sqrt((r + 1) / math.log(r + 1) - 1) for r in (2, 3))
    assert omegas(model) == pytest.approx([two] * 2 + [three] * 3)
    batch = Batch(torch.tensor([[3.0, -3.0], [-3.0, 3.0]]))
    initializer("admin", weight={"name": "eye", "gain": 2.0}).apply(model, seed=0, batch=batch)
    # The decoder starts from features of 6 and -6: sqrt(36 + 144), sqrt(180 + 4).
    assert omegas(model) == pytest.approx([1, math.sqrt(45), 1, math.sqrt(180), math.sqrt(184)])


def test_one_step_of_sgd_goes_less_far_than_in_plain_post_norm() -> None:
    """Whose change grows linearly with depth, against the logarithm of depth (Liu et al. 2020, corollary 2)."""
    torch.manual_seed(0)
    images, labels = torch.randn(16, 1, 28, 28), torch.randint(10, (16,))
    change = {}
    for name in ("xavier_uniform", *BOTH):
        for depth in (2, 32):
            model = vit(patch_size=14, width=32, num_heads=4, depth=depth)
            initbench.initialize(model, name, batch=images, seed=1)
            change[name, depth] = change_by_one_step(model, images, labels)
    growth = {name: change[name, 32] / change[name, 2] for name in ("xavier_uniform", *BOTH)}
    # Measured: 46, 3.5 and 3.3 times.
    assert growth["xavier_uniform"] > 20
    assert max(growth["admin"], growth["admin_torch"]) < 6


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "model,message",
    [
        (lambda: vit(norm="pre"), "blocks.0.attention.branch has no skip_scale: model=vit model.norm=post$"),
        (lambda: vit(norm="none"), "has no skip_scale"),
        (lambda: timm.create_model("vit_tiny_patch16_224", img_size=28, patch_size=7, depth=1, in_chans=1), "no skip"),
        (lambda: LeNet(**MNIST), "LeNet has none$"),
    ],
)
def test_models_without_what_it_needs(name: str, model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} needs residual b.*{message}") as error:
        initbench.initialize(model(), name, batch=IMAGES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BOTH)
def test_a_norm_that_comes_first_is_refused(name: str) -> None:
    model = Constant(WAYS["skip first"])
    model.branch = nn.Sequential(nn.LayerNorm(2), model.branch)
    with pytest.raises(ValueError, match="its norm first"):
        initbench.initialize(model, name, batch=torch.randn(4, 2))


def test_a_sum_in_one_operation_is_refused() -> None:
    model = Constant(lambda omega, x, added: torch.addcmul(added, omega, x))
    with pytest.raises(ValueError, match=r"admin finds no sum of skip_scale \* x and branch, .* in these two steps"):
        initbench.initialize(model, "admin", batch=torch.randn(4, 2))


def test_wrong_values_of_keys() -> None:
    with pytest.raises(ValueError, match=r"output_change of admin_torch 'linear'\. Allowed: constant, log"):
        initbench.initialize(vit(), "admin_torch", output_change="linear")
    with pytest.raises(ValueError, match="admin needs data"):
        initbench.initialize(vit(), "admin")


def test_a_block_that_runs_twice_is_set_at_its_first_run() -> None:
    """Features of 3 and -3 at first, and of 1 and -1 at the second run, in which the sum would be 1 + 4."""
    block, last = Constant(WAYS["skip first"]), Constant(WAYS["skip first"])
    model = nn.Sequential(block, block, last)
    batch = Batch(torch.tensor([[3.0, -3.0], [-3.0, 3.0]]))
    initializer("admin", weight={"name": "eye", "gain": 2.0}).apply(model, seed=0, batch=batch)
    assert block.skip_scale.item() == 1


class Late(Constant):
    """The skip connection is computed first, and the branch adds numbers in between."""

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip_scale * x
        added = self.branch(x)
        added = added.add(0.0) + torch.zeros(2)
        return self.norm(skip + added)


def test_sums_inside_of_the_branch_do_not_disturb() -> None:
    model = nn.Sequential(*(Late(WAYS["skip first"]) for _ in range(3)))
    batch = Batch(torch.tensor([[3.0, -3.0], [-3.0, 3.0]]))
    initializer("admin", weight={"name": "eye", "gain": 2.0}).apply(model, seed=0, batch=batch)
    assert omegas(model) == pytest.approx([1.0, math.sqrt(45), 7.0])
