"""Derivatives of derivatives: what torch's fused operators lack, and how a model does without them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def differentiable(model: nn.Module, label: str, *, times: int) -> Iterator[None]:
    """Within it, `model` can be run and differentiated `times` times, 2 or 3; only speed and rounding differ.

    Attention takes the mathematical kernel, recurrent layers on a GPU not cuDNN's, and operators whose
    second or third derivative torch lacks, or has wrong, are composed of elementary ones.

    Raises ValueError, naming the operator, for a model (or loss) with one that is left.
    """
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(_Composed(_TWICE if times == 2 else _THRICE))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            yield
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            if "derivative" not in reason and "differentia" not in reason:
                raise
            raise ValueError(
                f"{label} differentiates the model {times} times, which an operator of it does not allow: {reason}"
            ) from error


class _Composed(TorchFunctionMode):
    """Calls other functions in place of some of torch's."""

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
    """F.batch_norm but for the running statistics, which stay as they are."""
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
    """F.instance_norm but for the running statistics, which stay as they are."""
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


# Found by differentiating each of torch's layers: tests/init/test_derivatives.py. The third derivative of its layer
# norm is wrong without a word: the graph of the second holds mean and deviation for constants.
_TWICE: dict[Any, Callable[..., Tensor]] = {F.hardsigmoid: _hardsigmoid}
_THRICE: dict[Any, Callable[..., Tensor]] = {
    **_TWICE,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.layer_norm: _layer_norm,
}
