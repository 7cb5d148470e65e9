"""`initbench.audit`: all checks of a model, and what they found as a table, as JSON and as an error."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import StringIO
from itertools import groupby
from time import monotonic
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from initbench import generators
from initbench.auditing.biases import idle_biases
from initbench.auditing.depth import scaled_by_depth
from initbench.auditing.draws import deaf_to_the_seed, made_once, one_draw
from initbench.auditing.finding import SEVERITIES, Finding
from initbench.auditing.fingerprint import RECIPES, Fingerprint, fingerprint, nearest
from initbench.auditing.intentions import idle_cuts, overwritten, skipped
from initbench.auditing.memory import not_reset, uninitialized
from initbench.auditing.paths import not_run, unreached
from initbench.auditing.scales import alike, too_large, too_large_outside, too_small, wrong_fans
from initbench.auditing.signal import first_step
from initbench.auditing.subject import Check, Make, Subject
from initbench.auditing.tied import drawn_by_two_rules
from initbench.console import console
from initbench.fitting import Fitting
from initbench.wording import count, duration

CHECKS: tuple[Check, ...] = (
    uninitialized,
    not_reset,
    deaf_to_the_seed,
    one_draw,
    made_once,  # after those that make the model again
    idle_cuts,
    skipped,
    overwritten,
    drawn_by_two_rules,
    too_large,
    too_large_outside,
    too_small,
    wrong_fans,
    alike,
    not_run,
    scaled_by_depth,
    idle_biases,
    unreached,
    first_step,
)


class Audit:
    """What was found, the most severe first; `print` shows it.

    recipe: the one of conf/init that the model follows most, with its departures; None if none can be applied.
    """

    def __init__(self, findings: Sequence[Finding], recipe: Fingerprint | None = None) -> None:
        self.findings = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
        self.recipe = recipe

    @property
    def errors(self) -> list[Finding]:
        """The findings of severity error."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def to_json(self) -> str:
        """{"findings": [{"severity", "check", "parameter", "reason", "remedy"}, ...], "recipe": {...} or null}.

        The recipe has {"recipe", "followed", "parameters", "departures": [{"role", "own", "theirs"}, ...]}.
        """
        findings = [asdict(finding) for finding in self.findings]
        recipe = None if self.recipe is None else asdict(self.recipe)
        return json.dumps({"findings": findings, "recipe": recipe}, indent=1)

    def __rich__(self) -> RenderableType:
        numbers = [count(n, severity) for severity in SEVERITIES if (n := self._number(severity))]
        found = [Fitting(self._findings()), ", ".join(numbers)] if numbers else ["Nothing was found."]
        return Group(*found, *self._recipe())

    def __repr__(self) -> str:
        text = Console(file=StringIO(), width=200, color_system=None, force_jupyter=False)
        with text.capture() as capture:
            text.print(self)
        return capture.get().rstrip()

    def _findings(self) -> Table:
        table = _table("Audit", "parameter", "", "what was found", "remedy")
        for (severity, check), some in groupby(self.findings, key=lambda each: (each.severity, each.check)):
            first, *others = some
            more = f" and {len(others)} more" if others else ""
            cells = (first.parameter + more, f"{severity}: {check}", first.reason, first.remedy)
            table.add_row(*map(escape, cells))
        return table

    def _recipe(self) -> Iterator[RenderableType]:
        if (recipe := self.recipe) is None:
            return
        yield f"\nNearest recipe: {recipe.recipe}, in {recipe.followed} of {count(recipe.parameters, 'parameter')}."
        if recipe.departures:
            table = _table("Departures", "role", "here", recipe.recipe)
            for each in recipe.departures:
                table.add_row(*map(escape, (each.role, each.own, each.theirs)))
            yield Fitting(table)

    def _number(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def audit(
    model: nn.Module | Make, batch: Any = None, *, seconds: float = math.inf, show_progress: bool = False
) -> Audit:
    """Whether a model is initialized as its author meant, and which recipe of conf/init it follows.

    model: an nn.Module, or a function without arguments that makes one: it is called several times, under different
    seeds, and checks that look at how it is made find more. batch: inputs (N, ...), or (inputs, targets) with int64
    class labels (N, ...); the loss and the signal are looked at only with both. seconds: after which no further check
    begins; a finding names those that are left out. The model and the global random generators stay as they are.

    Raises ValueError for a function that makes no model, for a model without parameters, and for one that cannot be
    run on the batch.
    """
    end = monotonic() + seconds
    findings: list[Finding] = []
    recipes: list[Fingerprint | None] = []
    late: list[str] = []
    steps: tuple[Check | str, ...] = (*CHECKS, *RECIPES)
    with generators.undisturbed():
        subject = Subject(model, batch)
        for step in track(steps, "auditing", console=console, transient=True, disable=not show_progress):
            if monotonic() > end:
                late.append("the recipes" if isinstance(step, str) else step.__name__.replace("_", " "))
            elif isinstance(step, str):
                recipes.append(fingerprint(subject, step))
            else:
                findings += step(subject)
    if late:
        reason = f"{duration(seconds)} were over before {', '.join(dict.fromkeys(late))}"
        findings.append(Finding("note", "not looked at", "", reason, "give it more seconds"))
    return Audit(findings, nearest(recipes))


def assert_initialized(model: nn.Module | Make, batch: tuple[Tensor, Tensor] | Tensor | None = None) -> None:
    """For tests: raise AssertionError, with every finding, if a check finds an error or a warning.

    model and batch are as in `initbench.audit`. Raises ValueError as that does.
    """
    with generators.undisturbed():
        subject = Subject(model, batch)
        found = [finding for check in CHECKS for finding in check(subject) if finding.severity != "note"]
    if found:
        lines = [f"{each.parameter or 'the model'}: {each.check}: {each.reason}" for each in found]
        raise AssertionError("\n".join(["the model is not initialized as it seems to be:", *lines]))


def _table(title: str, *headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    return table
