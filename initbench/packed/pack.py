"""Replicas of one model as one model: parameters and buffers stacked along a first dimension."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from initbench.packed.forward import Forward
from initbench.task import Task

_CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class Pack:
    """R replicas of one architecture under an optimizer whose rule is elementwise, so that none sees another.

    `optimizers` make the optimizer of a single model; they differ in learning rates alone. Each row of neighbours with
    the same rates is a slice of the stacked parameters with groups of its own. Dropout draws from `seeds`, as a run
    with that seed of the order does. `clip` is the norm that the gradient of each replica is clipped to, by itself.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        forward: Forward,
        optimizers: Sequence[Callable[[nn.Module], Optimizer]],
        scheduler: Callable[[Optimizer], LRScheduler],
        task: Task,
        *,
        seeds: Sequence[int],
        clip: float | None = None,
    ) -> None:
        self.forward, self.task, self.clip = forward, task, clip
        self.parameters, self.buffers = stack_module_state(list(models))
        a_parameter = next(iter(self.parameters.values()))
        self.dtype = a_parameter.dtype
        self.seeds = list(seeds)  # of each replica
        self.streams = {seed: torch.Generator(a_parameter.device).manual_seed(seed) for seed in seeds}
        names = {parameter: name for name, parameter in models[0].named_parameters()}
        of_each = [optimizer(models[0]) for optimizer in optimizers]
        self.slices: list[range] = []  # which replicas have the same rates
        self.optimizer = of_each[0]
        groups: list[dict[str, Any]] = []
        for _, row in groupby(range(len(models)), key=lambda place: [g["lr"] for g in of_each[place].param_groups]):
            self.slices.append(_range(row))
            groups += of_each[self.slices[-1].start].param_groups
        self._held = [[names[parameter] for parameter in group["params"]] for group in groups]
        self.optimizer.param_groups = groups
        self._hold()
        self.scheduler = scheduler(self.optimizer)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def outputs(self, inputs: Tensor, *, training: bool) -> Tensor:
        """(R, B, ...) of (G, B, ...): the first R / G replicas see the first batch, and so on."""
        self.forward.model.train(training)
        for dropout in self.forward.dropouts:
            dropout.streams = [self.streams[seed] for seed in self.seeds]
        if inputs.is_floating_point():  # tokens are not
            inputs = inputs.to(self.dtype)
        return self.forward(self.parameters, self.buffers, inputs)

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Leave the gradient of each replica's own mean loss; the sums (R, ...) of the task. targets: (G, B, ...)."""
        outputs = self.outputs(inputs, training=True)
        of_each = targets.repeat_interleave(len(self) // len(targets), 0)
        losses = self._losses(outputs, of_each, training=True)
        losses.sum().backward()  # no loss depends on another's parameters
        return self.task.sums(losses, outputs, of_each)

    def rates(self) -> list[float]:
        """The learning rate of each replica, before what its initializer multiplies it by."""
        step = len(self.optimizer.param_groups) // len(self.slices)
        firsts = self.optimizer.param_groups[::step]
        rates = [group["lr"] / group["lr_multiplier"] if group["lr_multiplier"] else 0.0 for group in firsts]
        return [rate for places, rate in zip(self.slices, rates, strict=True) for _ in places]

    def gradient_norms(self) -> Tensor:
        """(R,), over all of a replica's parameters."""
        squares = [p.grad.flatten(1).square().sum(1) for p in self.parameters.values() if p.grad is not None]
        return torch.stack(squares).sum(0).sqrt()

    def step(self) -> None:
        """Clip, step, step the schedule; the gradients are gone."""
        if self.clip is not None:
            factors = (self.clip / (self.gradient_norms() + _CLIP_EPSILON)).clamp(max=1.0)
            for parameter in self.parameters.values():
                if parameter.grad is not None:
                    parameter.grad.mul_(factors.view(-1, *[1] * (parameter.dim() - 1)))
        for group, names, places in self._groups():
            for held, name in zip(group["params"], names, strict=True):
                gradient = self.parameters[name].grad
                held.grad = None if gradient is None else gradient[places.start : places.stop]
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()  # under inference_mode vmap lacks a rule for adaptive pooling, and loops over the replicas
    def evaluate(
        self,
        inputs: Tensor,
        targets: Tensor,
        at_once: int,
        keep: Callable[[Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """The sums (R, ...) of the task over inputs (B, ...) that all see, so many at once.

        keep: is called with the outputs (R, B, ...) and the targets (R, B, ...) of each model.
        """
        outputs = torch.cat([self.outputs(some.unsqueeze(0), training=False) for some in inputs.split(at_once)], dim=1)
        of_each = targets.expand(len(self), *targets.shape)
        if keep is not None:
            keep(outputs, of_each)
        return self.task.sums(self._losses(outputs, of_each, training=False), outputs, of_each)

    @torch.no_grad()
    def copy_to(self, model: nn.Module, place: int) -> None:
        """Give a model the parameters and buffers of the replica in this place."""
        for own, stacked in ((model.named_parameters(), self.parameters), (model.named_buffers(), self.buffers)):
            for name, tensor in own:
                tensor.copy_(stacked[name][place])

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers, optimizer, schedule and random numbers."""
        return {
            "parameters": self.parameters,
            "buffers": self.buffers,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "streams": {seed: stream.get_state() for seed, stream in self.streams.items()},
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("parameters", "buffers"):
            for key, tensor in getattr(self, name).items():
                tensor.copy_(state[name][key])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        for seed, stream in self.streams.items():
            stream.set_state(state["streams"][seed].cpu())

    @torch.no_grad()
    def keep(self, places: Sequence[int]) -> None:
        """Go on with the replicas in these places alone, which are in order."""
        index = list(places)
        self.parameters = {
            name: tensor[index].requires_grad_(tensor.requires_grad) for name, tensor in self.parameters.items()
        }
        self.buffers = {name: tensor[index] for name, tensor in self.buffers.items()}
        self.seeds = [self.seeds[place] for place in index]
        before = [(places, group["params"]) for group, _, places in self._groups()]
        own = [[place - row.start for place in index if place in row] for row in self.slices]
        ends = list(accumulate((len(row) for row in own), initial=0))
        self.slices = [range(first, end) for first, end in pairwise(ends)]
        self._hold()
        of_groups = [row for row in own for _ in range(len(before) // len(own))]
        for (_, old), group, row in zip(before, self.optimizer.param_groups, of_groups, strict=True):
            for was, now in zip(old, group["params"], strict=True):
                if (state := self.optimizer.state.pop(was, None)) is not None:
                    self.optimizer.state[now] = {
                        key: value[row] if _is_stacked(value, was) else value for key, value in state.items()
                    }

    def _losses(self, outputs: Tensor, targets: Tensor, *, training: bool) -> Tensor:
        """(R,), the mean of each replica. outputs, targets: (R, B, ...)."""
        of_all = self.task.loss(outputs.flatten(0, 1), targets.flatten(0, 1), training=training, reduction="none")
        return of_all.view(len(outputs), -1).mean(1)

    def _hold(self) -> None:
        """Give the optimizer its slices of the parameters."""
        for group, names, places in self._groups():
            group["params"] = [self.parameters[name].detach()[places.start : places.stop] for name in names]

    def _groups(self) -> Iterator[tuple[dict[str, Any], list[str], range]]:
        """Each group of the optimizer, with the names of its parameters and the places of its replicas."""
        step = len(self.optimizer.param_groups) // len(self.slices)
        of_groups = [places for places in self.slices for _ in range(step)]
        return zip(self.optimizer.param_groups, self._held, of_groups, strict=True)


def _is_stacked(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape


def _range(places: Iterator[int]) -> range:
    found = list(places)
    return range(found[0], found[-1] + 1)
