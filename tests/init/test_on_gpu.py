"""The same seed draws the same weights on the CPU and on a GPU, whichever the initializer."""

import pytest
import torch
from every_option import FEW_STEPS, IMAGES, NAMES, TARGETS, apply, model_for, same

from initbench.init import initialize, initializer

DEVICE = torch.device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_weights_do_not_depend_on_the_device(name: str) -> None:
    on_cpu, on_gpu = apply(model_for(name), name, seed=3), model_for(name).to(DEVICE)
    batch = (IMAGES.to(DEVICE), TARGETS.to(DEVICE))
    initialize(on_gpu, name, seed=3, batch=batch, **FEW_STEPS.get(name, {}))
    assert {parameter.device.type for parameter in on_gpu.parameters()} == {DEVICE.type}
    on_gpu.cpu()
    if initializer(name).needs_batch:  # what is computed from data is rounded as the device does
        torch.testing.assert_close(on_gpu.state_dict(), on_cpu.state_dict(), rtol=1e-3, atol=1e-4)
    else:
        assert same(on_gpu, on_cpu)
