"""Every initializer on our GPT, as by `init=glob(*) task=language_model`: it works, or says why it cannot."""

from typing import Any

import pytest
import torch
from every_option import FEW_STEPS, NAMES
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import Batch, initializer
from initbench.model import GPT

OWN_HEAD = "head_std is for a head of its own, and the last matrix shares its weight with embedding.weight"
# What is refused, with the words that name what is missing. Whatever is not listed must work.
REFUSED: dict[str, str] = {
    **dict.fromkeys(["admin", "admin_torch", "deepnorm"], "needs residual blocks with a skip_scale"),
    **dict.fromkeys(["chrono", "irnn", "lstm"], "needs recurrent layers"),
    **dict.fromkeys(["llama_depth", "llama_depth_fixed", "megatron", "mitchell", "nanochat"], OWN_HEAD),
    **dict.fromkeys(["rezero", "skipinit"], "needs gates"),
    **dict.fromkeys(["fixup", "per_layer", "vit_jax"], "shares its weight with the embedding|is also that of the emb"),
    "class_prior": "sets the bias of the last layer, and layer head, a Linear, has none",
    "complete_p": "has no constant for it",
    "looks_linear": "has skip connections",
    "mean_field": "gelu has no critical point",
    "patch_whitening": "needs a convolution as the first layer",
    "zero_gamma": "is not ended by one",
}


def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@pytest.mark.parametrize("name", NAMES)
def test_an_option_works_or_is_refused(name: str) -> None:
    torch.manual_seed(0)
    model = GPT(vocab_size=23, context_length=8, depth=1, width=16, heads=2)
    texts = torch.randint(23, (4, 9))
    settings: dict[str, Any] = FEW_STEPS.get(name, {})
    chosen, batch = initializer(name, **settings), Batch(texts[:, :-1], texts[:, 1:])
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]) as error:
            chosen.apply(model, seed=0, batch=batch, loss=loss)
        assert "\n" not in str(error.value)
        return
    chosen.apply(model, seed=0, batch=batch, loss=loss)
    assert model(texts[:, :-1]).isfinite().all()
