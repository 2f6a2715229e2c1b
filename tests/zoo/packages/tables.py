"""Packages with models of tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.zoo.packages.examples import floats, named, several
from tests.zoo.packages.model import Model, made


def categories() -> torch.Tensor:
    return torch.tensor([[1, 2, 3, 4, 5]])


COLUMNS: dict[str, Any] = {
    "categories": (10, 5, 6, 5, 8),
    "num_continuous": 10,
    "dim": 32,
    "dim_out": 1,
    "depth": 3,
    "heads": 4,
}

PACKAGES = {
    "tab-transformer-pytorch": [
        Model(
            made("tab_transformer_pytorch:TabTransformer", **COLUMNS, mlp_act=nn.ReLU()),
            several(categories, floats(1, 10)),
        ),
        Model(made("tab_transformer_pytorch:FTTransformer", **COLUMNS), several(categories, floats(1, 10))),
    ],
    "pytorch-tabnet": [
        Model(made("pytorch_tabnet.tab_network:TabNet", 16, 3, group_attention_matrix=torch.eye(16)), floats(32, 16)),
        Model(
            made(
                "pytorch_tabnet.tab_network:TabNet",
                16,
                3,
                cat_idxs=[0, 1],
                cat_dims=[4, 8],
                cat_emb_dim=[2, 2],
                mask_type="entmax",
                group_attention_matrix=torch.eye(16, 18),
            ),
            lambda: torch.cat([torch.arange(64).reshape(32, 2) % 4, torch.rand(32, 14)], 1),
            name="TabNet with categories",
        ),
    ],
    "tabm": [
        Model(made("tabm:TabM.make", n_num_features=16, d_out=3), floats(32, 16), name="TabM"),
        Model(
            made("tabm:TabM.make", n_num_features=16, cat_cardinalities=[4, 8], d_out=3),
            named(x_num=floats(32, 16), x_cat=lambda: torch.arange(64).reshape(32, 2) % 4),
            name="TabM with categories",
        ),
    ],
}
