"""Which stacked projections are query, key and value one after the other: methods pass over all other layouts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench.init import initialize
from initbench.init.structure import find_attentions


class Attention(nn.Module):
    """The attributes that an attention is told by; `beside` are those of one that stacks them head by head."""

    def __init__(self, width: int = 8, **beside: Any) -> None:
        super().__init__()
        self.qkv, self.proj, self.num_heads = nn.Linear(width, 3 * width), nn.Linear(width, width), 2
        vars(self).update(beside)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        return self.proj((query @ key.transpose(-2, -1)).softmax(-1) @ value)


def test_query_key_and_value_are_thirds_in_this_order() -> None:
    attention = Attention()
    (found,) = find_attentions(attention)
    assert torch.equal(torch.cat([found.query, found.key, found.value]), attention.qkv.weight)
    assert found.output is not attention.proj.weight
    assert torch.equal(found.output, attention.proj.weight)
    assert (found.width, found.num_heads) == (8, 2)
    assert len(find_attentions(Attention(head_first=False))) == 1


@pytest.mark.parametrize("beside", [{"head_first": True}, {"key_dim": 4}])
def test_those_that_stack_them_within_each_head_are_not_found(beside: dict[str, Any]) -> None:
    assert find_attentions(Attention(**beside)) == []
    with pytest.raises(ValueError, match="mimetic needs self-attention layers"):
        initialize(Attention(**beside), "mimetic")
