"""What several outputs have."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, description="seconds")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["running", "finished", "diverged", "refused", "interrupted", "failed"]


def says(description: str) -> Any:
    return Field(description=description)


class Closed(BaseModel):
    """A key that is not listed does not occur."""

    model_config = ConfigDict(extra="forbid")


class Sentence(Closed):
    kind: Annotated[str, says("see comparison.md; `CLAIMS` there have an error rate")]
    text: str
    commands: Annotated[list[str], says("to type, after the text")]
