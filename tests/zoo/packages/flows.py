"""Packages of normalizing flows: what is counted is the density of given values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.zoo.packages.examples import floats
from tests.zoo.packages.model import Model


class Density(nn.Module):
    """The log of the density of what it is given, under a flow."""

    def __init__(self, flow: Any) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        density: torch.Tensor = (self.flow if hasattr(self.flow, "log_prob") else self.flow()).log_prob(x)
        return density


def masked_autoregressive_flow() -> nn.Module:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, ReversePermutation

    steps = [each for _ in range(3) for each in (ReversePermutation(8), MaskedAffineAutoregressiveTransform(8, 32))]
    return Density(Flow(CompositeTransform(steps), StandardNormal([8])))


def real_nvp() -> nn.Module:
    import normflows

    base = normflows.distributions.base.DiagGaussian(8)
    steps = [
        each
        for _ in range(4)
        for each in (
            normflows.flows.AffineCouplingBlock(normflows.nets.MLP([4, 32, 8])),
            normflows.flows.Permute(8, mode="swap"),
        )
    ]
    return Density(normflows.NormalizingFlow(base, steps))


def autoregressive_splines() -> nn.Module:
    import normflows

    base = normflows.distributions.base.DiagGaussian(8)
    return Density(
        normflows.NormalizingFlow(
            base, [normflows.flows.AutoregressiveRationalQuadraticSpline(8, 2, 32) for _ in range(2)]
        )
    )


def masked_flow_of_zuko() -> nn.Module:
    import zuko

    return Density(zuko.flows.MAF(features=8, transforms=3, hidden_features=(32, 32)))


def spline_flow_of_zuko() -> nn.Module:
    import zuko

    return Density(zuko.flows.NSF(features=8, transforms=2, hidden_features=(32, 32)))


def continuous_flow_of_zuko() -> nn.Module:
    import zuko

    return Density(zuko.flows.CNF(features=8, hidden_features=(32, 32)))


def coupling_blocks() -> nn.Module:
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import AllInOneBlock

    flow = SequenceINN(8)
    for _ in range(3):
        flow.append(
            AllInOneBlock,
            subnet_constructor=lambda inputs, outputs: nn.Sequential(
                nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs)
            ),
        )
    return flow


VALUES = floats(16, 8)

PACKAGES = {
    "nflows": [Model(masked_autoregressive_flow, VALUES, name="masked autoregressive flow")],
    "normflows": [
        Model(real_nvp, VALUES, name="Real NVP"),
        Model(autoregressive_splines, VALUES, name="autoregressive splines"),
    ],
    "zuko": [
        Model(masked_flow_of_zuko, VALUES, name="MAF"),
        Model(spline_flow_of_zuko, VALUES, name="NSF"),
        Model(continuous_flow_of_zuko, VALUES, name="CNF"),
    ],
    "FrEIA": [Model(coupling_blocks, VALUES, name="coupling blocks")],
}
