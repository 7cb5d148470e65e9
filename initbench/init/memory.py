"""The memory of parameters: whether it can be filled, and how values are written to it and restored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parameter import is_lazy


def storage_of(parameter: Tensor) -> object:
    """A key that is equal for tied parameters, which are one object or share all of their memory."""
    if is_lazy(parameter) or parameter.layout != torch.strided or parameter.device.type == "meta":
        return id(parameter)
    tensor = local(parameter)
    if tensor.numel() == 0 or (address := _address(tensor)) is None:
        return id(parameter)  # the address of a tensor without memory is always 0
    return tensor.device, address, tensor.numel(), _extent(tensor)


def local(tensor: Tensor) -> Tensor:
    """The part of a DTensor that this process holds; any other tensor as it is. It shares the memory."""
    detached = tensor.detach()
    return detached.to_local() if hasattr(detached, "to_local") else detached


def check_memory(name: str, tensor: Tensor) -> None:
    """Raise ValueError for a tensor whose elements cannot be written one by one."""
    if is_lazy(tensor):
        raise ValueError(f"{name} is lazy and has no shape yet; pass one batch through the model first")
    if tensor.layout != torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        raise ValueError(f"{name} is stored as {layout}, and initializers fill dense tensors: use .to_dense() first")
    if tensor.device.type == "meta":
        raise ValueError(f"{name} is on the meta device and has no memory: model.to_empty(device='cpu') first")
    memory = local(tensor)
    if memory.numel() and _address(memory) is None:
        kind = type(memory).__name__
        raise ValueError(
            f"{name} is a {kind}, whose memory cannot be written: initialize the model before you convert it"
        )
    if any(size > 1 and stride == 0 for size, stride in zip(memory.shape, memory.stride(), strict=True)):
        raise ValueError(
            f"{name} is expanded, so that some of its elements share memory: use nn.Parameter({name}.detach().clone())"
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether all entries are finite. A sum of finite numbers may be infinite, but that is rare, and a sum is fast."""
    return bool(tensor.sum().isfinite() or tensor.isfinite().all())


def check_overlap(parameters: Sequence[tuple[str, Tensor]]) -> None:
    """Raise ValueError, naming both, for parameters that share only a part of their memory."""
    storages: defaultdict[object, list[tuple[str, Tensor]]] = defaultdict(list)
    for name, tensor in parameters:
        memory = local(tensor)
        if memory.numel():
            storages[memory.untyped_storage().data_ptr(), memory.dtype].append((name, memory))
    for sharing in storages.values():
        sharing.sort(key=lambda item: item[1].storage_offset())
        dense = all(_extent(tensor) == tensor.numel() for _, tensor in sharing)
        following = pairwise(tensor for _, tensor in sharing)
        if not dense or any(one.storage_offset() + one.numel() > other.storage_offset() for one, other in following):
            _compare_elements(sharing)


def put(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value into a parameter or buffer: into its shard, and also if inference_mode made the tensor."""
    if hasattr(tensor, "device_mesh"):
        # Imported here, as it costs half a second and only a DTensor needs it.
        from torch.distributed.tensor import distribute_tensor

        shards: Any = tensor
        # Every process has drawn the same numbers, so none has to send its own.
        value = local(distribute_tensor(value, shards.device_mesh, shards.placements, src_data_rank=None))
    with torch.inference_mode(tensor.is_inference()):
        local(tensor).copy_(value)


@contextmanager
def restored_on_failure(model: nn.Module) -> Iterator[None]:
    """A context that gives the parameters and buffers their values back if it is left by an exception."""
    before = {name: local(tensor).clone() for name, tensor in _tensors(model)}
    try:
        yield
    except BaseException:  # Ctrl-C too
        for name, tensor in _tensors(model):  # looked up again, since a parametrization may have put others in place
            with torch.inference_mode(tensor.is_inference()):
                local(tensor).copy_(before[name])
        raise


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers that have memory."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not is_lazy(tensor):
            yield name, tensor


def _compare_elements(sharing: Sequence[tuple[str, Tensor]]) -> None:
    """Raise ValueError if an element of one storage belongs to two of these tensors, or twice to one."""
    length = max(tensor.storage_offset() + _extent(tensor) for _, tensor in sharing)
    elements, owners = torch.arange(length), torch.full((length,), -1)
    for index, (name, tensor) in enumerate(sharing):
        own = elements.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).flatten()
        if (owner := int(owners[own].max())) >= 0:
            raise ValueError(
                f"{sharing[owner][0]} and {name} overlap: they share some of their memory, but not all of it. "
                f"Use nn.Parameter({name}.detach().clone())"
            )
        owners[own] = index
        if len(own.unique()) < len(own):
            raise ValueError(f"some elements of {name} share memory: use nn.Parameter({name}.detach().clone())")


def _address(tensor: Tensor) -> Any:
    """The address of a tensor, None if it has none: a fake tensor, or one that wraps others."""
    if isinstance(tensor, FakeTensor):
        return None
    try:
        start = tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return None
    return int(start + tensor.storage_offset() * tensor.itemsize) if start else None


def _extent(tensor: Tensor) -> int:
    """The number of elements of memory that a tensor spans; more than the tensor has if there are gaps."""
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
