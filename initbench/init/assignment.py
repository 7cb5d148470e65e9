"""An assignment: which scheme fills which parameter. And the filling itself, the same on every device."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from initbench.init.layer import Layer
from initbench.init.roles import NamedParameter, evaluating, value_of
from initbench.init.scheme import Scheme
from initbench.init.schemes.own import reset_of
from initbench.schema.target import is_ours, line, reason

_POWER_ITERATIONS = 15  # as many as torch makes when it registers spectral_norm


@dataclass(frozen=True)
class Assignment:
    """One parameter and the scheme that fills it.

    `rule` names what chose the scheme: the policy of a role ("bias") or a rule ("rule conv1").
    """

    parameter: NamedParameter
    layer: Layer
    scheme: Scheme
    rule: str

    @property
    def kept(self) -> str:
        """Why the parameter keeps the value it was built with; empty if the scheme fills it."""
        tensor = self.parameter.tensor
        if tensor.numel() == 0:
            return "empty"
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return str(tensor.dtype).removeprefix("torch.")
        # The module's own initialization was asked for, and it has none.
        return "no reset_parameters" if self.scheme.is_default and reset_of(self.layer.module) is None else ""


@torch.no_grad()
def fill(assignments: Sequence[Assignment], seed: int) -> None:
    """Fill every parameter of a plan, in place.

    Numbers are drawn on the CPU in fp32 and copied to the parameter's device, dtype and memory format, so the weights
    do not depend on the device. Each parameter has its own random stream, derived from the seed and its qualified
    name, so adding a layer does not change the others.

    Raises ValueError, before anything is written, if a scheme does not work on a parameter assigned to it.
    """
    drawn = try_schemes(assignments, seed)
    for assignment in assignments:
        name, tensor = assignment.layer.name, assignment.parameter.tensor
        if assignment.kept:
            continue
        if name not in drawn and _can_draw_in_place(assignment.parameter):
            draw_(tensor, assignment, stream(seed, name))
            continue
        value = drawn.get(name)
        if value is None:
            value = draw_(torch.empty(tensor.shape, dtype=torch.float32), assignment, stream(seed, name))
        _write(assignment.parameter, value, stream(seed, f"{name}/singular vectors"))


def stream(seed: int, name: str) -> Generator:
    """The random generator of one parameter, seeded with the first 8 bytes of SHA-256("<seed>/<qualified name>")."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@torch.no_grad()
def draw_(value: Tensor, assignment: Assignment, generator: Generator) -> Tensor:
    """Fill `value`, a contiguous fp32 CPU tensor of the parameter's shape, block by block, and return it."""
    blocks = assignment.layer.to_blocks(value) if value.dim() else [value]
    for block in blocks:
        assignment.scheme(block, assignment.layer, generator)
    if value.dim():
        assignment.layer.from_blocks(blocks, value)
    padding = getattr(assignment.layer.module, "padding_idx", None)
    if assignment.parameter.role == "embedding" and padding is not None:
        value[padding] = 0  # the padding token; torch excludes it from training too
    return value


def _can_draw_in_place(parameter: NamedParameter) -> bool:
    tensor = parameter.tensor
    is_plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
    return is_plain and not parameter.parametrized


def check_fillable(assignment: Assignment) -> None:
    """Raise ValueError for a parameter that cannot be set: on the meta device, complex, or one-way parametrized."""
    parameter = assignment.parameter
    if parameter.tensor.device.type == "meta":
        raise ValueError(
            f"{parameter.name} is on the meta device and has no memory: model.to_empty(device='cpu') first"
        )
    if parameter.key == "_flat_param":
        kind = type(parameter.module).__name__
        raise ValueError(
            f"a {kind} is wrapped, and FSDP has flattened its parameters: initialize it before, or with use_orig_params"
        )
    if parameter.tensor.is_complex() and not assignment.kept:
        raise ValueError(
            f"{parameter.name} is complex, and initializers draw real numbers; to keep it as built, add a rule with "
            "the scheme default for a module without reset_parameters"
        )
    if parameter.parametrized:
        for parametrization in parameter.module.parametrizations[parameter.key]:  # type: ignore[index]  # a ModuleDict
            if not hasattr(parametrization, "right_inverse"):
                kind = type(parametrization).__name__
                raise ValueError(
                    f"{parameter.name} is parametrized by {kind}, which has no right_inverse to set it through"
                )


def _write(parameter: NamedParameter, value: Tensor, generator: Generator) -> None:
    if not parameter.parametrized:
        parameter.tensor.copy_(value)
        return
    try:
        # Assigning runs the parametrization's right_inverse, which fills the originals behind the tensor.
        setattr(parameter.module, parameter.key, value.to(parameter.tensor))
    except (NotImplementedError, ValueError, RuntimeError) as error:
        raise ValueError(f"{parameter.name} is parametrized and cannot be set through it: {error}") from error
    _estimate_again(parameter.module.parametrizations[parameter.key], generator)  # type: ignore[index, arg-type]  # a ModuleDict


def _estimate_again(parametrizations: parametrize.ParametrizationList, generator: Generator) -> None:
    """Let spectral_norm's singular vectors, which are those of the weight before, fit what is behind the weight now.

    They start from random vectors, as they do when torch registers the parametrization.
    """
    kinds = range(parametrizations.ntensors) if not parametrizations.is_tensor else ()
    value: Any = [getattr(parametrizations, f"original{kind}") for kind in kinds] or [parametrizations.original]
    for part in parametrizations:
        if isinstance(part, _SpectralNorm) and hasattr(part, "_u"):
            for vector in (part._u, part._v):
                vector.copy_(torch.nn.functional.normalize(torch.randn(vector.shape, generator=generator), dim=0))
            part._power_method(part._reshape_weight_to_matrix(*value), _POWER_ITERATIONS)
        with evaluating(part):
            value = [part(*value)]


def _try_to_write(assignment: Assignment, value: Tensor, generator: Generator) -> None:
    """Raise ValueError where a parametrized weight cannot be set to this value, or is not a number then."""
    parameter = assignment.parameter
    try:
        module = copy.deepcopy(parameter.module)
    except Exception as error:  # a class of the user's own may raise anything
        raise ValueError(f"{parameter.name}: a {type(parameter.module).__name__} cannot be copied: {error}") from error
    _write(parameter._replace(module=module), value, generator)
    if not value_of(module, parameter.key).isfinite().all():
        kinds = ", ".join(type(part).__name__.lstrip("_") for part in module.parametrizations[parameter.key])  # type: ignore[index]  # a ModuleDict
        raise ValueError(
            f"{parameter.name} is not a number once {assignment.scheme.label} has set it, as {kinds} divides by the "
            "norm of its weight"
        )


def try_schemes(assignments: Sequence[Assignment], seed: int) -> dict[str, Tensor]:
    """Apply each scheme to the smallest parameter of each kind of shape assigned to it; return the values by name.

    Raises ValueError if a scheme fails or leaves part of the tensor unset.
    """
    smallest: dict[Any, Assignment] = {}
    for assignment in assignments:
        if assignment.kept:
            continue
        # A scheme may work on matrices but not on kernels, or on tall matrices but not on wide ones.
        shape, groups = assignment.layer.shape, assignment.layer.groups
        tall = len(shape) >= 2 and shape[0] // groups >= shape[1]
        key = (id(assignment.scheme), len(shape), tall, shape[2:])
        best = smallest.get(key)
        if best is None or assignment.parameter.tensor.numel() < best.parameter.tensor.numel():
            smallest[key] = assignment
    drawn = {}
    for assignment in smallest.values():
        value = torch.full(assignment.parameter.tensor.shape, torch.nan, dtype=torch.float32)
        scheme = assignment.scheme
        try:
            draw_(value, assignment, stream(seed, assignment.layer.name))
        except (TypeError, RuntimeError) as error:  # such as a string given for a number
            raise ValueError(f"{scheme.label} does not work with {scheme.parameters}: {line(error)}") from error
        except Exception as error:
            if is_ours(scheme.function):
                raise
            where = f"{scheme.label} fails on {assignment.layer.name}"
            raise ValueError(f"{where}: {reason(error)}") from error
        if value.isnan().any() and not scheme.is_default:
            raise ValueError(
                f"{scheme.label} leaves values of {assignment.layer.name} unset, or sets them to nan: it must fill the "
                "whole tensor, whose old values it is not given"
            )
        if not scheme.is_default and not value.to(assignment.parameter.tensor.dtype).isfinite().all():
            given = ", ".join(f"{key}={value}" for key, value in scheme.parameters.items())
            dtype = str(assignment.parameter.tensor.dtype).removeprefix("torch.")
            raise ValueError(
                f"{scheme.label} with {given or 'its defaults'} sets values of {assignment.layer.name} to infinity "
                f"in {dtype}; every initial value must be finite"
            )
        drawn[assignment.layer.name] = value
    for assignment in assignments:
        if assignment.parameter.parametrized and not assignment.kept:
            name = assignment.layer.name
            if name not in drawn:
                empty = torch.empty(assignment.parameter.tensor.shape, dtype=torch.float32)
                drawn[name] = draw_(empty, assignment, stream(seed, name))
            _try_to_write(assignment, drawn[name], stream(seed, name))
    return drawn
