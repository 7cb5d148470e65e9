"""Weight selection: which elements of which tensors of a larger model, and what is said of one that does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from initbench.init import describe, initialize, initializer
from initbench.init.methods.weight_selection import evenly_selected
from initbench.model.libraries import timm_model


class Block(nn.Module):
    """A residual block with a norm that has running statistics."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(self.norm(x))


class Net(nn.Module):
    """The head is registered first, and used last."""

    def __init__(self, width: int, depth: int, classes: int = 3, inputs: int = 5) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


def teacher(*sizes: int) -> Net:
    """Trained, in that no two of its numbers are equal, and that its running statistics are those of some data."""
    torch.manual_seed(1)
    model = drawn(Net(*sizes))
    model(torch.randn(16, 5) + 2)
    return model


def drawn(model: nn.Module) -> Any:
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def saved(folder: Path, model: nn.Module) -> str:
    torch.save(model.state_dict(), folder / "teacher.pt")
    return str(folder / "teacher.pt")


@pytest.mark.parametrize(
    "total, size, indices",
    [
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (6, 3, [0, 2, 4]),
        (9, 3, [0, 3, 6]),
        (8, 1, [0]),
        (5, 3, [0, 2, 4]),  # both ends
        (7, 3, [0, 3, 6]),
        (10, 4, [0, 3, 6, 9]),
        (6, 4, [0, 2, 3, 5]),  # of 0, 1.67, 3.33, 5
        (8, 3, [0, 4, 7]),  # of 0, 3.5, 7: a half is rounded to an even number
        (6, 5, [0, 1, 2, 4, 5]),  # of 0, 1.25, 2.5, 3.75, 5
    ],
)
def test_indices_are_evenly_spaced(total: int, size: int, indices: list[int]) -> None:
    assert evenly_selected(torch.arange(total), (size,)).tolist() == indices


@pytest.mark.parametrize("wide, rows", [(8, [0, 2, 4, 6]), (6, [0, 2, 3, 5]), (7, [0, 2, 4, 6]), (4, [0, 1, 2, 3])])
def test_each_tensor_is_a_part_of_the_one_with_its_name(tmp_path: Path, wide: int, rows: list[int]) -> None:
    larger = teacher(wide, 3)
    student = initialize(Net(4, 2), "weight_selection", path=saved(tmp_path, larger))
    assert torch.equal(student.stem.weight, larger.stem.weight[rows])  # the inputs are as many
    assert torch.equal(student.stem.bias, larger.stem.bias[rows])
    for ours, theirs in zip(student.blocks, larger.blocks, strict=False):  # the first two
        assert torch.equal(ours.linear.weight, theirs.linear.weight[rows][:, rows])
        assert torch.equal(ours.linear.bias, theirs.linear.bias[rows])
        assert torch.equal(ours.norm.weight, theirs.norm.weight[rows])
        assert torch.equal(ours.norm.running_mean, theirs.norm.running_mean[rows])
        assert torch.equal(ours.norm.running_var, theirs.norm.running_var[rows])
        assert ours.norm.num_batches_tracked == 1


def test_the_kernel_of_a_convolution_is_selected_too(tmp_path: Path) -> None:
    larger, student = (
        nn.Sequential(nn.Conv2d(4, 6, 5), nn.Linear(9, 2)),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(4, 3)),
    )
    initialize(student, "weight_selection", path=saved(tmp_path, larger))
    expected = larger[0].weight[[0, 2, 3, 5]][:, [0, 2]][:, :, [0, 2, 4]][..., [0, 2, 4]]
    assert torch.equal(student[0].weight, expected)


def test_the_last_layer_is_new_whatever_its_name_and_number_of_classes(tmp_path: Path) -> None:
    path = saved(tmp_path, teacher(8, 2))
    for classes in (3, 2, 7):
        student = initialize(Net(4, 2, classes), "weight_selection", path=path, seed=3, bias=0.5)
        assert torch.equal(
            student.classifier.weight, initialize(Net(4, 2, classes), "default", seed=3).classifier.weight
        )
        assert (student.classifier.bias == 0.5).all()
    student = initialize(Net(4, 2), "weight_selection", path=path, weight="xavier_uniform")
    assert torch.equal(student.classifier.weight, initialize(Net(4, 2), "xavier_uniform").classifier.weight)


def test_the_last_layer_is_selected_if_asked(tmp_path: Path) -> None:
    larger = teacher(8, 2, 6)
    student = initialize(Net(4, 2), "weight_selection", path=saved(tmp_path, larger), head=True)
    assert torch.equal(student.classifier.weight, larger.classifier.weight[[0, 2, 4]][:, [0, 2, 4, 6]])
    assert torch.equal(student.classifier.bias, larger.classifier.bias[[0, 2, 4]])


def test_the_record_has_the_number_of_tensors_and_the_table_who_filled_them(tmp_path: Path) -> None:
    path = saved(tmp_path, teacher(8, 2))
    outcome = initializer("weight_selection", path=path).apply(Net(4, 1), seed=0)
    assert outcome.numbers == {"tensors_selected": 9}  # 2 of the stem, 5 of the norm, 2 of the linear layer
    table = describe(Net(4, 1), "weight_selection", path=path).set_index("parameter")["scheme"]
    assert table["stem.weight"] == "default, weight_selection"
    assert table["classifier.weight"] == "default"


def test_query_key_and_value_in_one_weight_each_come_from_their_own_rows() -> None:
    for wide in range(1, 40):
        for narrow in range(1, wide + 1):
            parts = evenly_selected(torch.arange(3 * wide), (3 * narrow,)) // wide
            assert parts.tolist() == [0] * narrow + [1] * narrow + [2] * narrow, (wide, narrow)


def test_a_vision_transformer_of_timm_gets_what_the_authors_code_selects(tmp_path: Path) -> None:
    def vit(classes: int, **options: int) -> Any:
        sizes = {"in_channels": 3, "image_size": 8, "num_classes": classes, "patch_size": 4, "mlp_ratio": 2}
        return timm_model(architecture="vit_tiny_patch16_224", **sizes, **options)

    larger, smaller = drawn(vit(10, depth=3, embed_dim=24, num_heads=2)), vit(7, depth=2, embed_dim=8, num_heads=2)
    initialize(smaller, "weight_selection", path=saved(tmp_path, larger))
    every_third = slice(None, None, 3)
    theirs = larger.state_dict()
    for name, tensor in smaller.state_dict().items():
        if name.startswith("head"):
            continue
        selected = theirs[name]
        for axis, size in enumerate(tensor.shape):
            if selected.shape[axis] != size:
                selected = selected.movedim(axis, 0)[every_third].movedim(0, axis)
        assert torch.equal(tensor, selected), name
    assert torch.equal(smaller.blocks[1].attn.qkv.weight[8:16], larger.blocks[1].attn.qkv.weight[24:48:3, ::3])  # keys
    assert (smaller.head.bias == 0).all()


class Relative(nn.Module):
    """Tables of integers, which are no weights, and a head tied to the embedding."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, width), nn.Linear(width, 6, bias=False)
        self.register_buffer("positions", torch.arange(window))
        self.register_buffer("steps", torch.tensor(7 * window))
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embedding(tokens))


def test_a_table_of_another_shape_stays_and_a_tied_head_is_selected(tmp_path: Path) -> None:
    larger = Relative(8, 4)
    path = saved(tmp_path, larger)
    student = initialize(Relative(4, 3), "weight_selection", path=path)
    assert torch.equal(student.embedding.weight, larger.embedding.weight[:, ::2])
    assert student.head.weight is student.embedding.weight
    assert student.positions.tolist() == [0, 1, 2]
    assert student.steps == 28  # as all that has the same shape, such as the number of batches of a BatchNorm
    alone = {name: value for name, value in larger.state_dict().items() if name != "head.weight"}  # as files have it
    save_file(alone, tmp_path / "alone.safetensors")
    other = initialize(Relative(4, 3), "weight_selection", path=str(tmp_path / "alone.safetensors"))
    assert torch.equal(other.embedding.weight, student.embedding.weight)


def test_a_model_of_transformers_gets_the_files_of_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    def gpt(width: int, layers: int) -> Any:
        tokens = dict.fromkeys(("bos_token_id", "eos_token_id"))
        sizes = {"n_embd": width, "n_layer": layers, "n_head": 2, "vocab_size": 20, "n_positions": 8}
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **tokens))

    larger = gpt(16, 3)
    larger.save_pretrained(tmp_path / "whole")
    larger.save_pretrained(tmp_path / "parts", max_shard_size="9KB")
    larger.transformer.save_pretrained(tmp_path / "headless")
    assert len([*(tmp_path / "parts").glob("*.safetensors")]) > 1
    for folder in ("whole", "parts", "headless"):
        student = initialize(gpt(8, 2), "weight_selection", path=str(tmp_path / folder))
        theirs = larger.transformer.h[1].attn.c_attn.weight  # (in, out): query, key and value side by side
        assert torch.equal(student.transformer.h[1].attn.c_attn.weight, theirs[::2, ::2]), folder
        assert torch.equal(student.lm_head.weight, larger.lm_head.weight[:, ::2]), folder


def test_a_compiled_or_wrapped_student_and_a_narrow_one(tmp_path: Path) -> None:
    path = saved(tmp_path, teacher(8, 2))
    plain = initialize(Net(4, 2), "weight_selection", path=path)
    parallel = initialize(nn.DataParallel(Net(4, 2)), "weight_selection", path=path)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), parallel.parameters(), strict=True))
    narrow = initialize(Net(4, 2).bfloat16(), "weight_selection", path=path)
    assert torch.equal(narrow.stem.weight, plain.stem.weight.bfloat16())


def refuse(student: nn.Module, message: str, **arguments: Any) -> None:
    before = {name: value.clone() for name, value in student.state_dict().items()}
    with pytest.raises(ValueError, match=message) as error:
        initialize(student, "weight_selection", **arguments)
    assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, teacher(8, 2))
    refuse(
        Net(9, 2), r"teacher.pt: stem.weight has shape \(8, 5\), of which the model's \(9, 5\) is no part", path=path
    )
    refuse(Net(4, 2, inputs=6), r"has shape \(8, 5\), of which the model's \(4, 6\) is no part", path=path)
    deeper = (
        r"has fewer layers than the model: it lacks blocks.2.norm.weight, and its last of this kind is blocks.1.norm"
    )
    refuse(Net(4, 4), deeper, path=path)
    refuse(Net(4, 2), r"lacks stem.weight. Did you mean '.*'\? It has ", path=path, prefix="blocks.")
    refuse(
        Net(4, 2), r"lacks stem.weight. It has no tensor whose name starts with 'model.'", path=path, prefix="model."
    )
    refuse(
        nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)),
        "lacks 0.weight. Did you mean .* It has classifier.weight, ",
        path=path,
    )
    torch.save({**teacher(8, 2).state_dict(), "stem.weight": torch.ones(8, 5, 1)}, tmp_path / "axes.pt")
    refuse(Net(4, 2), r"\(8, 5, 1\), of which the model's \(4, 5\) is no part", path=str(tmp_path / "axes.pt"))
    refuse(nn.Linear(5, 3), "leaves out the last layer, and Linear has no other to select", path=path)
    refuse(Net(4, 2), "there is no file .*nowhere.pt", path=str(tmp_path / "nowhere.pt"))
    refuse(Net(4, 2), "it is a folder without model.safetensors or model.safetensors.index.json", path=str(tmp_path))
    refuse(Net(4, 2), "^path has no value yet: give one, path=")
    torch.save({}, tmp_path / "empty.pt")
    refuse(Net(4, 2), r"lacks stem.weight. It has no tensor at all.$", path=str(tmp_path / "empty.pt"))
    without_bias = {name: value for name, value in teacher(8, 2).state_dict().items() if name != "blocks.1.linear.bias"}
    torch.save(without_bias, tmp_path / "bias.pt")
    refuse(Net(4, 2), r"lacks blocks.1.linear.bias. Did you mean", path=str(tmp_path / "bias.pt"))


@pytest.mark.parametrize("index", ["no json", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "{}"])
def test_a_broken_index_is_refused(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    refuse(Net(4, 2), "index.json is not an index of weights, with a weight_map", path=str(tmp_path))


def test_an_index_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "part.safetensors"}}))
    refuse(Net(4, 2), "there is no file .*part.safetensors", path=str(tmp_path))


def test_a_parametrized_last_layer_is_new_too(tmp_path: Path) -> None:
    def net(width: int) -> Any:
        torch.manual_seed(width)
        model = drawn(Net(width, 1))
        nn.utils.parametrizations.weight_norm(model.classifier)
        return model

    outcome = initializer("weight_selection", path=saved(tmp_path, net(8))).apply(student := net(4), seed=3)
    assert outcome.numbers == {"tensors_selected": 9}
    plain = initialize(net(4), "default", seed=3)
    assert torch.equal(student.classifier.weight, plain.classifier.weight)


def test_the_last_layer_of_a_teacher_is_that_of_the_largest_number(tmp_path: Path) -> None:
    path = saved(tmp_path, teacher(8, 11))
    refuse(Net(4, 12), "it lacks blocks.11.norm.weight, and its last of this kind is blocks.10.norm.weight", path=path)
