"""Higher derivatives of a model: torch's fused operators that lack them are replaced by elementary ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from initbench.schema.target import line


@contextmanager
def differentiable(model: nn.Module, label: str, *, times: int) -> Iterator[None]:
    """A context in which `model` can be differentiated `times` times, 2 or 3; only speed and rounding differ.

    Attention uses the math kernel, recurrent layers do not use cuDNN, and operators whose second or third derivative
    torch lacks or computes wrongly are composed of elementary ones. `label` names the initializer in the error.

    Raises ValueError, naming the operator, if the model or the loss still has one that cannot be differentiated.
    """
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(_Replacements(_TWICE if times == 2 else _THRICE))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            yield
        except RuntimeError as error:
            reason = line(error)
            if "derivative" not in reason and "differentia" not in reason:
                raise
            raise ValueError(
                f"{label} differentiates the model {times} times, which one of its operators does not allow: {reason}"
            ) from error


class _Replacements(TorchFunctionMode):
    """Replaces some of torch's functions by others."""

    def __init__(self, replacements: Mapping[Any, Callable[..., Tensor]]) -> None:
        super().__init__()
        self.replacements = replacements

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self.replacements.get(function, function)(*args, **(kwargs or {}))


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return F.relu6(input + 3) / 6


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """F.batch_norm without updating the running statistics."""
    if not training and running_mean is not None and running_var is not None:
        return _normalize(input, _channels(running_mean, input), _channels(running_var, input), weight, bias, eps)
    return _normalize(input, *_moments(input, [0, *range(2, input.dim())]), weight, bias, eps)


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """F.instance_norm without updating the running statistics."""
    if not use_input_stats:
        return _batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    return _normalize(input, *_moments(input, list(range(2, input.dim()))), weight, bias, eps)


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    mean, variance = _moments(input, list(range(-len(normalized_shape), 0)))
    output = (input - mean) * torch.rsqrt(variance + eps)
    if weight is not None:
        output = output * weight
    return output if bias is None else output + bias


def _moments(input: Tensor, dimensions: list[int]) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(input, dimensions, correction=0, keepdim=True)
    return mean, variance


def _normalize(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    output = (input - mean) * torch.rsqrt(variance + eps)
    if weight is not None:
        output = output * _channels(weight, input)
    return output if bias is None else output + _channels(bias, input)


def _channels(values: Tensor, input: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (input.dim() - 2))


# Found by differentiating each of torch's layers (tests/init/test_derivatives.py). The third derivative of its layer
# norm is silently wrong: the graph of the second derivative treats mean and standard deviation as constants.
_TWICE: dict[Any, Callable[..., Tensor]] = {F.hardsigmoid: _hardsigmoid}
_THRICE: dict[Any, Callable[..., Tensor]] = {
    **_TWICE,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.layer_norm: _layer_norm,
}
