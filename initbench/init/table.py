"""What was initialized, and how: one row a parameter."""

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from initbench.init.initializer import Assignment, Outcome, initializer
from initbench.init.method import as_batch
from initbench.init.scheme import Spec

if TYPE_CHECKING:
    import pandas as pd


def describe(
    model: nn.Module,
    init: Spec,
    *,
    seed: int = 0,
    batch: tuple[Tensor, Tensor] | Tensor | None = None,
    **overrides: Any,
) -> "pd.DataFrame":
    """What `initialize` with these arguments would do to the model, which stays as it is: a row a parameter.

    Parameters that share memory are listed once, under their first name. `std_wanted` is the scheme's in closed
    form, NaN where it has none; `std` is what it came to.
    """
    import pandas as pd  # not needed by those who only initialize

    outcome = initializer(init, **overrides).apply(copy.deepcopy(model), seed=seed, batch=as_batch(batch))
    return pd.DataFrame(rows(outcome))


def rows(outcome: Outcome) -> list[dict[str, Any]]:
    """parameter, shape, role, rule, scheme, fans, std wanted, and the mean and standard deviation as they are now."""
    return [
        {
            "parameter": a.layer.name,
            "shape": "x".join(map(str, a.found.tensor.shape)) or "scalar",
            "role": a.found.role,
            "rule": a.rule,
            "scheme": _scheme(a, outcome),
            "fan_in": a.layer.fan_in,
            "fan_out": a.layer.fan_out,
            "std_wanted": None if a.kept or _is_treated(a, outcome) else wanted_std(a),
            "mean": _moment(a, torch.mean),
            "std": _moment(a, torch.std),
        }
        for a in outcome.assignments
    ]


def wanted_std(assignment: Assignment) -> float | None:
    """The standard deviation that the scheme aims at, None where it has no closed form (see marks.aims_at)."""
    scheme = assignment.scheme
    std = getattr(scheme.function, "std", None)
    return None if std is None else std(assignment.layer, **scheme.parameters)


def weights_digest(model: nn.Module) -> str:
    """16 hex digits of SHA-256 over all parameters in order, as fp32: equal weights, equal digest."""
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _scheme(assignment: Assignment, outcome: Outcome) -> str:
    label = f"kept ({assignment.kept})" if assignment.kept else assignment.scheme.label
    return f"{label}, {outcome.method}" if _is_treated(assignment, outcome) else label


def _is_treated(assignment: Assignment, outcome: Outcome) -> bool:
    found = assignment.found
    if not found.parametrized:
        return found.name in outcome.changed
    behind = f"{found.module_name}.parametrizations.{found.key}.".lstrip(".")
    return any(name.startswith(behind) for name in outcome.changed)


def _moment(assignment: Assignment, moment: Any) -> float | None:
    # Read anew: the tensor behind a parametrization is recomputed at each access.
    tensor: Tensor = getattr(assignment.layer.module, assignment.layer.key).detach()
    if tensor.numel() == 0 or tensor.is_complex():
        return None
    if tensor.numel() == 1 and moment is torch.std:
        return 0.0
    return float(moment(tensor.float()))
