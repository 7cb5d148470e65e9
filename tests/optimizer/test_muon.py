"""Muon for hidden matrices and AdamW for the rest: which is which, and the same bits as torch's own two by hand."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from configs import compose_config
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations
from torch.optim import Optimizer

from initbench import optimizer
from initbench.errors import UserMistake
from initbench.init import Factors, initializer
from initbench.model import MLP, LeNet
from initbench.optimizer.muon import hidden_matrices
from initbench.packed.plan import obstacle
from initbench.record.store import Store
from initbench.training.run import run


class Tokens(nn.Module):
    """An embedding, a matrix, a norm, and a head that may share the weight of the embedding."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.up, self.norm, self.down = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 4)
        self.head = nn.Linear(4, 7, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.down(self.norm(self.up(self.embedding(tokens)))))
        return outputs


def config(**changes: Any) -> dict[str, Any]:
    return {**compose_config("optimizer=muon")["optimizer"], **changes}


def build(model: nn.Module, **changes: Any) -> Optimizer:
    return optimizer.build(config(**changes))(model, lambda adaptive: {})


def backward(model: nn.Module, step: int) -> None:
    tokens = torch.randint(7, (5, 8), generator=torch.Generator().manual_seed(step))
    model.zero_grad()
    F.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(1, 1).flatten()).backward()


@pytest.mark.parametrize(
    "make, names",
    [
        (Tokens, {"up.weight", "down.weight"}),
        (lambda: Tokens(tied=True), {"up.weight", "down.weight"}),
        (lambda: MLP(in_features=8, out_features=3, width=8, depth=3), {"linear2.weight", "linear3.weight"}),
        (lambda: torch.compile(nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))), {"1.weight"}),
        (lambda: LeNet(in_channels=1, num_classes=10, image_size=28), {"linear1.weight", "linear2.weight"}),
        (lambda: nn.TransformerEncoderLayer(4, 1, 8), {"self_attn.out_proj.weight", "linear1.weight"}),
    ],
    ids=["tokens", "tied", "mlp", "compiled", "convolutions", "torch's attention"],
)
def test_hidden_matrices_are_2d_and_neither_first_nor_last(make: Callable[[], nn.Module], names: set[str]) -> None:
    assert hidden_matrices(make()) == names


def test_recurrent_and_parametrized_weights_are_for_adamw() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 4))
    model.extend([nn.Linear(4, 4)])
    assert hidden_matrices(model) == {"2.weight"}
    with pytest.raises(
        ValueError, match=r"^optimizer=muon is for linear layers between .* LSTM has none: use optimizer=adamw$"
    ):
        hidden_matrices(nn.LSTM(3, 4))


@pytest.mark.parametrize("adjust_lr_fn, ratio", [("match_rms_adamw", 1.0), ("original", 0.015)])
def test_twenty_steps_are_those_of_torch_by_hand(adjust_lr_fn: str, ratio: float) -> None:
    """Bit for bit, with a schedule, and a state that is saved and loaded on the way."""
    torch.manual_seed(0)
    ours = Tokens()
    hand = copy.deepcopy(ours)
    settings = {"lr": 0.02, "adamw_lr_ratio": ratio, "adjust_lr_fn": adjust_lr_fn, "weight_decay": 0.1}
    chosen = build(ours, **settings)
    hidden = [hand.up.weight, hand.down.weight]
    matrices = torch.optim.Muon(hidden, lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn=adjust_lr_fn)
    rest = torch.optim.AdamW(
        [
            {"params": [hand.embedding.weight, hand.head.weight], "weight_decay": 0.1},
            {"params": [hand.up.bias, *hand.norm.parameters(), hand.down.bias], "weight_decay": 0.0},
        ],
        lr=0.02 * ratio,
        betas=(0.9, 0.95),
        eps=1e-8,
        fused=True,
    )
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: 0.9**step) for one in (chosen, matrices, rest)]
    for step in range(20):
        backward(ours, step)
        chosen.step()
        backward(hand, step)
        matrices.step()
        rest.step()
        for schedule in schedules:
            schedule.step()
        if step == 9:
            saved = copy.deepcopy(chosen.state_dict())
            chosen = build(ours, **settings)
            schedules[0] = torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: 0.9**step)
            schedules[0].last_epoch = 10
            chosen.load_state_dict(saved)
    for (name, mine), theirs in zip(ours.named_parameters(), hand.parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_groups_have_the_keys_of_their_optimizer_and_one_lr_scales_both() -> None:
    made = build(Tokens(), lr=0.02, adamw_lr_ratio=0.5, lr_multipliers={"norm_scale": 4})
    kinds = [(group["hidden"], "momentum" in group, "betas" in group) for group in made.param_groups]
    assert set(kinds) == {(True, True, False), (False, False, True)}
    assert kinds[0] == (True, True, False)
    assert [group["lr"] for group in made.param_groups] == [0.02, 0.01, 0.01, 0.04]
    assert all(group["lr"] / group["lr_multiplier"] == 0.02 for group in made.param_groups)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"momentum": 1.5}, r"optimizer.momentum must be a number in \[0, 1\), got 1.5"),
        ({"adamw_lr_ratio": 0}, "optimizer.adamw_lr_ratio must be a number above 0, got 0"),
        ({"adjust_lr_fn": "rms"}, "unknown optimizer.adjust_lr_fn 'rms'. Allowed: original, match_rms_adamw"),
        ({"betas": [0.9, 1]}, "optimizer.betas must be"),
        ({"nesterow": True}, "unknown key optimizer.nesterow. Did you mean 'nesterov'"),
    ],
)
def test_wrong_values_are_clear_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizer.build(config(**changes))


def test_factors_for_adam_are_refused_for_hidden_matrices_only() -> None:
    """muP's table is for Adam; Fixup's factor is for scalars, which AdamW updates, and 0 freezes with any optimizer."""
    make, model = optimizer.build(config()), MLP(in_features=8, out_features=3, width=256, depth=3)
    mup = initializer("mup")
    with pytest.raises(
        ValueError, match=r"scales lr, eps or weight_decay of linear2.weight for an .* does not fit muon: ch"
    ):
        make(model, lambda adaptive: mup.optimizer_factors(model, adaptive=adaptive))
    make(model, lambda adaptive: initializer("mup", base_width=256).optimizer_factors(model, adaptive=adaptive))
    made = make(model, lambda adaptive: {"linear1.bias": Factors(lr=0.1), "linear2.weight": Factors(lr=0.0)})
    assert {
        (group["hidden"], group["lr_multiplier"]) for group in made.param_groups if group["lr_multiplier"] != 1
    } == {
        (True, 0.0),
        (False, 0.1),
    }


def test_a_run_and_its_reasons(small: Any) -> None:
    """It learns; packs leave it; models without a hidden matrix and muP are refused in one line."""
    settings = small("optimizer=muon", "model.depth=3", "optimizer.lr=0.01")
    assert obstacle(Store(settings)) == "optimizer muon"
    record = run(settings)
    assert record is not None
    assert record["status"] == "finished"
    for overrides, message in [
        (["model.depth=1"], "optimizer=muon is for linear layers between the first and the last"),
        (["model.depth=3", "init=mup"], "does not fit muon"),
    ]:
        with pytest.raises(UserMistake, match=message):
            run(small("optimizer=muon", *overrides))


@pytest.mark.parametrize(
    "changes",
    [{"momentum": 0.5}, {"nesterov": False}, {"betas": [0.5, 0.7]}, {"eps": 0.1}, {"weight_decay": 0.5}, {}],
    ids=lambda changes: next(iter(changes), "none"),
)
def test_each_setting_reaches_the_optimizer_that_it_is_for(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours = Tokens()
    hand = copy.deepcopy(ours)
    settings = {"momentum": 0.95, "nesterov": True, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, **changes}
    chosen = build(ours, lr=0.02, adjust_lr_fn="match_rms_adamw", adamw_lr_ratio=0.5, fused=False, **settings)
    decay = settings["weight_decay"]
    of_muon = {key: settings[key] for key in ("momentum", "nesterov", "weight_decay")}
    matrices = torch.optim.Muon([hand.up.weight, hand.down.weight], lr=0.02, adjust_lr_fn="match_rms_adamw", **of_muon)
    rest = torch.optim.AdamW(
        [
            {"params": [hand.embedding.weight, hand.head.weight], "weight_decay": decay},
            {"params": [hand.up.bias, *hand.norm.parameters(), hand.down.bias], "weight_decay": 0.0},
        ],
        lr=0.01,
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
    )
    for step in range(3):
        backward(ours, step)
        chosen.step()
        backward(hand, step)
        matrices.step()
        rest.step()
    for (name, mine), theirs in zip(ours.named_parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)


def test_a_closure_is_called_once_with_gradients_and_its_loss_is_returned() -> None:
    model = Tokens()
    chosen, before = build(model), copy.deepcopy(model.state_dict())
    calls = []

    def closure() -> float:
        calls.append(torch.is_grad_enabled())
        backward(model, 0)
        return 2.5

    with torch.no_grad():
        assert chosen.step(closure) == 2.5
    assert calls == [True]
    assert not any(torch.equal(value, before[key]) for key, value in model.state_dict().items())
