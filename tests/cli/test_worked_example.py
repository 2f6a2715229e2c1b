"""The worked example, by hand: 327,680 + 16,384 + 0 flops, 1,280 + 64 + 0 parameters."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fxcount import Cost, count_graph
from fxcount.cli.worked_example import worked_example

INPUT = torch.randn(1, 1, 130, 40)
OUTPUTS = 32 * ((130 - 4) // 2 + 1) * ((40 - 10) // 8 + 1)
BOUND = 4 * 127 / 128


def test_outputs() -> None:
    assert OUTPUTS == 32 * 64 * 4 == 8192


@pytest.mark.parametrize("training", [True, False])
def test_node_by_node(training: bool) -> None:
    cost = count_graph(worked_example().train(training), INPUT)
    costs = [(node.flops, node.params) for node in cost.nodes]
    assert costs == [(0, 0), (327_680, 1_280), (16_384, 64), (0, 0), (0, 0)]
    assert [node.output_shapes for node in cost.nodes[1:4]] == [((1, 32, 64, 4),)] * 3
    assert (cost.flops, cost.macs, cost.params) == (344_064, 327_680, 1_344)
    assert cost.uncounted == {}


@pytest.mark.parametrize("training", [True, False])
def test_printed(training: bool) -> None:
    rows = {
        line.split()[0]: line.split()
        for line in str(count_graph(worked_example().train(training), INPUT)).split("\n")
        if line
    }
    assert rows["_0"][-4:] == ["1,280", "327,680", "327,680", "95.2%"]
    assert rows["_1"][-4:] == ["64", "0", "16,384", "4.8%"]
    assert rows["_2"][-4:] == ["0", "0", "0", "0.0%"]
    assert rows["total"][-4:] == ["1,344", "327,680", "344,064", "100.0%"]


class Functional(nn.Module):
    """The network in functions of ``torch.nn.functional``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 1, 4, 10))
        self.gamma = nn.Parameter(torch.ones(32))
        self.beta = nn.Parameter(torch.zeros(32))
        self.register_buffer("mean", torch.zeros(32))
        self.register_buffer("var", torch.ones(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(x, self.weight, stride=(2, 8))
        x = F.batch_norm(x, self.mean, self.var, self.gamma, self.beta, self.training, eps=1e-4)
        return F.hardtanh(x, 0, BOUND)


class Methods(Functional):
    """The network in methods and operators; the batch norm is its definition."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.conv2d(x, self.weight, stride=(2, 8))
        gamma, beta = self.gamma.view(1, -1, 1, 1), self.beta.view(1, -1, 1, 1)
        if self.training:
            deviation = x - x.mean((0, 2, 3), keepdim=True)
            variance = (deviation * deviation).mean((0, 2, 3), keepdim=True)
            x = deviation / (variance + 1e-4).sqrt() * gamma + beta
        else:
            root = (self.var + 1e-4).rsqrt().view(1, -1, 1, 1)
            x = (x - self.mean.view(1, -1, 1, 1)) * root * gamma + beta
        return x.clamp(0, BOUND)


@pytest.mark.parametrize("training", [True, False])
def test_same_cost_in_every_form(training: bool) -> None:
    expected = {
        # by hand, N = 8,192 elements, C = 32 channels: square or 1/sigma, gamma; mean, deviation, variance, eps, beta
        True: Cost(
            macs=327_680, mul=2 * 8192, div=8192 + 2 * 32, add=3 * 8192 - 2 * 32 + 32 + 8192, cmp=2 * 8192, special=32
        ),
        False: Cost(macs=327_680, mul=2 * 8192, add=8192 + 32 + 8192, cmp=2 * 8192, special=32),
    }[training]
    for network in (worked_example(), Functional(), Methods()):
        assert count_graph(network.train(training), INPUT).total == expected
