"""Singular values of the input-output Jacobian (Saxe et al. 2014; Pennington et al. 2017, dynamical isometry)."""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

SAMPLES = 4
_LARGEST = 2**28  # entries of all Jacobians together, 1 GB in fp32: one sample of 224 pixels a side and 1000 classes
_CHUNK = 16  # rows at once


def keep_statistics(model: nn.Module) -> None:
    """Make norms keep the statistics of the next batch in training mode for `eval`."""
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.momentum = 1.0


def singular_values(model: nn.Module, inputs: Tensor) -> list[float]:
    """The singular values, largest first, each the mean over at most 4 samples.

    model: has seen a batch since `keep_statistics`. Batch norm normalizes by the statistics of that batch, held
    constant: the output for a sample then depends on that sample alone, and its Jacobian is (outputs, inputs). Leaves
    the model in eval mode. Raises ValueError and torch's errors for models without such a Jacobian.
    """
    if not inputs.is_floating_point():
        raise ValueError(f"inputs are {inputs.dtype}, which have no derivative")
    if any(isinstance(module, _BatchNorm) and module.running_mean is None for module in model.modules()):
        raise ValueError("batch norm without running statistics ties the samples of a batch together")
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()  # cuDNN has no backward of evaluation
    # Attention's fused kernels have no batched backward.
    with sdpa_kernel(SDPBackend.MATH):
        classes = _outputs(model, inputs[:1]).shape[1]
        samples = max(1, min(SAMPLES, _LARGEST // (classes * inputs[0].numel())))
        outputs, pull = torch.func.vjp(lambda x: _outputs(model, x), inputs[:samples])  # type: ignore[misc]  # has_aux gives three
        rows = torch.eye(classes, device=outputs.device, dtype=outputs.dtype)
        rows = rows[:, None].expand(-1, len(outputs), -1)  # (classes, samples, classes): one output of all samples
        jacobian = torch.vmap(lambda row: pull(row)[0], chunk_size=_CHUNK)(rows)
    matrices = jacobian.flatten(2).transpose(0, 1)  # (samples, classes, inputs)
    values: list[float] = torch.linalg.svdvals(matrices.cpu().double()).mean(dim=0).tolist()
    return values


def _outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    outputs = model(inputs)
    if not isinstance(outputs, Tensor):
        raise ValueError(f"outputs are a {type(outputs).__name__}, not one tensor")
    return outputs.reshape(len(outputs), -1)
