"""Packages with models of graphs and molecules."""

from __future__ import annotations

import torch

from tests.zoo.packages.examples import floats, several
from tests.zoo.packages.model import Model, made


def ring(nodes: int = 32) -> torch.Tensor:
    """The edges of a ring, in both directions."""
    there = torch.stack([torch.arange(nodes), torch.arange(nodes).roll(-1)])
    return torch.cat([there, there.flip(0)], 1)


SPARSE = "a sparse matrix costs there what a dense one would, and here what its stored values cost"
GRAPH = several(floats(32, 16), ring)


PACKAGES = {
    "torch_geometric": [
        Model(made("torch_geometric.nn.models:GCN", 16, 64, num_layers=3, out_channels=7), GRAPH),
        Model(made("torch_geometric.nn.models:GAT", 16, 64, num_layers=3, out_channels=7, heads=4), GRAPH),
        Model(made("torch_geometric.nn.models:GIN", 16, 64, num_layers=3, out_channels=7, norm="batch_norm"), GRAPH),
        Model(made("torch_geometric.nn.models:GraphUNet", 16, 32, 7, depth=2), GRAPH, otherwise={"aten.mm": SPARSE}),
    ],
    "e3nn": [
        Model(
            made("e3nn.o3:FullyConnectedTensorProduct", "16x0e + 8x1o", "16x0e + 8x1o", "16x0e + 8x1o + 4x2e"),
            several(floats(32, 40), floats(32, 40)),
        ),
        Model(made("e3nn.o3:Linear", "16x0e + 8x1o", "8x0e + 8x1o"), floats(32, 40)),
        Model(made("e3nn.nn:SO3Activation", 2, 4, torch.tanh, 10), floats(8, 35)),
    ],
    "egnn-pytorch": [
        Model(made("egnn_pytorch:EGNN", dim=64, num_nearest_neighbors=8), several(floats(1, 32, 64), floats(1, 32, 3))),
        Model(
            made(
                "egnn_pytorch:EGNN_Network", num_tokens=21, num_positions=64, dim=32, depth=3, num_nearest_neighbors=8
            ),
            several(lambda: (torch.arange(32) % 21)[None], floats(1, 32, 3)),
        ),
    ],
    "invariant-point-attention": [
        Model(
            made("invariant_point_attention:IPABlock", dim=64, heads=4, require_pairwise_repr=False),
            lambda: {
                "x": torch.rand(1, 32, 64),
                "rotations": torch.eye(3).expand(1, 32, 3, 3),
                "translations": torch.rand(1, 32, 3),
            },
        )
    ],
    "enformer-pytorch": [
        Model(
            made(
                "enformer_pytorch:Enformer.from_hparams",
                dim=192,
                depth=2,
                heads=4,
                num_downsamples=3,
                target_length=16,
                dim_divisible_by=12,
            ),
            lambda: (torch.arange(512) % 4)[None],
            name="Enformer",
        )
    ],
    "equiformer-pytorch": [
        Model(
            made("equiformer_pytorch:Equiformer", dim=(16, 8), heads=2, dim_head=8, depth=1, num_neighbors=6),
            several(floats(1, 16, 16), floats(1, 16, 3)),
        )
    ],
}
