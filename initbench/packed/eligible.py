"""Which runs can be trained as one, as far as the built models say; for what their configs say see plan.py."""

import copy
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd as Dropout

from initbench.packed.forward import Forward, SideBySide, agreeing, forward_of
from initbench.packed.pack import Pack
from initbench.packed.replica import Replica
from initbench.record.life import Life
from initbench.schema.config import AnyConfig
from initbench.training import compute
from initbench.training.build import RunParts, build_run

_DROPOUT = "dropout in a model that needs torch.func.vmap"
_COMPARED_AT_ONCE = 8  # models, in float64: a small part of the memory that training will take


def share_out(lives: Sequence[Life]) -> tuple[list[tuple[list[Replica], Forward]], dict[str, str]]:
    """The packs that runs of one kind make, each with how it is computed; and why the others are trained alone.

    Where initializers scale settings of the optimizer differently, there are several packs. The reasons are by the
    names of the runs' folders.
    """
    by_optimizer: dict[object, list[Replica]] = defaultdict(list)
    alone: dict[str, str] = {}
    for life in lives:
        try:
            replica = Replica(life, built(life.store.typed))
        except Exception:  # whatever it is, the run says it in its own record when it is trained alone
            alone[life.store.folder.name] = "building or initializing the model failed, as the record will say"
        else:
            by_optimizer[_groups(replica.parts)].append(replica)
    packs = []
    for replicas in by_optimizer.values():
        forward = forward_for(replicas[0].parts)
        if isinstance(forward, str):
            alone |= {replica.name: forward for replica in replicas}
            continue
        alike, different = _compared(replicas, forward)
        why = "its model differs from the pack's in more than parameters and buffers"
        alone |= {replica.name: why for replica in different}
        if len(alike) > 1:
            packs.append((alike, forward))
        else:
            alone |= {replica.name: "no other run to be packed with" for replica in alike}
    return packs, alone


def built(config: AnyConfig) -> RunParts:
    """Everything that a run is made of, its model initialized on the training device."""
    compute.set_rounding(config.trainer)
    torch.use_deterministic_algorithms(config.trainer.deterministic is True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # as trainer.build says
    parts = build_run(config)
    dtype = torch.float64 if config.trainer.precision == "64-true" else torch.float32
    # Stacked, parameters lie in the plain order; what is computed from them is laid out anew.
    parts.recipe.model.to(compute.device(config.trainer), dtype).to(memory_format=torch.contiguous_format)
    parts.recipe.initialize(parts.data)
    return parts


def forward_for(parts: RunParts) -> Forward | str:
    """How the replicas of a pack are computed at once; or why they cannot be, in words.

    torch itself says, in a warning, where it would map over replicas in a loop.
    """
    if parts.data.streams:
        return "streamed data"
    model = parts.recipe.model
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is None:
            return "batch norm without momentum"
        if isinstance(module, nn.RNNBase):
            return f"torch.func.vmap does not support {type(module).__name__}"
    task = parts.recipe.task
    inputs, targets = (part[:2] for part in task.batch(*parts.data.fixed_batch(parts.recipe.device)))
    forward = forward_of(model, inputs)
    if isinstance(forward, SideBySide):
        return forward
    if any(isinstance(module, Dropout) and module.p > 0 for module in model.modules()):
        return _DROPOUT
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=r".*performance drop.*")  # a loop over the replicas
            pack = Pack([copy.deepcopy(model)], forward, [_no_steps], _no_schedule, task, seeds=[0])
            pack.backward(inputs[None], targets[None])
            pack.evaluate(inputs, targets, at_once=2)
    except (UserWarning, RuntimeError, NotImplementedError) as obstacle:
        if "randomness" in str(obstacle):  # as of attention in transformers, whose dropout is no module
            return _DROPOUT
        found = re.search(r"aten::\w+", str(obstacle))
        return f"torch.func.vmap does not support {found.group() if found else str(obstacle).splitlines()[0]}"
    finally:
        torch.set_warn_always(always)
    return forward


def _compared(replicas: Sequence[Replica], forward: Forward) -> tuple[list[Replica], list[Replica]]:
    """Those whose models are what the first one's would be with their parameters and buffers, and the others.

    A constructor may have drawn what is neither, or an initializer set it. What cannot be compared counts as different.
    """
    models = [replica.parts.recipe.model for replica in replicas]
    inputs, _ = replicas[0].parts.data.fixed_batch(next(models[0].parameters()).device)
    same = [
        is_same
        for first in range(0, len(models), _COMPARED_AT_ONCE)
        for is_same in agreeing(forward, models[first : first + _COMPARED_AT_ONCE], inputs[:2])
    ]
    pairs = list(zip(replicas, same, strict=True))
    return [one for one, is_same in pairs if is_same], [one for one, is_same in pairs if not is_same]


def _groups(parts: RunParts) -> object:
    """The parameter groups of a run's optimizer, by which packs differ: initializers scale settings differently."""
    names = {parameter: name for name, parameter in parts.recipe.model.named_parameters()}
    groups = parts.recipe.make_optimizer().param_groups
    scaled = ("lr_multiplier", "eps_multiplier", "weight_decay")
    return tuple((*map(group.get, scaled), *(names[parameter] for parameter in group["params"])) for group in groups)


def _no_steps(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.0)


def _no_schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
