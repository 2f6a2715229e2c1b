"""Packages for science: operators, differential equations, volumes, and processes that are continuous in time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.zoo.packages.examples import floats, image, several
from tests.zoo.packages.model import Model, made

COMPLEX = "a product of complex numbers is one multiply-accumulate there, and four here"


class NeuralODE(nn.Module):
    """An equation whose right side is a network, solved by Runge and Kutta's method in ten steps."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from torchdiffeq import odeint

        solved: torch.Tensor = odeint(lambda _, y: self.rate(y), x, torch.linspace(0, 1, 11), method="rk4")
        return solved


class ControlledEquation(nn.Module):
    """An equation that a path of three values drives, solved in ten steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.rate = nn.Sequential(
            nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8 * 3), nn.Tanh(), nn.Unflatten(-1, (8, 3))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        import torchcde

        path = torchcde.CubicSpline(torchcde.hermite_cubic_coefficients_with_backward_differences(x))
        solved: torch.Tensor = torchcde.cdeint(
            X=path,
            func=lambda _, z: self.rate(z),
            z0=self.first(path.evaluate(path.interval[0])),
            t=path.interval,
            adjoint=False,
            method="rk4",
            options={"step_size": 1.0},
        )
        return solved


class StochasticEquation(nn.Module):
    """An equation with a drift and a diffusion, solved by Euler's and Maruyama's method in ten steps."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self) -> None:
        super().__init__()
        self.drift = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 3))
        self.diffusion = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())

    def f(self, t: torch.Tensor, y: torch.Tensor) -> Any:
        return self.drift(y)

    def g(self, t: torch.Tensor, y: torch.Tensor) -> Any:
        return self.diffusion(y)

    def forward(self, x: torch.Tensor) -> Any:
        import torchsde

        return torchsde.sdeint(self, x, torch.linspace(0, 1, 3), dt=0.1, method="euler")


class SpikingNetwork(nn.Module):
    """Convolutions and leaky neurons, over a few steps of time."""

    def __init__(self) -> None:
        import snntorch

        super().__init__()
        self.conv = nn.Conv2d(1, 12, 5)
        self.first = snntorch.Leaky(beta=0.9)
        self.linear = nn.Linear(12 * 12 * 12, 10)
        self.second = snntorch.Leaky(beta=0.9)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        first, second = self.first.reset_mem(), self.second.reset_mem()
        spikes = []
        for frame in frames.unbind(1):
            seen, first = self.first(torch.max_pool2d(self.conv(frame), 2), first)
            spike, second = self.second(self.linear(seen.flatten(1)), second)
            spikes.append(spike)
        return torch.stack(spikes)


class Mean(nn.Module):
    """The mean that a model, such as a process, predicts."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = self.model(x).mean
        return mean


def exact_gaussian_process() -> nn.Module:
    import gpytorch

    class ExactGP(gpytorch.models.ExactGP):
        def __init__(self) -> None:
            super().__init__(torch.rand(64, 3), torch.rand(64), gpytorch.likelihoods.GaussianLikelihood())
            self.mean = gpytorch.means.ConstantMean()
            self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, x: torch.Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))

    return Mean(ExactGP())


def variational_gaussian_process() -> nn.Module:
    import gpytorch

    class ApproximateGP(gpytorch.models.ApproximateGP):
        def __init__(self) -> None:
            points = torch.rand(32, 3)
            posterior = gpytorch.variational.CholeskyVariationalDistribution(len(points))
            super().__init__(gpytorch.variational.VariationalStrategy(self, points, posterior))
            self.mean = gpytorch.means.ConstantMean()
            self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel())

        def forward(self, x: torch.Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))

    return Mean(ApproximateGP())


class Posterior(nn.Module):
    """The mean and the variance after the values that a process has seen."""

    def __init__(self) -> None:
        from botorch.models import SingleTaskGP

        super().__init__()
        self.process = SingleTaskGP(torch.rand(64, 3, dtype=torch.float64), torch.rand(64, 1, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        posterior = self.process.posterior(x.double())
        return posterior.mean, posterior.variance


PACKAGES = {
    "neuraloperator": [
        Model(
            made("neuralop.models:FNO", n_modes=(16, 16), in_channels=3, out_channels=1, hidden_channels=32),
            image(64),
            otherwise={"aten.bmm": COMPLEX},
        ),
        Model(
            made("neuralop.models:TFNO", n_modes=(16, 16), in_channels=3, out_channels=1, hidden_channels=32, rank=0.1),
            image(64),
            otherwise={"aten.mm": COMPLEX, "aten.bmm": COMPLEX},
        ),
        Model(
            made(
                "neuralop.models:UNO",
                3,
                1,
                hidden_channels=32,
                uno_out_channels=[32, 32, 32],
                uno_n_modes=[[8, 8], [8, 8], [8, 8]],
                uno_scalings=[[1.0, 1.0], [0.5, 0.5], [2.0, 2.0]],
                n_layers=3,
                channel_mlp_skip="linear",
            ),
            image(64),
            otherwise={"aten.bmm": COMPLEX},
        ),
    ],
    "torchcde": [Model(ControlledEquation, floats(4, 10, 3))],
    "torchsde": [Model(StochasticEquation, floats(4, 3), executes=False)],
    "torchdiffeq": [Model(NeuralODE, floats(16, 8))],
    "ncps": [
        Model(made("ncps.torch:CfC", 8, 32), floats(1, 16, 8)),
        Model(made("ncps.torch:LTC", 8, 32), floats(1, 16, 8)),
    ],
    "monai": [
        Model(
            made(
                "monai.networks.nets:UNet",
                spatial_dims=3,
                in_channels=1,
                out_channels=2,
                channels=(16, 32, 64),
                strides=(2, 2),
                num_res_units=2,
            ),
            floats(1, 1, 32, 32, 32),
        ),
        Model(
            made("monai.networks.nets:SwinUNETR", in_channels=1, out_channels=2, feature_size=12, spatial_dims=2),
            image(64, 1),
        ),
        Model(made("monai.networks.nets:SegResNet"), floats(1, 1, 32, 32, 32)),
        Model(
            made(
                "monai.networks.nets:DiffusionModelUNet",
                spatial_dims=2,
                in_channels=1,
                out_channels=1,
                num_res_blocks=1,
                channels=(32, 64),
                attention_levels=(False, True),
                num_head_channels=16,
            ),
            several(image(32, 1), lambda: torch.tensor([10])),
        ),
    ],
    "pytorch-tcn": [Model(made("pytorch_tcn:TCN", 8, [32, 32, 32]), floats(1, 8, 128))],
    "snntorch": [Model(SpikingNetwork, floats(1, 8, 1, 28, 28))],
    "gpytorch": [
        Model(exact_gaussian_process, floats(16, 3)),
        Model(variational_gaussian_process, floats(16, 3), executes=False),
    ],
    "botorch": [Model(Posterior, floats(16, 3))],
    "iTransformer": [
        Model(
            made(
                "iTransformer:iTransformer",
                num_variates=16,
                lookback_len=96,
                dim=64,
                depth=2,
                heads=4,
                dim_head=16,
                pred_length=(12, 24),
                use_reversible_instance_norm=True,
            ),
            floats(1, 96, 16),
        )
    ],
    "torchbnn": [Model(made("torchbnn:BayesLinear", 0, 0.1, 16, 8), floats(4, 16), executes=False)],
}
