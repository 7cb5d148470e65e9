"""T-Fixup: transformers that train without LayerNorm and warm-up, by scaling their weights."""

from itertools import takewhile

import torch
from torch import nn

from initbench.init.methods.encoders import count_layers, scale_layers
from initbench.init.parametrized import write
from initbench.init.roles import NamedParameter
from initbench.init.structure.attention import Attention
from initbench.init.structure.blocks import BranchMatrix
from initbench.init.structure.branch import Branch


@torch.no_grad()
def t_fixup_(
    model: nn.Module,
    branches: list[Branch],
    attentions: list[Attention],
    branch_matrices: list[BranchMatrix],
    parameters: list[NamedParameter],
) -> None:
    """Value and output projections and MLPs * 0.67 N^(-1/4), the input embeddings * (9 N)^(-1/4), for N layers.

    One step of Adam then changes the function of an encoder by an amount that does not depend on N. Query, key, the
    classifier and all other parameters keep their starting values: Xavier's, and N(0, 1 / width) for nn.Embedding.

    The paper's input embeddings are those of words. Here they are the parameters used before the first residual
    branch: every nn.Embedding, token and position embedding, and the last weight matrix, which embeds the patches in a
    ViT. (The paper's position embeddings are fixed and not scaled.)

    The paper removes all LayerNorms from the model. A model that has some is scaled as well, though its norms make the
    scaling unnecessary: choose model=vit model.norm=none.

    Raises ValueError for decoders, whose factor is (9 N)^(-1/4).

    Source: Huang, Pérez, Ba & Volkovs 2020, section 3.2 and the authors' code.
    Acts on: attentions, MLPs and input embeddings of transformer encoders.
    """
    layers = count_layers(branches, attentions, "t_fixup")
    scale_layers(branch_matrices, 0.67 * layers**-0.25)
    for found in _input_embeddings(parameters, branches):
        write(found.module, found.key, found.tensor * (9 * layers) ** -0.25)


def _input_embeddings(parameters: list[NamedParameter], branches: list[Branch]) -> list[NamedParameter]:
    inside = {id(module) for _, leaf in branches[0].modules for module in leaf.modules()}
    before = list(takewhile(lambda found: id(found.module) not in inside, parameters))
    weights = [found for found in before if found.role == "weight"]
    embeddings = [found for found in before if found.role in ("embedding", "other") and found.tensor.dim() >= 2]
    return weights[-1:] + embeddings
