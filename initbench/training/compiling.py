"""What torch.compile costs a run: counted, and kept off its clocks, as its graphs serve all later runs of a process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from initbench.training.callbacks.recorder import Recorder


@contextmanager
def compile_clock(recorder: Recorder) -> Iterator[None]:
    """Inside, the history's `seconds_compile` grows, and neither training nor evaluation is charged for it.

    Graphs are compiled when the first batch of each kind arrives, in the middle of training and evaluation. A model of
    the same class and sizes finds them compiled.
    """
    from torch._dynamo.callback import callback_handler  # a second and a half, for compiled runs alone

    started = 0.0

    def on_start(arguments: Any) -> None:
        nonlocal started
        started = time.perf_counter()

    def on_end(arguments: Any) -> None:
        recorder.exclude(time.perf_counter() - started)

    callback_handler.register_start_callback(on_start)
    callback_handler.register_end_callback(on_end)
    try:
        yield
    finally:
        callback_handler.remove_start_callback(on_start)
        callback_handler.remove_end_callback(on_end)
