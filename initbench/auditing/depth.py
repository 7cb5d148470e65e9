"""How the depth of a residual network enters its weights: where it should not, twice, or not at all."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.layer import fans
from initbench.init.structure.blocks import BranchMatrix, distinct

_NEAR = 0.08  # relative: of a thousand weights the root mean square has a standard error of a fortieth
_FEWEST_WEIGHTS = 1000
_FEWEST_LAYERS = 3  # with fewer, too many rules agree

# The factor on a standard deviation in layer l = 0, 1, ... of a stream that R branches add to.
Rule = Callable[[int, int], float]
RULES: Mapping[str, Rule] = {
    "none": lambda layer, branches: 1.0,
    "1/sqrt(R)": lambda layer, branches: 1 / math.sqrt(branches),  # Radford et al. 2019
    "1/sqrt(2(l+1))": lambda layer, branches: 1 / math.sqrt(2 * (layer + 1)),
    "1/R": lambda layer, branches: 1 / branches,
    "1/(2(l+1))": lambda layer, branches: 1 / (2 * (layer + 1)),
}
_TWICE = {"1/R": "1/sqrt(R)", "1/(2(l+1))": "1/sqrt(2(l+1))"}


def scaled_by_depth(subject: Subject) -> Iterator[Finding]:
    """Matrices that do not write to the residual stream and are scaled by depth, and those that are scaled twice.

    R is the number of branches that add to the stream, l a layer.
    """
    try:
        matrices = distinct(subject.parts.branch_matrices)
    except ValueError:  # nothing is known about the branches
        return
    for stream in {each.branch.stream for each in matrices}:
        own = [each for each in matrices if each.branch.stream == stream]
        branches = {each.branch.name: each.branch for each in own}
        number, layers = sum(branch.runs for branch in branches.values()), {b.depth for b in branches.values()}
        if len(layers) >= _FEWEST_LAYERS:
            yield from _of_stream(own, number)


def _of_stream(matrices: list[BranchMatrix], branches: int) -> Iterator[Finding]:
    by_purpose: dict[tuple[str, str], list[BranchMatrix]] = defaultdict(list)
    for each in matrices:
        if math.prod(each.projection.shape) >= _FEWEST_WEIGHTS:
            by_purpose[each.purpose, each.branch.kind].append(each)
    base = [each for (purpose, _), some in by_purpose.items() if purpose in ("query", "key") for each in some]
    base = base or [each for (purpose, _), some in by_purpose.items() if purpose != "out" for each in some]
    if not base:
        return
    for (purpose, kind), some in by_purpose.items():
        rule = rule_of(some, base, branches)
        what = f"the {purpose} matrices of {kind} branches"
        first = some[0].projection.name
        if rule in _TWICE:
            reason = f"{what} are scaled by {rule}, which is {_TWICE[rule]} twice (R = {branches})"
            yield Finding("warning", "scaled by depth twice", first, reason, "divide once")
        elif purpose != "out" and rule not in ("none", None):
            reason = f"{what} do not write to the residual stream, and are scaled by {rule} (R = {branches})"
            remedy = "scale only the output of the attention and the last layer of the MLP"
            yield Finding("warning", "scaled by depth off the stream", first, reason, remedy)


def rule_of(matrices: list[BranchMatrix], base: list[BranchMatrix], branches: int) -> str | None:
    """The first of RULES by which matrices are smaller than `base`, as they are or relative to 1/sqrt(fan_in)."""
    for name, rule in RULES.items():
        for measure in (_rms, _gain):
            usual = median(map(measure, base))
            found = [(measure(each), usual * rule(each.branch.depth, branches)) for each in matrices]
            if usual and all(math.isclose(value, expected, rel_tol=_NEAR) for value, expected in found):
                return name
    return None


def _rms(matrix: BranchMatrix) -> float:
    return float(matrix.projection.weight.float().square().mean().sqrt())


def _gain(matrix: BranchMatrix) -> float:
    fan_in, _ = fans(matrix.projection.shape)
    return _rms(matrix) * math.sqrt(fan_in or 1)
