"""`CountedCall`: which call of which model a count is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CountedCall:
    """What was counted, beside the shapes of the inputs, which the nodes know."""

    model: str
    """The class of the model, or the name of a function."""
    mode: str
    """``eval``, ``train``, ``train and eval`` where modules differ, or empty where there are no modules."""
    dtypes: Mapping[str, str] = field(default_factory=dict)
    """The tensors among the inputs, by the names of their nodes, and their dtypes."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Those of fxcount and torch."""
    mesh: str = ""
    """Of a model on several ranks, of which one is counted: the axes over which it is split, such as ``tp=8``."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Of such a model: the parameters of which each rank has a part, by name, and how they are split, such as
    ``of [256, 64], axis 0 over tp``. The others are whole on every rank."""
    is_default: bool = False
    """Whether the input was chosen for the model, not given."""
