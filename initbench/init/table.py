"""What was initialized, and how: one row a parameter."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from initbench.init.initializer import Assignment


def rows(assignments: Sequence[Assignment]) -> list[dict[str, Any]]:
    """parameter, shape, role, rule, scheme, fans, and the standard deviation and mean as they are now."""
    return [
        {
            "parameter": a.layer.name,
            "shape": "x".join(map(str, a.found.tensor.shape)) or "scalar",
            "role": a.found.role,
            "rule": a.rule,
            "scheme": "kept (no reset_parameters)" if a.kept else a.scheme.label,
            "fan_in": a.layer.fan_in,
            "fan_out": a.layer.fan_out,
            "mean": _moment(a, torch.mean),
            "std": _moment(a, torch.std),
        }
        for a in assignments
    ]


def weights_digest(model: nn.Module) -> str:
    """16 hex digits of SHA-256 over all parameters in order, as fp32: equal weights, equal digest."""
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _moment(assignment: Assignment, moment: Any) -> float:
    # Read anew: the tensor behind a parametrization is recomputed at each access.
    tensor: Tensor = getattr(assignment.layer.module, assignment.layer.key).detach().float()
    if tensor.numel() == 1 and moment is torch.std:
        return 0.0
    return float(moment(tensor))
