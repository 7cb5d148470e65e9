"""Residual branches found by running a model: what a branch is in plain sums, whatever its parts are called."""

import copy
import gc
from typing import Any

import pytest
import timm
import torch
from running import Loop, ReZero
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.init.structure.branch import Branch
from initbench.init.structure.parts import find_branches, find_gates

X = torch.linspace(-1, 1, 80).view(2, 5, 8)


def leaves(branch: Branch) -> list[str]:
    return [name for name, _ in branch.modules]


class Block(nn.Module):
    """One attention and one MLP behind a norm, combined as `combine` says."""

    def __init__(self, combine: Any) -> None:
        super().__init__()
        self.first = nn.LayerNorm(8)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.alpha = nn.Parameter(torch.ones(8))
        self.beta = nn.Parameter(torch.ones(()))
        self.combine = combine

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def attend(x: torch.Tensor) -> torch.Tensor:
            return self.mix(x, x, x, need_weights=False)[0]

        return self.combine(self, x, self.first(x), attend)


def in_place(b: Block, x: torch.Tensor, h: torch.Tensor, attend: Any) -> torch.Tensor:
    y = x.clone()
    y += attend(h)
    return y.add_(b.feed(h))


def written_in_parts(b: Block, x: torch.Tensor, h: torch.Tensor, attend: Any) -> torch.Tensor:
    out = torch.zeros_like(x)
    out[:, :2], out[:, 2:] = x[:, :2], x[:, 2:]
    return x + attend(h) + b.feed(h)


PARALLEL = {
    "left to right": lambda b, x, h, attend: x + attend(h) + b.feed(h),
    "right to left": lambda b, x, h, attend: b.feed(h) + (attend(h) + x),
    "the branches first": lambda b, x, h, attend: x + (attend(h) + b.feed(h)),
    "one gate for both": lambda b, x, h, attend: x + b.alpha * (attend(h) + b.feed(h)),
    "a sum of a stack": lambda b, x, h, attend: torch.stack([x, attend(h), b.feed(h)]).sum(0),
    "a stack that is added": lambda b, x, h, attend: x + torch.stack([attend(h), b.feed(h)], dim=1).sum(dim=1),
    "Python's sum": lambda b, x, h, attend: sum([x, attend(h), b.feed(h)]),
    "in place": in_place,
    "written in parts": written_in_parts,
}


@pytest.mark.parametrize("combine", PARALLEL.values(), ids=PARALLEL.keys())
def test_parallel_branches_are_two_however_they_are_added(combine: Any) -> None:
    attention, mlp = sorted(find_branches(Block(combine), X), key=lambda branch: branch.kind)
    assert (attention.kind, attention.name, leaves(attention)) == ("attention", "mix", ["first", "mix"])
    assert (mlp.kind, mlp.name, leaves(mlp)) == ("mlp", "feed", ["first", "feed.0", "feed.2"])
    assert [name for name, _ in mlp.last_layers] == ["feed.2"]


def test_a_gate_of_two_branches_is_one_gate() -> None:
    model = Block(PARALLEL["one gate for both"])
    assert [branch.gate is model.alpha for branch in find_branches(model, X)] == [True, True]
    assert find_gates(model, X) == [("alpha", model.alpha)]


# The sum, whether there is a gate (alpha), and whether there is a scale of the skip connection (beta).
SINGLE = {
    "plain": (lambda b, x, h, attend: x + b.feed(h), False, False),
    "the branch first": (lambda b, x, h, attend: b.feed(h) + x, False, False),
    "subtracted": (lambda b, x, h, attend: x - b.feed(h), False, False),
    "scaled by a constant": (lambda b, x, h, attend: torch.add(x, b.feed(h), alpha=0.5), False, False),
    "averaged": (lambda b, x, h, attend: 0.5 * x + 0.5 * b.feed(h), False, False),
    "interpolated": (lambda b, x, h, attend: torch.lerp(x, b.feed(h), 0.5), False, False),
    "gated": (lambda b, x, h, attend: x + F.dropout(b.feed(h) * b.alpha, 0.5, b.training), True, False),
    "gated with a bias": (lambda b, x, h, attend: x + (b.alpha * b.feed(h) + b.beta), True, False),
    "gated by addcmul": (lambda b, x, h, attend: torch.addcmul(x, b.alpha, b.feed(h)), True, False),
    "scaled skip": (lambda b, x, h, attend: b.beta * x + b.feed(h), False, True),
    "ReZero with a scaled skip": (lambda b, x, h, attend: b.beta * x + b.alpha * b.feed(h), True, True),
    "post-norm": (lambda b, x, h, attend: b.first(x + b.feed(x)), False, False),
    "moved axes": (lambda b, x, h, attend: x + b.feed(h).transpose(1, 2).contiguous().transpose(1, 2), False, False),
    "fused product": (lambda b, x, h, attend: torch.baddbmm(x, b.feed(h), torch.eye(8).expand(2, 8, 8)), False, False),
    "part of the input": (lambda b, x, h, attend: x + F.pad(b.feed(h[:, :2]), (0, 0, 0, 3)), False, False),
    "pooled": (lambda b, x, h, attend: F.avg_pool1d(x, 3, 1, 1) + b.feed(h), False, False),
}


@pytest.mark.parametrize("combine, gated, scaled", SINGLE.values(), ids=SINGLE.keys())
def test_a_sum_of_a_tensor_and_what_was_computed_from_it_is_residual(combine: Any, gated: bool, scaled: bool) -> None:
    model = Block(combine)
    (branch,) = find_branches(model, X)
    assert branch.block is model
    assert [name for name, _ in branch.weighted] == ["feed.0", "feed.2"]
    assert branch.gate is (model.alpha if gated else None)
    assert branch.skip_scale is (model.beta if scaled else None)


KINDS = {
    "an attention by hand": (lambda h: torch.softmax(h @ h.transpose(1, 2), -1) @ h, "attention"),
    "a function of torch": (lambda h: F.scaled_dot_product_attention(h, h, h), "attention"),
    "a softmax without products": (lambda h: torch.softmax(h, -1), "mlp"),
    "products without softmax": (lambda h: h @ h.transpose(1, 2) @ h, "mlp"),
    "a softmax that weights constants": (lambda h: torch.bmm(torch.softmax(h, -1), torch.ones(2, 8, 8)), "mlp"),
    "neither": (torch.tanh, "mlp"),
}


@pytest.mark.parametrize("mix, kind", KINDS.values(), ids=KINDS.keys())
def test_a_branch_that_weights_by_a_softmax_of_products_is_an_attention(mix: Any, kind: str) -> None:
    (branch,) = find_branches(Block(lambda b, x, h, attend: x + b.feed(mix(h))), X)
    assert branch.kind == kind


OTHERS = {
    "a chain": lambda b, x, h, attend: b.feed(h),
    "a concatenation": lambda b, x, h, attend: torch.cat([x, b.feed(h)], -1),
    "a factor": lambda b, x, h, attend: x * torch.sigmoid(b.feed(h)),
    "parallel paths": lambda b, x, h, attend: attend(h) + b.feed(h),
    "a learned position": lambda b, x, h, attend: b.feed(h + b.alpha),
    "different parts": lambda b, x, h, attend: x[:, :2] + b.feed(x[:, 2:4]),
    "a highway": lambda b, x, h, attend: torch.sigmoid(h) * x + (1 - torch.sigmoid(h)) * b.feed(h),
    "nothing that learns": lambda b, x, h, attend: x + torch.tanh(x),
    "itself": lambda b, x, h, attend: b.feed(x + x),
}


@pytest.mark.parametrize("combine", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_residual_sum_is_no_branch(combine: Any) -> None:
    assert find_branches(Block(combine), X) == []


class Around(nn.Module):
    """A skip connection around residual blocks."""

    def __init__(self, *inside: nn.Module) -> None:
        super().__init__()
        self.inside = nn.Sequential(*inside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inside(x)


def test_nested_branches_are_branches_of_their_own() -> None:
    inner, outer = find_branches(Around(nn.Linear(8, 8), ReZero(), nn.Linear(8, 8)))
    assert leaves(inner) == ["inside.1.f.0", "inside.1.f.2"]
    assert leaves(outer) == ["inside.0", "inside.1.f.0", "inside.1.f.2", "inside.2"]
    assert [name for name, _ in outer.last_layers] == ["inside.2"]
    assert (inner.gate is None, outer.gate) == (False, None)
    names = [branch.name for branch in find_branches(Around(ReZero(), ReZero()))]
    assert names == ["inside.0.f", "inside.1.f", "inside"]


def test_a_block_that_runs_twice_is_one_branch_and_a_module_with_two_names_has_the_first() -> None:
    block = ReZero()
    assert [branch.name for branch in find_branches(nn.Sequential(block, block))] == ["0.f"]


@pytest.mark.parametrize("wrapper", [torch.compile, nn.DataParallel], ids=["compile", "DataParallel"])
def test_wrapped_models_and_parts_have_the_branches_of_the_bare_ones(wrapper: Any) -> None:
    bare = nn.Sequential(nn.Linear(8, 8), ReZero())
    wrapped = wrapper(nn.Sequential(nn.Linear(8, 8), torch.compile(ReZero())))
    for one, other in zip(find_branches(bare), find_branches(wrapped), strict=True):
        assert (one.name, leaves(one), one.kind) == (other.name, leaves(other), other.kind)


class Latents(nn.Module):
    """A learned token that attends to the input, as in Perceiver and CaiT."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(1, 3, 8))
        self.norm = nn.LayerNorm(8)
        self.cross = nn.MultiheadAttention(8, 2, batch_first=True)
        self.block = ReZero()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        latents = self.token.expand(len(x), -1, -1)
        latents = latents + self.cross(self.norm(latents), x, x, need_weights=False)[0]
        return self.block(latents).mean(1)


def test_a_learned_token_has_a_residual_branch_too() -> None:
    assert [leaves(branch) for branch in find_branches(Latents(), X)] == [
        ["norm", "cross"],
        ["block.f.0", "block.f.2"],
    ]


class Bare(nn.Module):
    """An MLP whose matrices belong to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(8), nn.Dropout()
        self.one, self.two = nn.Parameter(torch.ones(8, 16)), nn.Parameter(torch.ones(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop(torch.relu(self.norm(x) @ self.one)) @ self.two


def test_a_branch_that_ends_with_a_matrix_of_no_layer_is_not_ended_by_the_norm_before_it() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Bare())
    (branch,) = find_branches(model, X)
    assert (leaves(branch), branch.ends_outside_layers, branch.ends, branch.last_layers) == (["1.norm"], True, (), ())
    with pytest.raises(ValueError, match="is not ended by one"):
        initbench.initialize(model, "zero_gamma")


class GatedConvolution(nn.Module):
    """A gated linear unit over channels, as in speech."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.last = nn.Conv1d(4, 12, 3, padding=1), nn.Conv1d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.last(F.glu(self.both(x), dim=1))


def test_the_halves_of_a_gated_linear_unit_lie_along_the_features() -> None:
    (branch,) = find_branches(GatedConvolution())
    assert branch.gated is not None
    assert [part.rows for part in branch.gated] == [tuple(range(6, 12)), tuple(range(6))]


@pytest.mark.parametrize("up", ["linear", "activated", "elsewhere"])
def test_gate_and_up_read_the_same_features_and_only_the_gate_is_activated(up: str) -> None:
    model = Block(lambda b, x, h, attend: x + b.feed[2](F.silu(b.feed[0](h)) * other(b, x, h)))
    model.up = nn.Linear(8, 16)

    def other(b: Block, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = b.up(x if up == "elsewhere" else h)
        return F.relu(made) if up == "activated" else made

    (branch,) = find_branches(model, X)
    names = None if branch.gated is None else [part.name for part in branch.gated]
    assert names == (["feed.0.weight", "up.weight"] if up == "linear" else None)


def test_a_recurrent_state_is_no_skip_connection() -> None:
    assert find_branches(Loop(), X) == []


class Bottleneck(nn.Module):
    """Pre-activation, with a projection that sees the activated input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.BatchNorm2d(4), nn.BatchNorm2d(6)
        self.one, self.two = nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 1, 1)
        self.project = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.a(x), inplace=True)
        return self.project(x) + self.two(F.relu(self.b(self.one(x))))


def test_a_projection_is_the_skip_connection_and_the_norm_before_both_belongs_to_the_branch() -> None:
    (branch,) = find_branches(nn.Sequential(nn.Conv2d(3, 4, 3), Bottleneck()))
    assert leaves(branch) == ["1.a", "1.one", "1.b", "1.two"]
    assert (branch.name, branch.kind, branch.last_norm) == ("1", "conv", None)


class Excited(nn.Module):
    """Squeeze-and-excitation by hand, after parallel convolutions whose outputs are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (nn.Sequential(nn.Conv2d(4, 2, k, 1, k // 2), nn.BatchNorm2d(2)) for k in (1, 3))
        self.squeeze, self.excite = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.left(x), self.right(x)], 1)
        return x + y * torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))


def test_parallel_ends_are_all_ends_and_side_paths_are_left_out() -> None:
    (branch,) = find_branches(Excited())
    assert leaves(branch) == ["left.0", "left.1", "right.0", "right.1"]
    assert [name for name, _ in branch.last_layers] == ["left.0", "right.0"]
    assert [name for name, _ in branch.last_norms] == ["left.1", "right.1"]


@pytest.mark.filterwarnings("ignore:no activation module")  # the blocks have none
@pytest.mark.parametrize("name", ["zero_gamma", "zero_hadamard"])
@torch.no_grad()
def test_all_parallel_ends_start_at_zero(name: str) -> None:
    model = initbench.initialize(Excited(), name).eval()
    x = torch.linspace(-1, 1, 2 * 4 * 6 * 6).view(2, 4, 6, 6)
    torch.testing.assert_close(model(x), x)


class Intrusive(nn.Module):
    """Changes all that a forward pass can change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(8), nn.Linear(8, 8)
        self.register_buffer("count", torch.zeros(()))
        self.cache: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.cache.append(x)
        self.mode = "ran"
        return x + self.linear(F.dropout(self.norm(x), 0.5)) * torch.rand(())


def test_finding_branches_leaves_no_trace() -> None:
    model = Intrusive().train()
    seen: list[object] = []
    model.linear.register_forward_hook(lambda *arguments: seen.append(arguments))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert len(find_branches(model)) == 1
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert (seen, model.cache, hasattr(model, "mode"), len(model.linear._forward_hooks)) == ([], [], False, 1)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_fast_path_of_attention_stays_on_or_off(is_enabled: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(is_enabled)
        find_branches(nn.TransformerEncoderLayer(8, 2, 16))
        assert torch.backends.mha.get_fastpath_enabled() == is_enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("name", ["kaiming_normal", "zero_gamma", "zero_hadamard", "lsuv", "gradinit"])
def test_no_copy_of_a_model_stays_in_memory(name: str) -> None:
    """Modules in a cycle would, until Python looks for cycles: dozens of models, as it counts objects and not bytes."""
    model = timm.create_model("resnet10t", num_classes=3)
    batch = (torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 3)
    overrides = {"steps": 1} if name == "gradinit" else {}
    initbench.initialize(model, name, batch=batch, **overrides)  # what is made once for good is made here
    gc.collect()
    gc.disable()
    try:
        before = sum(issubclass(type(each), nn.Module) for each in gc.get_objects())
        initbench.initialize(model, name, batch=batch, **overrides)
        assert sum(issubclass(type(each), nn.Module) for each in gc.get_objects()) == before
    finally:
        gc.enable()
