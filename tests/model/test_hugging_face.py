"""model=transformers: architectures of different families, what the data decides, and mistakes."""

import copy
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from configs import compose_config
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.model import build
from initbench.sizes import Sizes
from initbench.training.run import run

TEXTS = Sizes(1000, (8,), vocab_size=11)

SMALL = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_layer": 2, "n_embd": 16, "n_head": 2},
    "llama": SMALL,
    "qwen2": {**SMALL, "num_key_value_heads": 1},
    "gpt_neox": SMALL,
    "opt": {
        "num_hidden_layers": 2,
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "num_attention_heads": 2,
        "ffn_dim": 24,
    },
    "mpt": {"n_layers": 2, "d_model": 16, "n_heads": 2},
    "bloom": {"n_layer": 2, "hidden_size": 16, "n_head": 2},
    "mixtral": {**SMALL, "num_key_value_heads": 1, "num_local_experts": 2},
    "mamba": {"num_hidden_layers": 2, "hidden_size": 16, "state_size": 4},
    "bert": SMALL,  # causal as a decoder
}


def config_of(name: str, config: dict[str, Any] | None) -> dict[str, Any]:
    target = "initbench.model.hugging_face_model"
    return {"_target_": target, "name": name, "architecture": "${.name}", "config": config}


def model_of(name: str, sizes: Sizes = TEXTS, **changes: Any) -> nn.Module:
    """The small model of a name, as a run builds it."""
    given, (length,) = {}, sizes.input_shape
    return build(config_of(name, {**CONFIGS.get(name, {}), **changes}), sizes, given, (length, sizes.vocab_size))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*arguments: Any) -> None:
        raise AssertionError("a model from a config needs no network")

    monkeypatch.setattr("socket.socket.connect", connect)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_of_the_next_token_from_the_tokens_so_far(name: str) -> None:
    torch.manual_seed(0)
    model = model_of(name)
    assert model.training
    tokens = torch.randint(11, (3, 8))
    logits = model(tokens)
    assert logits.shape == (3, 8, 11)
    F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    for place in range(7):
        changed = tokens.clone()
        changed[:, place + 1 :] = (changed[:, place + 1 :] + 1) % 11
        torch.testing.assert_close(model(changed)[:, : place + 1], model(tokens)[:, : place + 1])


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "mamba"])  # a state that is not small at first
def test_it_starts_at_the_loss_of_who_knows_nothing(name: str) -> None:
    torch.manual_seed(0)
    model, tokens = model_of(name, Sizes(1000, (32,), vocab_size=48)), torch.randint(48, (8, 32))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), torch.randint(48, (8, 32)).flatten())
    assert loss.item() == pytest.approx(math.log(48), abs=0.1)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba"])
def test_weights_depend_on_the_seed_alone_and_have_the_names_of_transformers(name: str) -> None:
    torch.manual_seed(3)
    ours = model_of(name)
    torch.manual_seed(3)
    again = model_of(name)
    length = {} if name == "mamba" else {"max_position_embeddings": 8}
    absent = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    config = transformers.AutoConfig.for_model(
        name, vocab_size=11, use_cache=False, **length, **absent, **CONFIGS[name]
    )
    torch.manual_seed(3)
    theirs = transformers.AutoModelForCausalLM.from_config(config)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
        assert torch.equal(again.state_dict()[key], value), key
    tokens = torch.randint(11, (2, 8))
    torch.testing.assert_close(ours.eval()(tokens), theirs.eval()(tokens).logits)


def test_a_copy_returns_logits_too() -> None:
    assert copy.deepcopy(model_of("gpt2"))(torch.zeros(1, 8, dtype=torch.int64)).shape == (1, 8, 11)


def test_gpt_2_has_its_published_size() -> None:
    """124,439,808 weights (Radford et al. 2019)."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.GPT2Config())
    published = sum(parameter.numel() for parameter in model.parameters())
    assert published == 124_439_808
    ours = model_of("gpt2", n_layer=12, n_embd=768, n_head=12)
    shrunk = (50257 - 11 + 1024 - 8) * 768
    assert sum(parameter.numel() for parameter in ours.parameters()) == published - shrunk


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "gpt_neox", "opt", "bert"])
def test_a_small_vocabulary_has_no_special_tokens(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Those of the published model lie outside it; a padding token inside would have an embedding of zeros."""
    transformers.logging.enable_propagation()
    try:
        model: Any = model_of(name)
    finally:
        transformers.logging.disable_propagation()
    assert caplog.text == ""
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (None, None, None)
    assert all(module.padding_idx is None for module in model.modules() if isinstance(module, nn.Embedding))
    assert model_of("llama", pad_token_id=0).config.pad_token_id == 0  # unless it is asked for


@pytest.mark.parametrize("name", ["gpt2", "llama", "mpt"])
def test_the_longest_text_is_that_of_the_data(name: str) -> None:
    config: Any = model_of(name).config
    assert getattr(config, "max_seq_len" if name == "mpt" else "max_position_embeddings") == 8
    assert config.use_cache is False


def test_what_the_data_decides_may_be_typed_if_it_is_right() -> None:
    model_of("gpt2", vocab_size=11, n_positions=8, use_cache=False)
    model_of("gpt2", max_position_embeddings=8)  # another name of the same


@pytest.mark.parametrize(
    "name, changes, said",
    [
        ("gtp2", {}, r"model gtp2: unknown transformers architecture 'gtp2'. Did you mean 'gpt2'\? .* lists them all"),
        ("GPT2", {}, r"unknown transformers architecture 'GPT2'. Did you mean 'gpt2'\?"),
        ("vit", {}, "unknown transformers architecture 'vit'"),
        ("gemma3", {}, r"Gemma3Config has no vocab_size, .* text alone. Did you mean 'gemma3_text'\?"),
        (
            "gpt2",
            {"n_layers": 2},
            r"unknown key model.config.n_layers. Did you mean 'n_layer'\? GPT2Config takes: .*n_head",
        ),
        ("llama", {"hiden_size": 2}, r"unknown key model.config.hiden_size. Did you mean 'hidden_size'\?"),
        ("gpt2", {"id2label": {}}, "unknown key model.config.id2label."),
        ("gpt2", {"vocab_size": 12}, "model.config.vocab_size must be 11, got 12; it may be left out"),
        ("gpt2", {"n_positions": 1024}, "model.config.n_positions must be 8, got 1024"),
        ("gpt2", {"max_position_embeddings": 4}, "model.config.max_position_embeddings must be 8, got 4"),
        ("llama", {"use_cache": True}, "model.config.use_cache must be False, got True"),
        ("gpt2", {"n_layer": "two"}, "model gpt2: .*'n_layer': TypeError: Field 'n_layer' expected int, got str"),
        ("gpt2", {"n_head": 3}, "model gpt2: .*divisible by num_heads"),
        ("llama", {**SMALL, "hidden_act": "rellu"}, "rellu"),
        ("llama", {**SMALL, "rope_parameters": {"rope_type": "linaer"}}, "model llama: KeyError: .linaer"),
        ("roberta", SMALL, "model roberta: ne.. received an invalid combination of arguments"),
        ("gptj", {"n_layer": 1, "n_embd": 16, "n_head": 2}, "model gptj: The size of tensor"),
        ("xlnet", {"n_layer": 1, "d_model": 16, "n_head": 2, "d_inner": 16}, "sees the tokens that it is to predict"),
    ],
)
def test_a_mistake_is_one_line(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        model_of(name, **changes)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_images_are_refused() -> None:
    images = Sizes(1000, (1, 28, 28), num_classes=10)
    with pytest.raises(
        ValueError, match="model gpt2 needs vocab_size, context_length, but 1x28x28 images and their task"
    ):
        build(config_of("gpt2", None), images, {"num_classes": 10}, (10,))


def test_transformers_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # Python's own way to make an import fail
    said = r"model gpt2: transformers is not installed: pip install 'initbench\[transformers\]'"
    with pytest.raises(ValueError, match=said):
        model_of("gpt2")


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_two_epochs_lower_the_loss_and_are_repeatable(name: str, tmp_path: Path) -> None:
    config = ", ".join(f"{key}: {value}" for key, value in CONFIGS[name].items())
    words = ["task=language_model", "model=transformers", f"model.name={name}", f"model.config={{{config}}}"]
    texts = ["data.size=6000", "data.context_length=16", "data.batch_size=16", "optimizer.lr=0.01"]
    plain = ["trainer.max_steps=null", "trainer.max_epochs=2", "logger=none", "init=default", "trainer.accelerator=cpu"]
    records = [
        run(compose_config(*words, *texts, *plain, f"runs_dir={tmp_path / folder}")) for folder in ("one", "other")
    ]
    for record in records:
        assert record["status"] == "finished"
        assert record["results"]["val/loss_at_start"] == pytest.approx(math.log(48), abs=0.15)
        assert record["results"]["test/loss"] < 3.5
    assert records[0]["results"]["test/loss"] == records[1]["results"]["test/loss"]
    assert records[0]["initial_weights"] == records[1]["initial_weights"]
