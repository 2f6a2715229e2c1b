"""Rows that are sent to where they are wanted, such as tokens to experts: of a rank that has some of the experts, how
many it gets is a matter of values."""

from collections.abc import Iterable
from typing import Any

import torch

from fxcount._torch import storage_identity
from fxcount.engine.sharding import is_split, part_of
from fxcount.errors import RANKS_DIFFER, ROUTED, TracingError
from fxcount.formulas.number_kinds import tensors

PRODUCTS_OF_GROUPS = frozenset({"aten._grouped_mm", "aten._scaled_grouped_mm", "aten._scaled_grouped_mm_v2"})


def some_of_several(held: Iterable[torch.Tensor]) -> set[int]:
    """The storages in which this rank has some of what lies along the first axis of a tensor, such as experts."""
    split = ((tensor, part_of(tensor)) for tensor in held if is_split(tensor))
    return {storage_identity(part)[0] for tensor, part in split if part.shape[:1] != tensor.shape[:1]}


def refuse_routed(operator: str, given: Iterable[Any], some: set[int]) -> None:
    """
    Raises:
        TracingError: it multiplies rows with some of several matrices, and those rows alone that are meant for them.
    """
    if operator in PRODUCTS_OF_GROUPS and any(
        tensor.dim() == 3 and storage_identity(tensor)[0] in some for tensor in tensors(given)
    ):
        raise TracingError(f"{ROUTED}: this rank has some of the matrices of {operator}; {RANKS_DIFFER}")
