"""`initbench.audit`: all checks of a model, and what they found as a table, as JSON and as an error."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from io import StringIO
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from torch import Tensor, nn

from initbench.auditing.depth import scaled_by_depth
from initbench.auditing.draws import deaf_to_the_seed, one_draw
from initbench.auditing.finding import SEVERITIES, Finding
from initbench.auditing.intentions import idle_cuts, overwritten, skipped
from initbench.auditing.memory import uninitialized
from initbench.auditing.paths import unreached
from initbench.auditing.scales import alike, too_large, wrong_side
from initbench.auditing.signal import first_step
from initbench.auditing.subject import Make, Subject
from initbench.fitting import Fitting
from initbench.wording import count

Check = Callable[[Subject], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    uninitialized,
    deaf_to_the_seed,
    one_draw,
    idle_cuts,
    skipped,
    overwritten,
    too_large,
    wrong_side,
    alike,
    scaled_by_depth,
    unreached,
    first_step,
)


class Audit:
    """What was found, the most severe first; `print` shows it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def to_json(self) -> str:
        """{"findings": [{"severity", "check", "parameter", "reason", "remedy"}, ...]}."""
        return json.dumps({"findings": [asdict(finding) for finding in self.findings]}, indent=1)

    def __rich__(self) -> RenderableType:
        if not self.findings:
            return "Nothing was found."
        table = Table(box=SIMPLE_HEAD, title="Audit", title_justify="left")
        for heading in ("parameter", "", "what was found", "remedy"):
            table.add_column(heading)
        for (severity, check), some in groupby(self.findings, key=lambda each: (each.severity, each.check)):
            first, *others = some
            more = f" and {len(others)} more" if others else ""
            cells = (first.parameter + more, f"{severity}: {check}", first.reason, first.remedy)
            table.add_row(*map(escape, cells))
        numbers = [count(n, severity) for severity in SEVERITIES if (n := self._number(severity))]
        return Group(Fitting(table), ", ".join(numbers))

    def __repr__(self) -> str:
        text = Console(file=StringIO(), width=200, color_system=None, force_jupyter=False)
        with text.capture() as capture:
            text.print(self)
        return capture.get().rstrip()

    def _number(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def audit(model: nn.Module | Make, batch: Any = None) -> Audit:
    """Whether a model is initialized as its author meant.

    model: an nn.Module, or a function without arguments that makes one: it is called several times, under different
    seeds, and checks that look at how it is made find more. batch: inputs, or (inputs, targets) with class labels; the
    loss and the signal are looked at only with both. The model and the global random generators stay as they are.

    Raises ValueError for a function that makes no model, and for a model that cannot be run on the batch.
    """
    subject = Subject(model, batch)
    return Audit([finding for check in CHECKS for finding in check(subject)])


def assert_initialized(model: nn.Module | Make, batch: tuple[Tensor, Tensor] | Tensor | None = None) -> None:
    """For tests: raise AssertionError, with every finding, if an audit finds an error or a warning."""
    found = [finding for finding in audit(model, batch).findings if finding.severity != "note"]
    if found:
        lines = [f"{each.parameter or 'the model'}: {each.check}: {each.reason}" for each in found]
        raise AssertionError("\n".join(["the model is not initialized as it seems to be:", *lines]))
