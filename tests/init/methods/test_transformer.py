"""The recipes of language models: the distribution of every matrix, with packed and with separate projections."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from initbench import describe, initialize
from initbench.init.structure.parts import find_attentions
from initbench.model import GPT, MLP, ViT

WIDTH, DEPTH = 64, 3


def gpt(**options: Any) -> GPT:
    return GPT(
        **{"vocab_size": 97, "context_length": 32, "depth": DEPTH, "width": WIDTH, "heads": 4, "tied": False} | options
    )


LAYOUTS: dict[str, dict[str, Any]] = {
    "packed": {},
    "apart": {"projections": "apart"},
    "grouped": {"kv_heads": 2, "projections": "apart", "positions": "rope"},
    "llama": {"norm": "rms", "mlp": "swiglu", "positions": "rope"},
}


def by_role(model: GPT) -> dict[str, list[Tensor]]:
    """The weights of each role, one for each layer, read off the attributes of the model."""
    found: dict[str, list[Tensor]] = {role: [] for role in ("query", "key", "value", "attention_out")}
    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        if attention.packed:
            parts = attention.qkv.weight.split(attention.sizes)
        else:
            parts = (attention.query.weight, attention.key.weight, attention.value.weight)
        for role, part in zip(("query", "key", "value", "attention_out"), (*parts, attention.proj.weight), strict=True):
            found[role].append(part)
        layers = {"mlp_in": mlp.gate, "up": mlp.up, "mlp_out": mlp.down} if hasattr(mlp, "down") else {}
        for role, layer in (layers or {"mlp_in": mlp.linear1, "mlp_out": mlp.linear2}).items():
            found.setdefault(role, []).append(layer.weight)
    found["embedding"], found["head"] = [model.embedding.weight], [model.head.weight]
    if model.position_embedding is not None:
        found["position"] = [model.position_embedding.weight]
    return found


def normal(std: float, cut: float | None = None) -> Any:
    return stats.norm(scale=std) if cut is None else stats.truncnorm(-cut, cut, scale=std)


def index(layer: int) -> float:
    return math.sqrt(2 * (layer + 1))


ROOT = WIDTH**-0.5
Law = Callable[[int, Tensor], Any]  # from the layer and the weight to a distribution of scipy
# What each recipe draws, by the sources in its YAML: for all roles, and for some.
RECIPES: dict[str, dict[str, Law]] = {
    "gpt2": {"": lambda layer, w: normal(0.02), "out": lambda layer, w: normal(0.02 / math.sqrt(2 * DEPTH))},
    "megatron": {
        "": lambda layer, w: normal(0.02, 3),
        "out": lambda layer, w: normal(0.02 / math.sqrt(2 * DEPTH), 3),
        "head": lambda layer, w: normal(ROOT, 3),
    },
    "llama_depth": {
        "": lambda layer, w: normal(0.02),
        "out": lambda layer, w: normal(0.02 / index(layer)),
        "up": lambda layer, w: normal(0.02 / index(layer)),
        "embedding": lambda layer, w: normal(1.0),
        "head": lambda layer, w: normal(ROOT, 3),
    },
    "llama_depth_fixed": {
        "": lambda layer, w: normal(0.02, 3),
        "out": lambda layer, w: normal(0.02 / index(layer), 3),
        "embedding": lambda layer, w: normal(1.0),
        "position": lambda layer, w: normal(0.02),
        "head": lambda layer, w: normal(ROOT, 3),
    },
    "mitchell": {
        "": lambda layer, w: normal(ROOT, 3),
        "out": lambda layer, w: normal(w.shape[1] ** -0.5 / index(layer), 3),
    },
    "small_init": {"": lambda layer, w: normal(math.sqrt(2 / (5 * WIDTH)))},
    "wang": {
        "": lambda layer, w: normal(math.sqrt(2 / (5 * WIDTH))),
        "out": lambda layer, w: normal(2 / (DEPTH * math.sqrt(WIDTH))),
    },
    "nanochat": {
        "": lambda layer, w: stats.uniform(-math.sqrt(3 / WIDTH), 2 * math.sqrt(3 / WIDTH)),
        "mlp_in": lambda layer, w: stats.uniform(-0.4 * math.sqrt(3 / WIDTH), 0.8 * math.sqrt(3 / WIDTH)),
        "up": lambda layer, w: stats.uniform(-0.4 * math.sqrt(3 / WIDTH), 0.8 * math.sqrt(3 / WIDTH)),
        "out": lambda layer, w: None,  # zero
        "embedding": lambda layer, w: normal(0.8),
        "position": lambda layer, w: normal(ROOT),
        "head": lambda layer, w: normal(0.001),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_matrix_has_the_law_of_its_recipe(recipe: str, layout: str) -> None:
    model = initialize(gpt(**LAYOUTS[layout]), recipe, seed=3)
    for role, weights in by_role(model).items():
        laws = RECIPES[recipe]
        law_of = laws.get("out" if role.endswith("_out") else role, laws[""])
        for layer, weight in enumerate(weights):
            law = law_of(layer, weight)
            if law is None:
                assert not weight.any()
                continue
            values = weight.detach().flatten().double().numpy()
            # Kolmogorov and Smirnov's distance, which at this level exceeds none of some 350 in a right program.
            assert stats.kstest(values, law.cdf).pvalue > 1e-4, (role, layer)
            assert values.std() == pytest.approx(law.std(), rel=4 / math.sqrt(len(values)))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert (parameter == (1 if name.endswith("weight") else 0)).all(), name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_description_has_the_expected_deviation_of_every_matrix(recipe: str, layout: str) -> None:
    model = gpt(**LAYOUTS[layout])
    table = describe(model, recipe).set_index("parameter")
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert table["std_expected"].notna().all()
    for name, row in table.iterrows():
        assert row["std"] == pytest.approx(row["std_expected"], rel=4 / math.sqrt(2 * sizes[name])), name


def test_the_expected_deviations_are_those_that_the_cuts_leave() -> None:
    keys = {"cut": 1.5, "embedding_std": 0.3, "embedding_cut": 1, "head_std": 0.1}
    expected = describe(gpt(), "transformer", **keys).set_index("parameter")["std_expected"]
    assert expected["blocks.block1.attention.qkv.weight"] == pytest.approx(normal(0.02, 1.5).std())
    assert expected["embedding.weight"] == pytest.approx(normal(0.3, 1).std())
    assert expected["head.weight"] == 0.1


def test_the_parts_of_a_packed_projection_differ() -> None:
    attention = find_attentions(initialize(gpt(), "gpt2"))[0]
    assert not torch.equal(attention.query.weight, attention.key.weight)
    assert not torch.equal(attention.key.weight, attention.value.weight)


def test_a_tied_head_is_drawn_once_as_the_embedding() -> None:
    tied, free = initialize(gpt(tied=True), "gpt2"), initialize(gpt(), "gpt2")
    assert tied.head.weight is tied.embedding.weight
    assert torch.equal(tied.embedding.weight, free.embedding.weight)
    assert deviation(tied.embedding.weight) == pytest.approx(0.02, rel=0.05)


def test_the_published_position_embeddings_are_a_key() -> None:
    model = initialize(gpt(), "gpt2", position_std=0.01)
    assert deviation(model.position_embedding.weight) == pytest.approx(0.01, rel=0.1)
    assert deviation(model.embedding.weight) == pytest.approx(0.02, rel=0.05)


def test_residual_layers_can_be_stated() -> None:
    model = initialize(gpt(), "gpt2", residual_layers=100)
    assert deviation(model.blocks[0].attention.proj.weight) == pytest.approx(0.002, rel=0.05)


def deviation(weight: Tensor) -> float:
    return float(weight.detach().std())


def transformers_model(kind: str, **config: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="needs the extra `transformers`")
    settings = getattr(transformers, f"{kind}Config")(**config)
    built: nn.Module = getattr(transformers, "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")(settings)
    return built


def test_gpt2_has_the_deviations_of_transformers_own_gpt2() -> None:
    """For each role, over 20 seeds; transformers draws with torch's global generator."""

    def deviations(model: nn.Module) -> dict[str, float]:
        return {name: deviation(p) for name, p in model.named_parameters() if p.dim() > 1}

    size = {"vocab_size": 128, "n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 64}
    own, ours = [], []
    for seed in range(20):
        torch.manual_seed(seed)
        model = transformers_model("GPT2", **size)
        own.append(deviations(model))
        ours.append(deviations(initialize(model, "gpt2", seed=seed)))
    for name in own[0]:
        theirs, mine = (torch.tensor([each[name] for each in some]) for some in (own, ours))
        error = math.hypot(float(theirs.std()), float(mine.std())) / math.sqrt(20)
        assert abs(float(theirs.mean() - mine.mean())) < 4 * error, name
        assert float(mine.mean()) == pytest.approx(float(theirs.mean()), rel=0.01), name


def test_llama_of_transformers() -> None:
    size = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    model: Any = transformers_model("Llama", vocab_size=97, num_key_value_heads=2, **size)
    initialize(model, "llama_depth", seed=1)
    for layer, block in enumerate(model.model.layers):
        attention, mlp, small = block.self_attn, block.mlp, 0.02 / math.sqrt(2 * (layer + 1))
        for part in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj):
            assert deviation(part.weight) == pytest.approx(0.02, rel=0.06)
        for part in (attention.o_proj, mlp.down_proj, mlp.up_proj):
            assert deviation(part.weight) == pytest.approx(small, rel=0.06)
    assert deviation(model.model.embed_tokens.weight) == pytest.approx(1.0, rel=0.06)


def test_the_expected_deviation_of_a_packed_matrix_is_that_of_all_it_packs() -> None:
    """Phi-3 packs gate and up, whose deviations differ."""
    size = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = transformers_model("Phi3", vocab_size=97, num_key_value_heads=2, pad_token_id=0, **size)
    row = describe(model, "llama_depth").set_index("parameter").loc["model.layers.1.mlp.gate_up_proj.weight"]
    assert row["std_expected"] == pytest.approx(0.02 * math.sqrt((1 + 1 / 4) / 2))
    assert row["std"] == pytest.approx(row["std_expected"], rel=0.06)


def test_layers_of_a_decoder_are_counted_in_its_own_stream() -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `transformers`")
    config = transformers.T5Config(vocab_size=64, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    model = initialize(transformers.T5ForConditionalGeneration(config), "transformer", residual="total")
    encoder, decoder = model.encoder.block[1].layer, model.decoder.block[1].layer
    assert deviation(encoder[0].SelfAttention.o.weight) == pytest.approx(0.02 / math.sqrt(4), rel=0.06)
    assert deviation(decoder[1].EncDecAttention.o.weight) == pytest.approx(0.02 / math.sqrt(6), rel=0.06)


def test_a_vision_transformer() -> None:
    model = ViT(in_channels=3, image_size=32, num_classes=10, patch_size=8, width=64, depth=2, num_heads=4)
    initialize(model, "gpt2")
    branch = model.blocks[0].attention.branch.attention
    assert deviation(branch.qkv.weight) == pytest.approx(0.02, rel=0.05)
    assert deviation(branch.proj.weight) == pytest.approx(0.01, rel=0.05)


def mixtral() -> nn.Module:
    size = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    return transformers_model("Mixtral", vocab_size=11, num_key_value_heads=2, num_local_experts=2, **size)


def mlp() -> nn.Module:
    return MLP(in_features=4, out_features=3, depth=2, width=8)


@pytest.mark.parametrize(
    "make, recipe, keys, said",
    [
        (mlp, "gpt2", {}, "^gpt2 needs residual branches .* and MLP has none$"),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3)), "wang", {}, "^wang needs residual branches"),
        (gpt, "gpt2", {"std": 0.0}, "^std must be above 0, got 0.0$"),
        (gpt, "gpt2", {"embedding_std": -1}, "^embedding_std must be above 0, got -1$"),
        (gpt, "gpt2", {"head_std": 0}, "^head_std must be above 0, got 0$"),
        (gpt, "gpt2", {"cut": 0.5}, "^cut must be at least 1, in standard deviations, got 0.5$"),
        (gpt, "gpt2", {"head_cut": float("nan")}, "head_cut of gpt2 must be a number or null, got nan"),
        (gpt, "nanochat", {"cut": 3}, "^cut is for normal distributions"),
        (gpt, "nanochat", {"mlp_factor": 0}, "^mlp_factor must be above 0, got 0$"),
        (gpt, "gpt2", {"std": "fan_out"}, "std of gpt2 must be .*fan_in.*'fan_out'"),
        (gpt, "gpt2", {"residual": "depth"}, "unknown residual of gpt2 'depth'"),
        (
            gpt,
            "mitchell",
            {"residual_layers": 4},
            "^residual_layers=4 must be a count, and is for residual=total or wang$",
        ),
        (gpt, "gpt2", {"residual_layers": 0}, "^residual_layers=0 must be a count"),
        (
            lambda: gpt(tied=True),
            "megatron",
            {},
            "^head_std is for a head of its own, .* shares its weight with embedding.weight: .*model.tied=false .*"
            "'model.config={tie_word_embeddings: false}' .*, or set head_std=null$",
        ),
        (
            lambda: gpt(positions="rope"),
            "gpt2",
            {"position_std": 0.01},
            "^position_std is for position embeddings, and GPT",
        ),
        (mixtral, "small_init", {}, "is multiplied outside of a layer, so it cannot be told what it is for$"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    make: Callable[[], nn.Module], recipe: str, keys: dict[str, Any], said: str
) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said) as error:
        initialize(model, recipe, **keys)
    assert "\n" not in str(error.value)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_model_without_token_embeddings_is_refused_where_they_have_a_deviation() -> None:
    model = ViT(in_channels=3, image_size=8, num_classes=3, patch_size=4, width=16, depth=1, num_heads=2)
    with pytest.raises(ValueError, match=r"^embedding_std is for token embeddings, and ViT has none: "):
        initialize(model, "llama_depth")


def test_the_row_of_padding_is_zero() -> None:
    size = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4}
    model: Any = initialize(transformers_model("Phi3", vocab_size=97, pad_token_id=5, **size), "llama_depth")
    assert not model.model.embed_tokens.weight[5].any()
    assert model.model.embed_tokens.weight[4].all()


def test_patches_write_to_the_stream_and_have_its_width() -> None:
    """Of 192 inputs and 64 outputs."""
    model = ViT(in_channels=3, image_size=16, num_classes=10, patch_size=8, width=64, depth=1, num_heads=4)
    initialize(model, "small_init")
    assert deviation(model.patches.projection.weight) == pytest.approx(math.sqrt(2 / (5 * 64)), rel=0.03)
    assert deviation(model.classifier.weight) == pytest.approx(math.sqrt(2 / (5 * 64)), rel=0.15)
