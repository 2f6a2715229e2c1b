"""Tensors to give to operators that compute every element on its own."""

from functools import partial

import torch
from torch import Tensor

meta = partial(torch.empty, device="meta")

OPERANDS: dict[str, Tensor] = {
    "three axes": meta(2, 3, 5),
    "scalar": meta(()),
    "empty": meta(3, 0, 5),
    "axes of one": meta(1, 7, 1),
    "transposed": meta(5, 3, 2).transpose(0, 2),
    "strided": meta(4, 6)[::2, 1::2],
    "expanded": meta(3, 1).expand(3, 5),
    "half": meta(3, 5, dtype=torch.float16),
    "bfloat16": meta(3, 5, dtype=torch.bfloat16),
}
