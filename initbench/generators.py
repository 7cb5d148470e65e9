"""The global random generators of Python, NumPy and torch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed all of them: what a user's own model, loader or loop draws from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global one is what users draw from
    torch.manual_seed(seed)


def states() -> dict[str, Any]:
    """Their states, as plain values and tensors."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - see seed_all
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@contextmanager
def undisturbed() -> Iterator[None]:
    """A context after which they are in the states that they had before."""
    before = states()
    try:
        yield
    finally:
        restore(before)


def restore(states: dict[str, Any]) -> None:
    """Put them into states that `states` returned."""
    kind, keys, *rest = states["numpy"]
    random.setstate(states["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - see seed_all
    torch.set_rng_state(states["torch"].cpu())
    torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
