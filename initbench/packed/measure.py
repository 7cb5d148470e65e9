"""How long steps of a model take, here and now, by itself and in packs. What follows of it is in speed.py."""

import copy
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from initbench.packed.eligible import built, forward_for
from initbench.packed.forward import Forward
from initbench.packed.pack import Pack
from initbench.packed.speed import Steps
from initbench.record.plain import PlainConfig
from initbench.record.store import Store
from initbench.training.build import RunParts

SIZES = (4, 8, 16, 32, 64)
STEPS = 3
SEEDS = 8  # of a pack, if it is that large: with more of them, fewer replicas share a batch
# A larger step fills a core by itself: a ResNet-20's (.4 s at a batch of 128) is as fast alone as in a pack.
LARGEST_STEP_SECONDS = 0.1
LARGEST_PACK_SECONDS = 1.0  # of a step: measuring shall not take longer than training
# What Lightning and our callbacks add to a step that a pack takes without them (scripts/bench_overhead.py).
LOOP_SECONDS = 0.0005
MOST_OF_MEMORY = 0.5


def measure(configs: Sequence[PlainConfig], sharing: int) -> Steps:
    """What steps of runs of one kind take alone and in packs, by the first that can be built.

    `sharing`: how many processes share the memory of the device. What is raised is of the moment (another process may
    have the memory) or of all the runs, and says nothing of their kind.
    """
    parts = _first_built(configs)
    forward = forward_for(parts)
    if isinstance(forward, str):
        return Steps(obstacle=forward)
    step, bytes_each = _alone(parts)
    steps = Steps(alone=step + LOOP_SECONDS)
    sizes = [size for size in SIZES if size * step <= LARGEST_PACK_SECONDS] if step < LARGEST_STEP_SECONDS else []
    largest = int(_memory(parts) * MOST_OF_MEMORY / sharing / bytes_each)
    for size in sizes:
        if size > largest:
            break
        try:
            steps.packed[size] = _packed(parts, forward, size) / size
        except torch.OutOfMemoryError:
            break
    if sizes and not steps.packed:
        raise MemoryError("there is no memory for a pack")
    return steps


def _first_built(configs: Sequence[PlainConfig]) -> RunParts:
    """The first run that can be built; one that cannot says why by itself, in its own record."""
    *others, last = configs
    for config in others:
        with suppress(Exception):  # a user's initializer may raise anything
            return built(Store(config).typed)
    return built(Store(last).typed)


def _alone(parts: RunParts) -> tuple[float, float]:
    """Seconds of a step, and the bytes of what it keeps: activations, parameters, gradients, optimizer state."""
    recipe = parts.recipe
    model = copy.deepcopy(recipe.model).to(memory_format=recipe.memory_format)
    optimizer = recipe.make_optimizer(model)
    inputs, targets = _batch(parts)
    if inputs.dim() == 4:
        inputs = inputs.to(memory_format=recipe.memory_format)
    kept = {parameter.data_ptr(): 4 * parameter.nbytes for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        # A weight that is saved for the backward pass is not less for it.
        kept[tensor.data_ptr()] = max(tensor.nbytes, kept.get(tensor.data_ptr(), 0))
        return tensor

    def step() -> None:
        recipe.task.loss(model(inputs), targets, training=True).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return _seconds(step), float(sum(kept.values()))


def _packed(parts: RunParts, forward: Forward, size: int) -> float:
    """Seconds of a step of so many replicas."""
    models: list[nn.Module] = [copy.deepcopy(parts.recipe.model) for _ in range(size)]
    recipe, seeds = parts.recipe, min(SEEDS, size)
    seed_of_each = [place * seeds // size for place in range(size)]
    pack = Pack(models, forward, [recipe.make_optimizer] * size, recipe.make_scheduler, recipe.task, seeds=seed_of_each)
    inputs, targets = (part.expand(seeds, *part.shape) for part in _batch(parts))

    def step() -> None:
        pack.backward(inputs, targets)
        pack.step()

    step()
    return _seconds(step)


def _batch(parts: RunParts) -> tuple[Tensor, Tensor]:
    parameter = next(parts.recipe.model.parameters())
    inputs, targets = parts.recipe.task.batch(*parts.data.fixed_batch(parameter.device))
    return inputs.to(parameter.dtype) if inputs.is_floating_point() else inputs, targets


def _seconds(step: Callable[[], None]) -> float:
    """The fastest of a few: whatever else the machine does only makes it slower."""
    taken = []
    for _ in range(STEPS):
        _synchronize()
        started = time.perf_counter()
        step()
        _synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _synchronize() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def _memory(parts: RunParts) -> int:
    """Bytes of the device that trains: what is free of a GPU's, all of the machine's."""
    device = next(parts.recipe.model.parameters()).device
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
