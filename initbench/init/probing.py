"""What modules of other libraries compute, which is found by running copies of them."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.ambient import global_generators, plain_torch
from initbench.init.copying import copy_on_cpu, kind_of


@plain_torch()
def adds_one(norm: nn.Module) -> bool:
    """Whether a norm multiplies by 1 + weight, as Gemma's, so that a scale of 1 is a weight of 0."""
    weight = norm._parameters.get("weight")
    if weight is None or _is_of_torch(norm) or (copy := _copy(norm)) is None:
        return False
    for axes in ((), (4,), (4, 4)):  # features last, or channels before one or two spatial axes
        inputs = _numbers((2, *weight.shape, *axes))
        at_zero, at_one = (_run(copy, inputs, weight=float(value)) for value in (0, 1))
        if at_zero is not None and at_one is not None:
            return bool(at_zero.any()) and torch.allclose(at_one, 2 * at_zero, rtol=1e-3, atol=1e-5)
    return False


def is_input_first(module: nn.Module) -> bool:
    """Whether a module computes x @ weight, with the weight stored as (in, out), as GPT-2's Conv1D."""
    return _multiplies(module, lambda weight: weight)


def is_linear(module: nn.Module) -> bool:
    """Whether a module that is not of torch multiplies by its weight, stored in either order."""
    return is_input_first(module) or _multiplies(module, lambda weight: weight.T)


def _multiplies(module: nn.Module, matrix_of: Callable[[Tensor], Tensor]) -> bool:
    if _is_of_torch(module) or isinstance(module, nn.Linear):
        return False
    weight = module._parameters.get("weight")
    if weight is None or weight.dim() != 2 or 0 in weight.shape or next(module.children(), None) is not None:
        return False
    with plain_torch():
        if (copy := _copy(module)) is None:
            return False
        numbers = _numbers(weight.shape)
        matrix = matrix_of(numbers)
        for batch in ((3,), (1, 3)):
            inputs = _numbers((*batch, len(matrix)))
            outputs = _run(copy, inputs, weight=numbers)
            if outputs is not None:
                expected = inputs @ matrix
                # Up to a factor, with which some layers multiply their weight.
                return outputs.shape == expected.shape and bool(
                    F.cosine_similarity(outputs.flatten(), expected.flatten(), dim=0) > 0.999
                )
    return False


def _is_of_torch(module: nn.Module) -> bool:
    return kind_of(module).__module__.startswith("torch.")


def _copy(module: nn.Module) -> nn.Module | None:
    try:
        return copy_on_cpu(module).eval()
    except ValueError:
        return None


@torch.no_grad()
def _run(module: nn.Module, inputs: Tensor, weight: Tensor | float) -> Tensor | None:
    """The output with that weight minus the output with zeros (the bias); None if the module takes other inputs."""
    module.get_parameter("weight").copy_(torch.as_tensor(weight))
    try:
        with global_generators(Generator().manual_seed(0)):
            outputs, bias = module.forward(inputs), module.forward(torch.zeros_like(inputs))
    except Exception:  # a class of the user's own may raise anything
        return None
    return (outputs - bias).float() if isinstance(outputs, Tensor) and isinstance(bias, Tensor) else None


def _numbers(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(0))
