"""What came of a job, as its worker's reply says, or its exit code."""

import pickle
import signal

from hydra.core.utils import JobReturn, JobStatus

from initbench.console import warn


def outcome(reply: bytes | int) -> JobReturn:
    """What a worker sent, or the failure that its exit code tells of."""
    if isinstance(reply, int):
        how = f"was killed by {signal.Signals(-reply).name}" if reply < 0 else f"ended with exit code {reply}"
        return failed(RuntimeError(f"the job's process {how}"))
    try:
        result: JobReturn = pickle.loads(reply)
    except Exception as error:  # a class may raise anything here
        return failed(RuntimeError(f"what the job returned cannot be loaded: {error!r}"))
    for line in getattr(result, "unsaid", ()):
        warn(line)
    return result


def failed(error: Exception) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED, _return_value=error)
