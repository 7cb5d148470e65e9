"""Torch's global settings and generators, which must not change what an initializer draws."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Generator, nn


@contextmanager
def plain_torch(model: nn.Module | None = None) -> Iterator[None]:
    """A context in which torch has the settings of a new process: gradients on, autocast off, fp32 on the CPU.

    It has one thread, as the last bits of a QR decomposition depend on their number. The forward pass of a `model` has
    all threads. It may rely on the default device or dtype, which are kept if they are those of the model.
    """
    first = None if model is None else next(model.parameters())
    device, dtype = torch.get_default_device(), torch.get_default_dtype()
    if first is None or device.type != first.device.type:
        device = torch.device("cpu")
    inside = dtype if first is not None and dtype == first.dtype and dtype.itemsize >= 4 else torch.float32
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type if first is None else first.device.type}:
            if torch.amp.is_autocast_available(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != device:  # if need be, since it slows each call of torch
            stack.enter_context(device)  # inside any other `with torch.device(...)`, so this one counts
        if model is None and (threads := torch.get_num_threads()) > 1:
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(1)
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(inside)
        yield


@contextmanager
def global_generators(generator: Generator) -> Iterator[None]:
    """A context in which the global generators of torch, NumPy and Python are seeded from `generator`.

    Their states are restored afterwards.
    """
    seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    # The functions of np.random are deprecated, but they are those of NumPy's global generator.
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - as above
    try:
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed_all(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - as above
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002 - as above
        random.setstate(python_state)
