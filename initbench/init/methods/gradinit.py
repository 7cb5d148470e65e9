"""GradInit: learns a scale for each parameter so that the first step of the optimizer lowers the loss the most."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from initbench.errors import unknown
from initbench.init.derivatives import differentiable
from initbench.init.method import Batch, Loss

OPTIMIZERS = ("sgd", "adam")


def gradinit_(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    stream: Callable[[str], Generator],
    *,
    optimizer: str = "sgd",
    steps: int = 390,
    learning_rate: float = 0.01,
    gamma: float = 1.0,
    eta: float = 0.1,
    min_scale: float = 0.01,
    normalize: bool = True,
) -> dict[str, float]:
    """Scale each parameter to minimize the loss after one step of the optimizer, A: min L(theta - eta A(g)).

    If the norm of the gradient g is above gamma, a step on the scales lowers that norm instead. A and the norm depend
    on the optimizer that training will use: for sgd A(g) = g, or g / ||g|| with normalize, and the l2 norm; for adam
    A(g) = sign g and the l1 norm. Scales start at 1 and are optimized by Adam with `learning_rate`, their gradients
    clipped to [-1, 1]; each of the two objectives has its own moments. As in the authors' code, the step eta A(g) is
    treated as a constant in the derivative, so only the constraint needs second derivatives.

    The paper draws new samples at each step, with half of them shared between g and L. Here they come from the one
    batch: it is shuffled and split into thirds, g is computed on the first two and L on the first and last.

    Every parameter has one scale, including frozen ones. Parameters that are all zero (mostly biases) remain zero, but
    take part in the step. Scales stay at or above min_scale, those of biases at or above zero. A recurrent, packed
    (query, key and value) or grouped weight has a single scale.

    Returns `steps`, `constrained_steps`, and the gradient norm and stepped loss at start and end.

    Raises ValueError for parameters out of range, for a batch of fewer than 3 samples, if the gradient or the loss is
    not finite, and for a model that torch cannot differentiate twice.

    Source: Zhu et al. 2021, algorithm 1.
    Acts on: every parameter.
    """
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer of gradinit", optimizer, OPTIMIZERS)
    if steps < 1 or min(learning_rate, gamma, eta) <= 0 or not 0 <= min_scale <= 1:
        raise ValueError(
            f"gradinit needs steps >= 1, learning_rate, gamma and eta > 0 and 0 <= min_scale <= 1, "
            f"got {steps}, {learning_rate}, {gamma}, {eta}, {min_scale}"
        )
    if len(batch.inputs) < 3:
        raise ValueError(f"gradinit cuts its batch into thirds, so it needs 3 samples or more, got {len(batch.inputs)}")
    objective = _Objective(model, loss, optimizer, eta, normalize)
    scales = torch.ones(len(objective.start), dtype=torch.float32, device=batch.inputs.device, requires_grad=True)
    floor = torch.tensor([0.0 if _is_bias(name) else min_scale for name in objective.start]).to(scales)
    reducing, constrained = (torch.optim.Adam([scales], lr=learning_rate) for _ in range(2))
    generator = stream("gradinit")
    constrained_steps = 0
    with differentiable(model, "gradinit", times=2):
        before = objective.measure(scales, batch)
        for step in range(steps):
            first, second = _overlapping(batch, generator)
            norm, direction = objective.gradient(scales, first)
            if not norm.isfinite():
                raise ValueError(f"the norm of the gradient is {norm.item()} in step {step} of gradinit")
            if norm > gamma:
                constrained_steps += 1
                value, adam = norm, constrained
            else:
                # Divided by eta as in the authors' code; it changes only where the gradient is clipped.
                value, adam = objective.stepped_loss(scales, direction, second) / eta, reducing
                if not value.isfinite():
                    raise ValueError(f"the loss after one step is {value.item()} in step {step} of gradinit")
            (slope,) = torch.autograd.grad(value, scales)
            scales.grad = slope.clamp(-1, 1)
            adam.step()
            with torch.no_grad():
                scales.copy_(torch.maximum(scales, floor))
        after = objective.measure(scales, batch)
    with torch.no_grad():
        for (name, start), scale in zip(objective.start.items(), scales, strict=True):
            model.get_parameter(name).copy_(scale * start)
    return {
        "steps": steps,
        "constrained_steps": constrained_steps,
        "gradient_norm_start": before[0],
        "gradient_norm_end": after[0],
        "stepped_loss_start": before[1],
        "stepped_loss_end": after[1],
    }


class _Objective:
    """Gradient and loss of `model` as functions of the scales (parameters,) of its parameters."""

    def __init__(self, model: nn.Module, loss: Loss, optimizer: str, eta: float, normalize: bool) -> None:
        self.model, self.loss = model, loss
        self.optimizer, self.eta, self.normalize = optimizer, eta, normalize
        self.start = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        # Each place of a shared parameter, but once for a module with several names: torch's own search for shared
        # parameters (tie_weights) visits such a module twice, and leaves a tensor where its parameter was.
        names = {parameter: name for name, parameter in model.named_parameters()}
        self.places = {
            f"{module_name}.{key}".lstrip("."): names[parameter]
            for module_name, module in model.named_modules()
            for key, parameter in module.named_parameters(recurse=False)
        }

    def gradient(self, scales: Tensor, samples: Batch) -> tuple[Tensor, list[Tensor]]:
        """The differentiable norm of the gradient, and the optimizer's direction A(g), detached."""
        parameters = self._scaled(scales)
        loss = self._loss(parameters, samples)
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True, materialize_grads=True)
        fixed = [g.detach() for g in gradients]
        if self.optimizer == "adam":
            return torch.stack([g.abs().sum() for g in gradients]).sum(), [g.sign() for g in fixed]
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        if not self.normalize:
            return norm, fixed
        size = norm.detach().clamp_min(torch.finfo(norm.dtype).tiny)
        return norm, [g / size for g in fixed]

    def stepped_loss(self, scales: Tensor, direction: Sequence[Tensor], samples: Batch) -> Tensor:
        """The loss after one step of the optimizer, differentiable."""
        scaled = self._scaled(scales)
        stepped = {name: value - self.eta * step for (name, value), step in zip(scaled.items(), direction, strict=True)}
        return self._loss(stepped, samples)

    def measure(self, scales: Tensor, samples: Batch) -> tuple[float, float]:
        """The norm of the gradient, and the loss after one step, both over `samples`."""
        norm, direction = self.gradient(scales, samples)
        with torch.no_grad():
            return norm.item(), self.stepped_loss(scales, direction, samples).item()

    def _scaled(self, scales: Tensor) -> dict[str, Tensor]:
        return {name: scale * start for (name, start), scale in zip(self.start.items(), scales, strict=True)}

    def _loss(self, parameters: dict[str, Tensor], samples: Batch) -> Tensor:
        assert samples.targets is not None  # guaranteed, since the method asks for a loss
        placed = {place: parameters[name] for place, name in self.places.items() if name in parameters}
        outputs = functional_call(self.model, placed, (samples.inputs,), tie_weights=False)
        return self.loss(outputs, samples.targets)


def _overlapping(batch: Batch, generator: Generator) -> tuple[Batch, Batch]:
    """Two random parts of the batch, each two thirds of it, that share half of their samples."""
    third = len(batch.inputs) // 3
    order = torch.randperm(len(batch.inputs), generator=generator, device="cpu").to(batch.inputs.device)
    shared, one, other = order[: 3 * third].chunk(3)
    return _take(batch, torch.cat([shared, one])), _take(batch, torch.cat([shared, other]))


def _take(batch: Batch, indices: Tensor) -> Batch:
    assert batch.targets is not None  # guaranteed, since the method asks for a loss
    return Batch(batch.inputs[indices], batch.targets[indices])


def _is_bias(name: str) -> bool:
    return "bias" in name.rpartition(".")[2]
