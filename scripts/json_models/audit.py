"""`python -m initbench.audit --json`."""

from typing import Annotated, Literal

from json_models.shared import Closed, Count, says


class Finding(Closed):
    severity: Annotated[
        Literal["error", "warning", "note"],
        says("error: the model cannot be what its author meant; warning: it seldom is; note: it is unusual"),
    ]
    check: Annotated[str, says("name of the check")]
    parameter: Annotated[str, says("qualified name of the parameter or layer; empty for the whole model")]
    reason: str
    remedy: str


class Departure(Closed):
    role: str
    own: Annotated[str, says("what the parameters of this role are, in words")]
    theirs: Annotated[str, says("what the recipe would make of them")]


class Recipe(Closed):
    recipe: Annotated[str, says("name of an initializer")]
    followed: Annotated[Count, says("how many parameters are as the recipe makes them")]
    parameters: Annotated[Count, says("how many parameters with more than one element there are")]
    departures: list[Departure]


class Audit(Closed):
    """`python -m initbench.audit MODULE:FUNCTION --json`, `initbench.audit(model).to_json()`"""

    findings: Annotated[list[Finding], says("the most severe first")]
    recipe: Annotated[Recipe | None, says("the recipe that the model follows most; null if none can be applied")]
