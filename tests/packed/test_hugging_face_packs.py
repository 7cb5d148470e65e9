"""Models of transformers in packs: mapped over; and what keeps one out."""

from pathlib import Path

import pytest
from packs import configs, train_packs, twins

NO_DROPOUT = "resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0"
LLAMA = "num_hidden_layers: 1, hidden_size: 8, intermediate_size: 16, num_attention_heads: 2"


def workload(name: str, config: str) -> list[str]:
    texts = ["task=language_model", "data.size=3000", "data.context_length=8", "data.batch_size=4"]
    return [*texts, "model=transformers", f"model.name={name}", f"model.config={{{config}}}"]


@pytest.mark.parametrize(
    "name, config", [("gpt2", f"n_layer: 1, n_embd: 8, n_head: 2, {NO_DROPOUT}"), ("llama", LLAMA)]
)
def test_a_model_without_dropout_is_its_serial_twin(name: str, config: str, tmp_path: Path) -> None:
    for record in twins(tmp_path, *workload(name, config)):
        assert record["replicas"] == 4


@pytest.mark.parametrize(
    "name, config, why",
    [
        ("gpt2", "n_layer: 1, n_embd: 8, n_head: 2", "dropout in a model that needs torch.func.vmap"),
        ("llama", f"{LLAMA}, attention_dropout: 0.1", "dropout in a model that needs torch.func.vmap"),
        (
            "mixtral",
            f"{LLAMA}, num_key_value_heads: 1, num_local_experts: 2",
            "torch.func.vmap does not support aten::histc",
        ),
    ],
)
def test_what_cannot_be_mapped_is_trained_alone(
    name: str, config: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not train_packs(configs(tmp_path, *workload(name, config), seeds=1), most=64)
    assert capsys.readouterr().out.count(f"alone: {why}\n") == 2
