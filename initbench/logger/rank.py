"""Which process writes the files of a logger."""

from lightning.pytorch.utilities import rank_zero_only


def write_here() -> None:
    """Let Lightning's loggers write in this process; only the first process of a run opens any.

    Lightning asks RANK, LOCAL_RANK and SLURM_PROCID instead, which another program may have set: inside a SLURM job
    with several tasks, or under mpirun, a run on one device would write nothing, without a word.
    """
    rank_zero_only.rank = 0  # type: ignore[attr-defined]  # Lightning's own way to tell it
