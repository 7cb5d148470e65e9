"""Muon for the hidden matrices, AdamW for all other parameters, as one optimizer."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim import Muon as TorchMuon

from initbench.init.ambient import plain_torch
from initbench.init.place import Place
from initbench.init.roles import unwrap, walk
from initbench.init.structure.parts import Parts
from initbench.schema.ranges import HalfOpenFraction, NonNegativeFloat, PositiveFloat


def hidden_matrices(model: nn.Module, example: Tensor | None = None) -> set[str]:
    """The names of the weights that Muon updates: 2-D weights of layers between the input and the output.

    AdamW updates all other parameters, as in Jordan's notes: embeddings; the last matrix; the first matrix if it reads
    the data, which means that the model has no embedding; biases, norms and other vectors. It also updates convolution
    kernels, since torch's Muon takes 2-D parameters only; recurrent layers, since their gates are several matrices in
    one parameter; and parametrized weights, since their parameters are not the matrix. Query, key and value packed in
    one parameter are updated as one matrix.

    The model is run once, on `example` or on inputs guessed from its layers. Raises ValueError if there is no such
    matrix.
    """
    model = unwrap(model)
    everything = list(walk(model))
    reads_tokens = any(found.role == "embedding" for found in everything)
    with plain_torch():
        parts = Parts(model, example)
        places = {
            found.name: Place(found.name, parts) for found in everything if found.role in ("weight", "attention_in")
        }
        names = {
            found.name
            for found in everything
            if found.name in places and found.tensor.dim() == 2 and not found.parametrized
            if not places[found.name].is_last and (reads_tokens or not places[found.name].is_first)
        }
    kind = type(model).__name__
    if not names:
        raise ValueError(
            f"optimizer=muon is for linear layers between the first and the last layer, and {kind} has none: use "
            "optimizer=adamw"
        )
    return names


class Muon(Optimizer):
    """`torch.optim.Muon` for the groups that are `hidden`, `torch.optim.AdamW` for the others.

    `lr` is Muon's; that of AdamW is `adamw_lr_ratio` times as large. With adjust_lr_fn="match_rms_adamw" the updates of
    a matrix are as large as those of AdamW at the same lr, so the ratio is 1. With "original", an update has a spectral
    norm of about lr * sqrt(max(1, rows / columns)), and lr is larger: Jordan uses 0.02 and a ratio of 0.015. "original"
    assumes that rows are outputs, which is wrong for GPT-2's layers in transformers: there, rows are inputs.

    Weight decay is decoupled from the gradient in both, and is lr * weight_decay. `momentum` and `nesterov` are Muon's,
    `betas`, `eps` and `fused` AdamW's.

    Source: Jordan 2024, "Muon: An optimizer for hidden layers in neural networks"; for match_rms_adamw, Liu et al.
    2025, "Muon is scalable for LLM training", section 2.2.
    """

    hidden_matrices: Callable[..., set[str]] = staticmethod(hidden_matrices)  # the builder asks which groups are hidden

    def __init__(
        self,
        params: list[dict[str, Any]],
        lr: NonNegativeFloat,
        *,
        adamw_lr_ratio: PositiveFloat = 1.0,
        momentum: HalfOpenFraction = 0.95,
        nesterov: bool = True,
        weight_decay: NonNegativeFloat = 0.01,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] = "match_rms_adamw",
        betas: tuple[HalfOpenFraction, HalfOpenFraction] = (0.9, 0.95),
        eps: NonNegativeFloat = 1e-8,
        fused: bool = False,
    ) -> None:
        others = [
            {**group, **{key: group[key] * adamw_lr_ratio for key in ("lr", "lr_multiplier")}}
            for group in params
            if not group["hidden"]
        ]
        self._parts: list[tuple[bool, Optimizer]] = []
        if hidden := [group for group in params if group["hidden"]]:
            muon = TorchMuon(
                hidden, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, adjust_lr_fn=adjust_lr_fn
            )
            self._parts.append((True, muon))
        if others:
            adamw = AdamW(others, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay, fused=fused)
            self._parts.append((False, adamw))
        super().__init__([group for _, part in self._parts for group in part.param_groups], {"lr": lr})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for is_hidden, part in self._parts:  # loading a checkpoint replaces the groups and the state
            part.state = self.state
            part.param_groups = [group for group in self.param_groups if group["hidden"] is is_hidden]
            part.step()
        return loss
