"""A table of what was initialized and how, one row per parameter."""

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from initbench.init.ambient import plain_torch
from initbench.init.assignment import Assignment
from initbench.init.copying import whole
from initbench.init.roles import value_of

if TYPE_CHECKING:
    from initbench.init.outcome import Outcome  # which shows itself by these rows


@plain_torch()
def rows(outcome: "Outcome") -> list[dict[str, Any]]:
    """The rows of `describe` as mappings; mean and std are those of the parameters as they are now."""
    return [
        {
            "parameter": a.layer.name,
            "shape": "x".join(map(str, a.parameter.tensor.shape)) or "scalar",
            "role": a.parameter.role,
            "rule": a.rule,
            "scheme": _scheme(a, outcome),
            "fan_in": a.layer.fan_in,
            "fan_out": a.layer.fan_out,
            "std_expected": _expected(a, outcome),
            "mean": _moment(a, torch.mean),
            "std": _moment(a, torch.std),
        }
        for a in outcome.assignments
    ]


def scheme_std(assignment: Assignment) -> float | None:
    """The scheme's standard deviation in closed form, None if it has none (see `declarations.expected_std`)."""
    scheme = assignment.scheme
    std = getattr(scheme.function, "std", None)
    return None if std is None else std(assignment.layer, **scheme.parameters)


def weights_digest(model: nn.Module) -> str:
    """16 hex digits of the SHA-256 over all parameters in order, as fp32: equal weights have equal digests."""
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(whole(parameter.detach()).float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _expected(assignment: Assignment, outcome: "Outcome") -> float | None:
    if (name := assignment.parameter.name) in outcome.expected:
        return outcome.expected[name]
    return None if assignment.kept or _is_changed_by_method(assignment, outcome) else scheme_std(assignment)


def _scheme(assignment: Assignment, outcome: "Outcome") -> str:
    label = f"kept ({assignment.kept})" if assignment.kept else assignment.scheme.label
    if assignment.layer.offset and not assignment.kept and not assignment.scheme.is_default:
        label += f" - {assignment.layer.offset}"  # the module adds it
    return f"{label}, {outcome.method}" if _is_changed_by_method(assignment, outcome) else label


def _is_changed_by_method(assignment: Assignment, outcome: "Outcome") -> bool:
    parameter = assignment.parameter
    if not parameter.parametrized:
        return parameter.name in outcome.changed
    behind = f"{parameter.module_name}.parametrizations.{parameter.key}.".lstrip(".")
    return any(name.startswith(behind) for name in outcome.changed)


def _moment(assignment: Assignment, moment: Any) -> float | None:
    # Read again, since a parametrized tensor is recomputed at each access.
    tensor = whole(value_of(assignment.layer.module, assignment.layer.key).detach())
    if tensor.numel() == 0 or tensor.is_complex():
        return None
    if tensor.numel() == 1 and moment is torch.std:
        return 0.0
    return float(moment(tensor.float()))
