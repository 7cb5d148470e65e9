"""Weight selection: every tensor is a part of the same tensor in a larger, trained model (Xu et al. 2024)."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from initbench.errors import nearest
from initbench.init.memory import storage_of
from initbench.init.methods.state_dict import read_tensors
from initbench.init.roles import NamedParameter

_NUMBER = re.compile(r"\d+(?=\.|$)")  # of a layer: blocks.3.weight, linear3.weight, weight_hh_l3


@torch.no_grad()
def weight_selection_(
    model: nn.Module, matrices: Sequence[NamedParameter], *, path: str, prefix: str = "", head: bool = False
) -> dict[str, float]:
    """Each tensor of the model (the student) is a part of the tensor of that name in a larger model (the teacher).

    Along each axis, of size s in the student and t in the teacher, evenly spaced indices are kept:

        0, t / s, 2 t / s, ...                                 if t is a multiple of s;
        (t - 1) i / (s - 1) for i < s, rounded to integers     otherwise.

    A shallower student gets the first layers of the teacher, in each stage of a network with stages, since layers are
    matched by their names. All axes are treated alike, as in the authors' code. If query, key and value are packed in
    one matrix, each is selected from its own rows, since each has a third of the rows; but a head of the student has
    rows from several heads of the teacher. Position embeddings are also selected along the positions. Buffers are
    selected like parameters; tables of integers, such as relative positions, keep the student's values if their shapes
    differ.

    The weight and the bias of the last layer have the policies `weight` and `bias`, since the classes differ, unless
    `head` is true. A head that shares its weight with the embedding is selected like the embedding. The authors' code
    leaves out every tensor with "head" in its name, so in ConvNeXt also the norm before the last layer.

    `path` and `prefix` are those of `state_dict`: a file or folder with the teacher's weights; nothing is downloaded.
    Returns `tensors_selected`.

    Raises ValueError for a file that cannot be read, and for a teacher that lacks a tensor or a layer of the student,
    or has a smaller one or one with another number of axes.

    Source: Xu et al. 2024, section 3; the authors' weight-selection.
    Acts on: every parameter and buffer outside the last layer.
    """
    teacher, student = read_tensors(model, path, prefix)
    last = matrices[-1] if matrices and not head and matrices[-1].role != "embedding" else None
    chosen = {name: tensor for name, tensor in student.items() if last is None or not _is_of(last, name, tensor)}
    # Files leave out all names but one of those that share memory, as a tied head does with its embedding.
    present = {storage_of(tensor) for name, tensor in chosen.items() if name in teacher}
    selected = 0
    for name, tensor in chosen.items():
        if name not in teacher:
            if storage_of(tensor) in present:
                continue
            raise ValueError(_missing(path, prefix, name, teacher))
        larger = teacher[name]
        if larger.shape != tensor.shape and not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        if larger.dim() != tensor.dim() or any(t < s for t, s in zip(larger.shape, tensor.shape, strict=True)):
            raise ValueError(
                f"{path}: {name} has shape {tuple(larger.shape)}, of which the model's {tuple(tensor.shape)} is no part"
            )
        tensor.copy_(evenly_selected(larger, tensor.shape))
        selected += 1
    if not selected:
        raise ValueError(
            f"weight_selection leaves out the last layer, and {type(model).__name__} has no other to select"
        )
    return {"tensors_selected": selected}


def evenly_selected(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The entries at evenly spaced indices along each axis, a tensor of this shape."""
    for axis, size in enumerate(shape):
        tensor = tensor.index_select(axis, _indices(tensor.shape[axis], size))
    return tensor


def _indices(total: int, size: int) -> Tensor:
    if size and total % size == 0:
        return torch.arange(size) * (total // size)
    return torch.linspace(0, total - 1, size, dtype=torch.float32).round().long()  # in the precision of the authors


def _is_of(last: NamedParameter, name: str, tensor: Tensor) -> bool:
    """Whether a tensor is the weight of the last layer, its bias, or what either is parametrized by."""
    layer = f"{last.module_name}." if last.module_name else ""
    return storage_of(tensor) == storage_of(last.tensor) or name.startswith(
        (f"{layer}bias", f"{layer}parametrizations.")
    )


def _missing(path: str, prefix: str, name: str, teacher: Mapping[str, Tensor]) -> str:
    """The message for a tensor that the teacher lacks: it has fewer layers, or other names."""
    kind, layer = _NUMBER.sub("*", name), name[: max((found.end() for found in _NUMBER.finditer(name)), default=0)]
    same_kind = [other for other in teacher if _NUMBER.sub("*", other) == kind]
    if same_kind and not any(other.startswith(f"{layer}.") for other in teacher):
        deepest = max(same_kind, key=lambda other: [int(number) for number in _NUMBER.findall(other)])
        return f"{path} has fewer layers than the model: it lacks {name}, and its last of this kind is {deepest}"
    nothing = f"no tensor whose name starts with {prefix!r}" if prefix else "no tensor at all"
    present = ", ".join([*teacher][:3]) or nothing
    return f"{path} lacks {name}.{nearest(name, teacher)} It has {present}."
