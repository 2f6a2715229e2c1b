"""`OptimizerStep`: what one step of an optimizer costs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import torch

from fxcount.cost.operator_cost import OperatorCost
from fxcount.cost.traffic import Traffic
from fxcount.cost.vector import Cost, total_cost


@dataclass(frozen=True)
class OptimizerStep:
    """One step, when the optimizer has taken its first ones, which do less or more in some optimizers."""

    optimizer: str
    """The class of the optimizer."""
    calls: Mapping[str, int]
    """Every operator that ran, but those that count steps, to the number of its calls."""
    costs: Mapping[str, Cost]
    """Every such operator to what its calls cost together."""
    uncounted: Mapping[str, int]
    """Those that are not counted, to the number of their calls."""
    traffic: Traffic = field(default_factory=Traffic)
    """The bytes that any implementation reads and writes: each parameter, gradient and tensor of the state once, and
    each parameter and tensor of the state once more, when it is written."""
    dtypes: tuple[torch.dtype, ...] = ()
    """Those of the parameters."""
    collectives: tuple[OperatorCost, ...] = ()
    """The calls that send to other ranks, as where a gradient is not summed over them yet."""

    @classmethod
    def of(
        cls,
        optimizer: str,
        operators: Iterable[OperatorCost],
        traffic: Traffic | None = None,
        dtypes: Iterable[torch.dtype] = (),
    ) -> Self:
        """The step in which these operators ran, on parameters of these dtypes."""
        calls: Counter[str] = Counter()
        uncounted: Counter[str] = Counter()
        collectives: list[OperatorCost] = []
        costs: defaultdict[str, Cost] = defaultdict(Cost)
        for operator in operators:
            calls[operator.name] += 1
            costs[operator.name] += operator.cost
            if operator.uncounted:
                uncounted[operator.name] += 1
            if operator.group:
                collectives.append(operator)
        kinds = (traffic or Traffic(), tuple(dtypes), tuple(collectives))
        return cls(optimizer, dict(calls), dict(costs), dict(uncounted), *kinds)

    @property
    def cost(self) -> Cost:
        """The cost of the step."""
        return total_cost(self.costs.values())
