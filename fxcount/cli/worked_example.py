"""The network that the tutorial works out by hand."""

import torch
from torch import nn


def worked_example() -> nn.Sequential:
    """A convolution, a batch norm and a Hardtanh: 344,064 multiplications and 1,344 parameters on [1, 1, 130, 40]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=[4, 10], stride=[2, 8], padding=[0, 0], bias=False),  # type: ignore[arg-type]
        nn.BatchNorm2d(32, eps=1e-4),
        nn.Hardtanh(0, 4 * 127 / 128, inplace=True),
    )


def worked_example_input() -> torch.Tensor:
    """The example input, [1, 1, 130, 40]; on the meta device, for only its shape matters."""
    return torch.empty(1, 1, 130, 40, device="meta")
