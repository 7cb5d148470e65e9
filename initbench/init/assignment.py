"""An assignment: which scheme fills which parameter. And the filling itself, the same on every device."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from initbench.init.ambient import plain_torch
from initbench.init.copying import copy_of, kind_of
from initbench.init.failures import UNSUITABLE
from initbench.init.layer import Layer
from initbench.init.memory import is_finite, put
from initbench.init.parametrized import set_through
from initbench.init.roles import NamedParameter, value_of
from initbench.init.scheme import Scheme
from initbench.init.schemes.own import reset_of
from initbench.schema.target import is_ours, line, reason

Stream = Callable[[str], Generator]
"""From the name of a parameter to its random generator."""


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
        return "no reset_parameters" if self.scheme.is_default and reset_of(self.layer) is None else ""


@plain_torch()
@torch.no_grad()
def fill(assignments: Sequence[Assignment], stream: Stream) -> None:
    """Fill every parameter of a plan, in place.

    Numbers are drawn on the CPU in fp32 and copied to the parameter's device, dtype and memory format, so the weights
    do not depend on the device. Each parameter has its own random stream, by its qualified name, so adding a layer does
    not change the others.

    Raises ValueError, naming the parameter, if a scheme does not work on one that is assigned to it.
    """
    drawn = try_schemes(assignments, stream)
    for assignment in assignments:
        if not assignment.kept:
            name = assignment.layer.name
            if name not in drawn and _can_draw_in_place(assignment.parameter):
                draw_(assignment.parameter.tensor.detach(), assignment, stream(name))
            else:
                value = drawn[name] if name in drawn else draw(assignment, stream(name))
                _write(assignment.parameter, value, stream(f"{name}/singular vectors"))


def stream(seed: int, name: str) -> Generator:
    """The random generator of one parameter, seeded with the first 8 bytes of SHA-256("<seed>/<qualified name>")."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def draw(assignment: Assignment, generator: Generator) -> Tensor:
    """The value of a parameter, as a contiguous fp32 CPU tensor. Raises ValueError as `draw_` does."""
    value = torch.full(assignment.parameter.tensor.shape, torch.nan, dtype=torch.float32, device="cpu")
    draw_(value, assignment, generator)
    return value


@torch.no_grad()
def draw_(value: Tensor, assignment: Assignment, generator: Generator) -> None:
    """Fill a contiguous fp32 CPU tensor of the parameter's shape, block by block.

    Raises ValueError, naming the parameter, if the scheme fails on it, leaves nans in it, or sets values that are not
    finite in the parameter's dtype.
    """
    layer, scheme, parameter = assignment.layer, assignment.scheme, assignment.parameter
    blocks = layer.to_blocks(value) if value.dim() else [value]
    given = ", ".join(f"{key}={setting}" for key, setting in scheme.parameters.items()) or "its defaults"
    try:
        for block in blocks:
            scheme(block, layer, generator)
    except ValueError as error:
        said = line(error)
        if layer.name not in said:
            by = "" if is_ours(scheme.function) or scheme.label in said else f"{scheme.label} fails on "
            said = f"{by}{layer.name}: {said}"
        raise ValueError(said) from error
    except UNSUITABLE as error:
        raise ValueError(
            f"{scheme.label} with {given} does not work on {layer.name}, of shape {layer.shape}: {line(error)}"
        ) from error
    except Exception as error:  # a function of the user's own may raise anything
        if is_ours(scheme.function):
            raise
        raise ValueError(f"{scheme.label} fails on {layer.name}: {reason(error)}") from error
    if value.dim():
        layer.from_blocks(blocks, value)
    padding = getattr(layer.module, "padding_idx", None)
    if parameter.role == "embedding" and padding is not None:
        value[padding] = 0  # the padding token; torch excludes it from training too
    if scheme.is_default:
        return
    if layer.offset:
        value -= layer.offset
    dtype = parameter.tensor.dtype
    stored = value if dtype.itemsize >= 4 else value.to(dtype).float()
    if is_finite(stored):
        return
    if value.isnan().any():
        raise ValueError(
            f"{scheme.label} leaves values of {layer.name} unset, or sets them to nan: it must fill the whole tensor, "
            "whose old values it is not given"
        )
    raise ValueError(
        f"{scheme.label} with {given} sets values of {layer.name} to infinity in {str(dtype).removeprefix('torch.')}; "
        "every initial value must be finite"
    )


def _can_draw_in_place(parameter: NamedParameter) -> bool:
    tensor = parameter.tensor
    is_plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
    return is_plain and not (parameter.parametrized or tensor.is_inference() or hasattr(tensor, "device_mesh"))


def may_fail_halfway(assignment: Assignment) -> bool:
    """Whether a parameter may be refused though others of its kind were not, after some of them have been written."""
    if assignment.kept:
        return False
    code = kind_of(assignment.layer.module) if assignment.scheme.is_default else assignment.scheme.function
    is_known = str(code.__module__).partition(".")[0] in ("torch", "initbench")
    return not is_known or torch.finfo(assignment.parameter.tensor.dtype).max < 1e30


def check_fillable(assignment: Assignment) -> None:
    """Raise ValueError for a parameter that cannot be set: flattened, complex, or one-way parametrized."""
    parameter = assignment.parameter
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
        try:
            put(parameter.tensor, value)
        except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{parameter.name} cannot be written: {line(error)}") from error
        return
    try:
        set_through(parameter.module, parameter.key, value.to(parameter.tensor), generator)
    except Exception as error:  # a class of the user's own may raise anything
        raise ValueError(f"{parameter.name} is parametrized and cannot be set through it: {reason(error)}") from error


def _try_to_write(assignment: Assignment, value: Tensor, generator: Generator) -> None:
    """Raise ValueError where a parametrized weight cannot be set to this value, or is not a number then."""
    parameter = assignment.parameter
    module = copy_of(parameter.module, f"{parameter.name} is parametrized, so its value is tried on")
    _write(parameter._replace(module=module), value, generator)
    if not value_of(module, parameter.key).isfinite().all():
        kinds = ", ".join(type(part).__name__.lstrip("_") for part in module.parametrizations[parameter.key])  # type: ignore[index]  # a ModuleDict
        raise ValueError(
            f"{parameter.name} is not a number once {assignment.scheme.label} has set it, as {kinds} divides by the "
            "norm of its weight"
        )


def try_schemes(assignments: Sequence[Assignment], stream: Stream) -> dict[str, Tensor]:
    """Apply each scheme to the smallest parameter of each kind of shape assigned to it; return the values by name.

    Parametrized weights are all drawn, and tried on a copy of their module. Raises ValueError if a scheme fails.
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
    parametrized = (a for a in assignments if a.parameter.parametrized and not a.kept)
    drawn = {}
    for assignment in {a.layer.name: a for a in (*smallest.values(), *parametrized)}.values():
        name = assignment.layer.name
        drawn[name] = draw(assignment, stream(name))
        if assignment.parameter.parametrized:
            _try_to_write(assignment, drawn[name], stream(name))
    return drawn
