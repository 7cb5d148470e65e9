"""A pack's arithmetic, model by model: each replica is stepped as it would be alone."""

import copy
from typing import Any

import pytest
import torch
from configs import compose_config, options
from tasks import classification, classifier
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.optim.lr_scheduler import LambdaLR

from initbench.packed.forward import forward_of
from initbench.packed.pack import Pack

TASK = classification()
# torch has no rule for them, they need a name, or they are for another task (see test_train.py).
UNMAPPED = ("rnn", "lstm", "gru", "timm", "torchvision", "transformers", "gpt", "autoencoder")
# vgg11_bn has all that vgg11 has.
LARGE = ("resnet18", "resnet34", "resnet50", "resnet56", "vgg11", "vgg16", "vgg16_bn")


def replicas(name: str, number: int) -> list[nn.Module]:
    """Copies of one model of conf/, on RGB images of 32 pixels, in float64, each with weights of its own."""
    made = []
    for seed in range(number):
        torch.manual_seed(seed)
        built = classifier(compose_config(f"model={name}")["model"], in_channels=3, image_size=32)
        made.append(built.double())
    return made


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [{"params": list(model.parameters()), "lr_multiplier": 1.0}], lr=0.01, momentum=0.9, weight_decay=0.01
    )


def halving(optimizer: torch.optim.Optimizer) -> LambdaLR:
    return LambdaLR(optimizer, lambda step: 0.5**step)


def pack_of(modules: list[nn.Module], clip: float | None = None) -> Pack:
    forward = forward_of(modules[0], batch(0, 4)[0])
    return Pack(
        copy.deepcopy(modules), forward, [sgd] * len(modules), halving, TASK, seeds=range(len(modules)), clip=clip
    )


def batch(step: int, *shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(*shape, 3, 32, 32, generator=generator, dtype=torch.float64)
    return images, torch.randint(10, shape, generator=generator)


def step_alone(
    module: nn.Module, steps: list[tuple[Tensor, Tensor]], clip: float | None = None
) -> tuple[list[float], list[float]]:
    """Losses and gradient norms of a plain loop."""
    optimizer = sgd(module)
    schedule = halving(optimizer)
    losses, norms = [], []
    module.train()
    for images, labels in steps:
        loss = F.cross_entropy(module(images), labels)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(module.parameters(), clip or float("inf"))))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses, norms


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else [])
        for name in options("model")
        if name not in UNMAPPED
    ],
)
def test_every_model_is_stepped_as_alone(name: str) -> None:
    modules, steps = replicas(name, 2), [batch(step, 4) for step in range(3)]
    pack = pack_of(modules)
    losses, norms = [], []
    for images, labels in steps:
        losses.append((pack.backward(images[None], labels[None])[:, 0] / 4).tolist())
        norms.append(pack.gradient_norms().tolist())
        pack.step()
    for place, module in enumerate(modules):
        own_losses, own_norms = step_alone(module, steps)
        assert [of[place] for of in losses] == pytest.approx(own_losses, rel=1e-6)  # sums are kept in float32
        assert [of[place] for of in norms] == pytest.approx(own_norms, rel=1e-10)
        for kind in (module.named_parameters(), module.named_buffers()):
            for key, tensor in kind:
                stacked = pack.parameters.get(key, pack.buffers.get(key))
                assert stacked is not None
                torch.testing.assert_close(stacked[place], tensor, rtol=1e-10, atol=1e-11)
        with torch.no_grad():
            alone = module.eval()(steps[0][0])
            torch.testing.assert_close(
                pack.outputs(steps[0][0][None], training=False)[place], alone, rtol=1e-9, atol=1e-10
            )


def test_each_may_have_a_batch_of_its_own() -> None:
    modules, (images, labels) = replicas("mlp", 3), batch(0, 3, 4)
    pack = pack_of(modules)
    losses = pack.backward(images, labels)[:, 0] / 4
    pack.step()
    for place, module in enumerate(modules):
        (own,), _ = step_alone(module, [(images[place], labels[place])])
        assert float(losses[place]) == pytest.approx(own, rel=1e-6)


def test_gradients_are_clipped_replica_by_replica() -> None:
    """Those above the clip are scaled down to it, those below stay as they are."""
    modules, steps = replicas("mlp", 2), [batch(step, 4) for step in range(3)]
    with torch.no_grad():
        for parameter in modules[1].parameters():
            parameter.mul_(3)
    small, large = (step_alone(copy.deepcopy(module), steps)[1] for module in modules)
    clip = (max(small) * min(large)) ** 0.5
    assert max(small) < 0.9 * clip < clip < 0.9 * min(large)
    pack = pack_of(modules, clip=clip)
    for images, labels in steps:
        pack.backward(images[None], labels[None])
        pack.step()
    for place, module in enumerate(modules):
        step_alone(module, steps, clip=clip)
        for key, tensor in module.named_parameters():
            torch.testing.assert_close(pack.parameters[key][place], tensor, rtol=1e-10, atol=1e-12)


def test_who_stays_goes_on_with_its_own_momentum() -> None:
    modules, steps = replicas("mlp", 3), [batch(step, 4) for step in range(4)]
    pack = pack_of(modules)
    for number, (images, labels) in enumerate(steps):
        if number == 2:
            pack.keep([0, 2])
        pack.backward(images[None], labels[None])
        pack.step()
    assert len(pack) == 2
    for place, module in enumerate((modules[0], modules[2])):
        step_alone(module, steps)
        for key, tensor in module.named_parameters():
            torch.testing.assert_close(pack.parameters[key][place], tensor, rtol=1e-10, atol=1e-12)


def test_what_is_no_number_in_one_is_none_in_no_other() -> None:
    modules, steps = replicas("mlp", 2), [batch(step, 4) for step in range(2)]
    pack = pack_of(modules)
    with torch.no_grad():
        next(iter(pack.parameters.values()))[0].fill_(float("nan"))
    for images, labels in steps:
        losses = pack.backward(images[None], labels[None])[:, 0]
        pack.step()
    assert torch.isnan(losses).tolist() == [True, False]
    own, _ = step_alone(modules[1], steps)
    assert float(losses[1]) / 4 == pytest.approx(own[-1], rel=1e-6)


def test_replicas_of_one_seed_drop_the_same_units() -> None:
    """Equal weights under one seed stay equal; under another they part."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.Dropout(0.5), nn.Linear(8, 10)).double()
    forward = forward_of(network, batch(0, 4)[0])
    pack = Pack([copy.deepcopy(network) for _ in range(3)], forward, [sgd] * 3, halving, TASK, seeds=[4, 5, 4])
    losses = [pack.backward(images[None], labels[None])[:, 0] for images, labels in (batch(0, 4), batch(1, 4))]
    assert all(one[0] == one[2] != one[1] for one in losses)


def test_who_stays_goes_on_dropping_the_units_of_its_own_seed() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.Dropout(0.5), nn.Linear(8, 10)).double()
    forward = forward_of(network, batch(0, 4)[0])
    losses = []
    for kept in ([0, 1, 2], [1, 2], [0, 2]):
        pack = Pack([copy.deepcopy(network) for _ in range(3)], forward, [sgd] * 3, halving, TASK, seeds=[4, 5, 6])
        pack.keep(kept)
        images, labels = batch(0, 4)
        found = pack.backward(images[None], labels[None])[:, 0].tolist()
        losses.append(dict(zip(kept, found, strict=True)))
    assert len(set(losses[0].values())) == 3
    assert [losses[0] | some for some in losses[1:]] == [losses[0]] * 2


def test_losses_and_hits_by_hand() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]])
    labels = torch.tensor([[0, 1], [0, 1]])
    expected = torch.stack([F.cross_entropy(of, its) for of, its in zip(logits, labels, strict=True)])
    each = TASK.loss(logits.flatten(0, 1), labels.flatten(), reduction="none")
    torch.testing.assert_close(each.view(2, 2).mean(1), expected)
    # The label's share of a loss is 1 - 0.4 + 0.4 / 2, the other class's 0.4 / 2 (Szegedy et al. 2016, section 7).
    of_classes = -logits.log_softmax(2)
    by_hand = 0.8 * of_classes.gather(2, labels.unsqueeze(2)) + 0.2 * of_classes.gather(2, 1 - labels.unsqueeze(2))
    smoothed = classification(label_smoothing=0.4)
    each = smoothed.loss(logits.flatten(0, 1), labels.flatten(), training=True, reduction="none")
    torch.testing.assert_close(each, by_hand.flatten())
    sums = TASK.sums(expected, logits, labels)
    torch.testing.assert_close(sums[:, 0], 2 * expected)
    assert sums[:, 1:].tolist() == [[1.0, 2.0], [1.0, 2.0]]  # argmax of a tie is the first


def test_rates_are_those_of_each_replica_before_its_multipliers() -> None:
    """Neighbours of one rate share a slice; a rate that is multiplied by zero is told as zero."""

    def optimizer(rate: float, multiplier: float = 4.0) -> Any:
        def make(model: nn.Module) -> torch.optim.Optimizer:
            first, *others = model.parameters()
            groups = [
                {"params": [first], "lr": rate * multiplier, "lr_multiplier": multiplier},
                {"params": others, "lr": rate * 2, "lr_multiplier": 2.0},
            ]
            return torch.optim.SGD(groups, lr=rate)

        return make

    modules, (images, labels) = replicas("mlp", 5), batch(0, 4)
    forward = forward_of(modules[0], images)
    makers = [optimizer(rate) for rate in (0.1, 0.1, 0.2, 0.4, 0.4)]
    pack = Pack(copy.deepcopy(modules), forward, makers, halving, TASK, seeds=range(5))
    assert pack.slices == [range(2), range(2, 3), range(3, 5)]
    assert pack.rates() == pytest.approx([0.1, 0.1, 0.2, 0.4, 0.4])
    pack.keep([1, 3, 4])
    assert pack.rates() == pytest.approx([0.1, 0.4, 0.4])
    pack.backward(images[None], labels[None])
    pack.step()
    assert pack.rates() == pytest.approx([0.05, 0.2, 0.2])
    for place, (module, rate) in enumerate(zip((modules[1], *modules[3:]), (0.1, 0.4, 0.4), strict=True)):
        own = optimizer(rate)(module)
        F.cross_entropy(module.train()(images), labels).backward()
        own.step()
        for key, tensor in module.named_parameters():
            torch.testing.assert_close(pack.parameters[key][place], tensor, rtol=1e-10, atol=1e-12)
    frozen = Pack(copy.deepcopy(modules[:2]), forward, [optimizer(0.1, 0.0)] * 2, halving, TASK, seeds=range(2))
    assert frozen.rates() == [0.0, 0.0]
