"""Models of transformers: `default` is what they do when they are built, and every option works or is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from every_option import NAMES
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations

import initbench
from initbench.init import Batch, initializer, rows
from initbench.model import hugging_face_model

SMALL = {"vocab_size": 23, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {"intermediate_size": 48},
    "gpt_neox": {"intermediate_size": 48},
    "gemma2": {"intermediate_size": 48, "num_key_value_heads": 1, "head_dim": 16},  # scales are offsets from 1
    "mixtral": {"intermediate_size": 48, "num_key_value_heads": 1, "num_local_experts": 2},  # experts in one tensor
    "mamba": {"state_size": 4},  # parameters that no module of torch has
}


def model_of(name: str, **changes: Any) -> Any:
    absent = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    keys = {**SMALL, **CONFIGS[name], "use_cache": False, **absent, **changes}
    if name == "mamba":
        del keys["num_attention_heads"]
    return transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(name, **keys))


def is_drawn(value: torch.Tensor) -> bool:
    return value.numel() > 1 and value.std().item() > 0


@pytest.mark.parametrize("name", CONFIGS)
def test_default_has_the_distribution_that_the_model_is_built_with(name: str) -> None:
    torch.manual_seed(0)
    theirs = dict(model_of(name).named_parameters())
    ours = dict(initbench.initialize(model_of(name), "default", seed=1).named_parameters())
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        expected = theirs[key]
        if not is_drawn(expected) or key.endswith(("A_log", ".D")):  # in Mamba, the same in each model
            assert torch.equal(value, expected), key
            continue
        assert not torch.equal(value, expected), key
        spread = 5 * expected.std() / value.numel() ** 0.5
        assert abs(value.std() - expected.std()) < spread, key
        assert abs(value.mean() - expected.mean()) < 1.5 * spread, key


def test_the_residual_projections_of_gpt_2_are_scaled_down() -> None:
    """By sqrt(2 L) for L blocks (Radford et al. 2019), which a block does to the layers inside it."""
    model = initbench.initialize(model_of("gpt2", num_hidden_layers=8), "default")
    for key, value in model.named_parameters():
        if value.dim() == 2:
            std = 0.02 / 4 if "c_proj" in key else 0.02
            assert value.std().item() == pytest.approx(std, rel=0.15), key


def test_each_parameter_has_its_own_draw_from_the_seed() -> None:
    small, large = (
        initbench.initialize(model_of("llama", num_hidden_layers=depth), "default", seed=3) for depth in (1, 3)
    )
    for key, value in small.named_parameters():
        assert torch.equal(value, large.get_parameter(key)), key
    other = initbench.initialize(model_of("llama", num_hidden_layers=1), "default", seed=4)
    assert not torch.equal(other.get_parameter("lm_head.weight"), small.get_parameter("lm_head.weight"))


def test_policies_of_other_initializers_take_it_for_embeddings_and_norms() -> None:
    model = initbench.initialize(model_of("gpt2"), "orthogonal", norm_scale="default")
    assert model.transformer.wte.weight.std().item() == pytest.approx(0.02, rel=0.1)  # N(0, 1) in torch
    assert model.transformer.ln_f.weight.eq(1).all()


def test_a_model_inside_another_module_is_found() -> None:
    """As in a LightningModule; what surrounds it keeps its own reset_parameters."""
    outer = nn.ModuleDict({"model": model_of("llama"), "probe": nn.Linear(400, 50)})
    initbench.initialize(outer, "default")
    assert outer["model"].lm_head.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert outer["probe"].weight.std().item() == pytest.approx((3 * 400) ** -0.5, rel=0.05)


def test_loaded_weights_are_redrawn(tmp_path: Path) -> None:
    built = initbench.initialize(model_of("gpt2"), "normal", std=5.0, embedding=7.0)
    built.save_pretrained(tmp_path)
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    again = initbench.initialize(loaded, "default", seed=2)
    expected = initbench.initialize(model_of("gpt2"), "default", seed=2)
    for key, value in expected.named_parameters():
        assert torch.equal(again.get_parameter(key), value), key


def test_a_parametrized_layer_gets_the_weight_of_the_bare_one() -> None:
    model, bare = model_of("llama"), initbench.initialize(model_of("llama"), "default")
    parametrizations.weight_norm(model.model.layers[0].mlp.up_proj)
    initbench.initialize(model, "default")
    torch.testing.assert_close(model.model.layers[0].mlp.up_proj.weight, bare.model.layers[0].mlp.up_proj.weight)
    torch.testing.assert_close(model.model.layers[0].mlp.gate_proj.weight, bare.model.layers[0].mlp.gate_proj.weight)


def test_a_plan_writes_nothing() -> None:
    model = model_of("gpt2")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    table = initbench.describe(model, "default")
    assert list(table["parameter"]) == [key for key, _ in model.named_parameters()]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_dropout_is_switched_off_for_what_needs_data() -> None:
    """Also that of attention, whose probability is handed on to a fused kernel."""
    tokens = torch.randint(23, (4, 8), generator=torch.Generator().manual_seed(0))
    drops, no_drops = (
        initbench.initialize(model_of("gpt2", attn_pdrop=p, resid_pdrop=p, embd_pdrop=p), "lsuv", batch=tokens)
        for p in (0.5, 0.0)
    )
    for key, value in drops.named_parameters():
        assert torch.equal(value, no_drops.get_parameter(key)), key
    assert drops.transformer.h[0].attn.attn_dropout.p == 0.5


# What each option says where it cannot be, by architecture. Whatever is not listed must work.
TIED = "gpt2 mamba"
EVERYWHERE = " ".join(CONFIGS)
EXPERTS = "is multiplied outside of a layer"
# The recipes of language models need attentions, and some draw a head of its own.
RECIPE = f"needs self-attention layers|{EXPERTS}|head_std is for a head of its own"
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(["gpt2", "small_init", "transformer", "wang"], (RECIPE, "mixtral mamba")),
    **dict.fromkeys(
        ["llama_depth", "llama_depth_fixed", "megatron", "mitchell", "nanochat"],
        (RECIPE, "gpt2 gemma2 mixtral mamba"),
    ),
    **dict.fromkeys(["admin", "admin_torch"], ("needs residual blocks with a skip_scale", EVERYWHERE)),
    "chrono": ("needs recurrent layers", EVERYWHERE),
    "deepnorm": (f"needs (residual blocks with a skip_scale|self-attention layers)|{EXPERTS}", EVERYWHERE),
    "complete_p": ("its weight with the embedding|is in none of them|outside of a layer", f"{TIED} gemma2 mixtral"),
    "efficientnet": ("efficientnet needs layers with a weight of type Linear", "gpt2"),
    "class_prior": ("sets the bias of the last layer, and layer lm_head, a Linear, has none", EVERYWHERE),
    "fixup": (
        "its weight is also that of the embedding|takes the place of norms|belongs to no layer",
        f"{TIED} gemma2 mixtral",
    ),
    "irnn": ("needs recurrent layers", EVERYWHERE),
    "looks_linear": ("has skip connections", EVERYWHERE),
    "lstm": ("lstm needs recurrent layers of type LSTM", EVERYWHERE),
    "mean_field": ("(gelu|silu) has no critical point", EVERYWHERE),
    "mimetic": ("needs self-attention layers", "gemma2 mixtral mamba"),
    "patch_whitening": ("needs a convolution as the first layer", EVERYWHERE),
    "per_layer": ("the last layer shares its weight with the embedding", f"{TIED} gemma2"),
    "rezero": ("needs gates", EVERYWHERE),
    "skipinit": ("needs gates", EVERYWHERE),
    **dict.fromkeys(["sub_ln", "t_fixup"], (f"needs self-attention layers|{EXPERTS}", "mixtral mamba")),
    "tanh_fixed_point": ("is defined on matrices", "mamba"),
    "vit_jax": ("the last layer shares its weight with the embedding", f"{TIED} gemma2"),
    "zero_gamma": ("is not ended by one", "gpt2 llama gpt_neox mixtral mamba"),
}
FEW_STEPS = {"gradinit": {"steps": 1}, "metainit": {"steps": 1}, "kraehenbuehl": {"iterations": 1}}


def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def matrix() -> list[Any]:
    """All pairs. GPT-2, Llama and one other architecture by rotation are in the fast suite."""
    others = [architecture for architecture in CONFIGS if architecture not in ("gpt2", "llama")]
    pairs = []
    for index, name in enumerate(NAMES):
        fast = ("gpt2", "llama", others[index % len(others)])
        for architecture in CONFIGS:
            marks = [] if architecture in fast else [pytest.mark.slow]
            pairs.append(pytest.param(name, architecture, marks=marks))
    return pairs


@pytest.mark.parametrize("name, architecture", matrix())
def test_an_option_works_or_is_refused(name: str, architecture: str) -> None:
    torch.manual_seed(0)
    size = {key: value for key, value in SMALL.items() if architecture != "mamba" or "heads" not in key}
    config = {**size, **CONFIGS[architecture]}
    model = hugging_face_model(vocab_size=23, context_length=8, architecture=architecture, config=config)
    tokens = torch.randint(23, (4, 9))
    batch = Batch(tokens[:, :-1], tokens[:, 1:])
    chosen = initializer(name, **FEW_STEPS.get(name, {}))
    said, where = REFUSED.get(name, ("", ""))
    if architecture in where.split():
        with pytest.raises(ValueError, match=said) as error:
            chosen.apply(model, seed=0, batch=batch, loss=loss)
        assert "\n" not in str(error.value)
        return
    outcome = chosen.apply(model, seed=0, batch=batch, loss=loss)
    assert [row["parameter"] for row in rows(outcome)] == [key for key, _ in model.named_parameters()]
    with torch.no_grad():
        assert model(batch.inputs).isfinite().all()
