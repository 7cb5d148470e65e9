"""Weights behind parametrizations: how they are set, and the state that a parametrization keeps of them."""

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from initbench.init.ambient import global_generators
from initbench.init.roles import evaluating

_POWER_ITERATIONS = 15  # as many as torch makes when it registers spectral_norm


def set_through(module: Any, key: str, value: Tensor, generator: Generator) -> None:
    """Set `module.<key>` through its parametrizations, whose random numbers come from the generator.

    Raises whatever a right_inverse raises for a value that it cannot set.
    """
    behind = module.parametrizations[key]
    with torch.inference_mode(next(behind.parameters()).is_inference()), global_generators(generator):
        # Assigning runs the right_inverse, which fills the originals behind the tensor. That of `orthogonal` completes
        # a matrix that is not square by random columns.
        setattr(module, key, value)
        _estimate_again(behind, generator)


@torch.no_grad()
def write(module: Any, key: str, value: Tensor) -> None:
    """Set `module.<key>`, through its right_inverse if it is parametrized."""
    if parametrize.is_parametrized(module, key):
        setattr(module, key, value)
    else:
        getattr(module, key).copy_(value)


@torch.no_grad()
def update_estimates(model: nn.Module, before: nn.Module, generator: Generator) -> None:
    """Let the states of parametrizations fit the weights of `model`, where these are not those of its copy `before`."""
    old = dict(before.named_parameters())
    for name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList) and any(
            not torch.equal(value.to(old[f"{name}.{key}"]), old[f"{name}.{key}"])
            for key, value in module.named_parameters(recurse=False)
        ):
            _estimate_again(module, generator)


def _estimate_again(parametrizations: parametrize.ParametrizationList, generator: Generator) -> None:
    """Let spectral_norm's singular vectors, which are those of the weight before, fit what is behind the weight now.

    They start from random vectors, as they do when torch registers the parametrization.
    """
    kinds = range(parametrizations.ntensors) if not parametrizations.is_tensor else ()
    value: Any = [getattr(parametrizations, f"original{kind}") for kind in kinds] or [parametrizations.original]
    for part in parametrizations:
        if isinstance(part, _SpectralNorm) and hasattr(part, "_u"):
            for vector in (part._u, part._v):
                start = torch.randn(vector.shape, generator=generator, device="cpu")
                vector.copy_(torch.nn.functional.normalize(start, dim=0))
            part._power_method(part._reshape_weight_to_matrix(*value), _POWER_ITERATIONS)
        with evaluating(part):
            value = [part(*value)]
