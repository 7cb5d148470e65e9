"""Ranges of numbers, as signatures and the schema of the config declare them.

They are annotations of `annotated_types`, which pydantic understands, and not pydantic's own: a signature must not cost
the import of pydantic.
"""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

# 100,000 end in a segmentation fault of OpenMP; no machine has so many cores.
MOST_THREADS = 1024

Threads = Annotated[int, Ge(1), Le(MOST_THREADS)]
PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
HalfOpenFraction = Annotated[float, Ge(0), Lt(1)]
OpenFraction = Annotated[float, Gt(0), Lt(1)]
