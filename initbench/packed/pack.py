"""Replicas of one model as one model: parameters and buffers stacked along a first dimension, and mapped over."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class Pack:
    """R replicas of one architecture with one optimizer whose rule is elementwise, so that none sees another.

    `optimizer` makes the optimizer of a single model; it is given the stacked parameters instead. `clip` is the norm
    that the gradient of each replica is clipped to, by itself.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizer: Callable[[nn.Module], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        *,
        clip: float | None,
    ) -> None:
        self.model = models[0]  # its forward; the tensors are replaced by those of all
        self.clip = clip
        self.parameters, self.buffers = stack_module_state(list(models))
        self.optimizer = optimizer(self.model)
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for group in self.optimizer.param_groups:
            group["params"] = [self.parameters[names[parameter]] for parameter in group["params"]]
        self.scheduler = scheduler(self.optimizer)
        self.dtype = next(iter(self.parameters.values())).dtype

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def logits(self, images: Tensor, *, training: bool) -> Tensor:
        """(R, B, classes) of images that all see, (B, C, S, S), or each its own, (R, B, C, S, S)."""
        self.model.train(training)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self.model, (parameters, buffers), (images,))
            return outputs

        over = vmap(one, in_dims=(0, 0, 0 if images.dim() == 5 else None))
        outputs: Tensor = over(self.parameters, self.buffers, images.to(self.dtype))
        return outputs

    def backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Leave the gradient of each replica's own mean loss; `measured` of the batch."""
        logits = self.logits(images, training=True)
        losses = cross_entropies(logits, labels)
        losses.sum().backward()  # no loss depends on another's parameters
        return measured(losses.detach(), logits.detach(), labels)

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
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()  # under inference_mode vmap lacks a rule for adaptive pooling, and loops over the replicas
    def evaluate(self, images: Tensor, labels: Tensor) -> Tensor:
        """`measured` of images that all see."""
        logits = self.logits(images, training=False)
        return measured(cross_entropies(logits, labels), logits, labels)

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers, optimizer and schedule."""
        return {
            "parameters": self.parameters,
            "buffers": self.buffers,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("parameters", "buffers"):
            for key, tensor in getattr(self, name).items():
                tensor.copy_(state[name][key])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])

    @torch.no_grad()
    def keep(self, places: Sequence[int]) -> None:
        """Go on with the replicas in these places alone."""
        kept: dict[Tensor, Tensor] = {}
        for name, parameter in self.parameters.items():
            kept[parameter] = parameter[list(places)].requires_grad_(parameter.requires_grad)
            self.parameters[name] = kept[parameter]
        self.buffers = {name: buffer[list(places)] for name, buffer in self.buffers.items()}
        for group in self.optimizer.param_groups:
            group["params"] = [kept[parameter] for parameter in group["params"]]
        for before, after in kept.items():
            if (state := self.optimizer.state.pop(before, None)) is not None:
                self.optimizer.state[after] = {
                    key: value[list(places)] if _is_stacked(value, before) else value for key, value in state.items()
                }


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """(R,), mean over the batch. logits: (R, B, classes); labels: (B,), or (R, B)."""
    replicas, batch, _ = logits.shape
    losses = F.cross_entropy(logits.flatten(0, 1), labels.expand(replicas, batch).flatten(), reduction="none")
    return losses.view(replicas, batch).mean(1)


def measured(losses: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """(R, 3): sum of the loss over samples, correct ones, samples; as `initbench.meter` counts them."""
    count = labels.shape[-1]
    correct = (logits.argmax(dim=2) == labels).sum(1)
    return torch.stack([losses.float() * count, correct.float(), torch.full_like(correct, count).float()], dim=1)


def _is_stacked(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
