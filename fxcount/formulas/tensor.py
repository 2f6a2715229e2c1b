"""`Tensor`: what a formula may ask of an argument or a result of a call: its sizes and its dtype, never its values."""

from collections.abc import Sequence
from typing import Protocol

import torch

from fxcount.cost import Size


class Tensor(Protocol):
    """A tensor, with data or without; a `torch.Tensor` is one."""

    @property
    def shape(self) -> Sequence[Size]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def dim(self) -> int:
        """How many axes it has."""

    def numel(self) -> Size:
        """How many elements it has."""
