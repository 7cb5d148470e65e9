"""What an audit finds."""

from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """severity: error: the model cannot be what its author meant. warning: it seldom is. note: it is unusual.

    parameter: its qualified name, or that of a layer; empty for the whole model.
    """

    severity: Severity
    check: str  # the name of what found it
    parameter: str
    reason: str
    remedy: str
