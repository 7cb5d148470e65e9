"""Independent random streams from the seed of a run."""

import numpy as np

# What a stream is for. The numbers are part of a run's definition: changing one changes every result.
SHUFFLE, AUGMENT, SPLIT = 0, 1, 2


def derive_seed(seed: int, *key: int) -> int:
    """A 64-bit seed for the stream `key` of a run, statistically independent of every other key's.

    Seed and key are mixed, not added, so seed 0 at step 1 and seed 1 at step 0 share nothing (NumPy's SeedSequence).
    """
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])
