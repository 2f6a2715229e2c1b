"""Higher-order operators, whose arguments are functions: branches, loops and attention with a score function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator

from fxcount.cost import Cost, OperatorCost, total_cost
from fxcount.formulas.attention import ATTENTION, attention_quantities
from fxcount.formulas.equation import Equation

if TYPE_CHECKING:
    from fxcount.dispatch import OperatorCounter

ATTENTION_EQUATION = Equation(ATTENTION)


def run_higher_order(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Runs a higher-order operator so that what its functions do is counted."""
    return RULES.get(operator.name(), as_written)(counter, operator, args, kwargs)


def as_written(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Step by step, as eager PyTorch runs it: a scan takes as many steps as there are elements, a while loop asks."""
    # The kernel is not public; `test_higher_order.py` runs every operator that has a rule or falls to this one.
    kernel = operator.py_kernels.get(DispatchKey.CompositeExplicitAutograd)
    if kernel is None:
        name = f"higher_order.{operator.name()}"
        counter.calls.append(OperatorCost(name, Cost(), uncounted="it has no definition in terms of other operators"))
        return operator(*args, **kwargs)
    with counter:
        return kernel(*args, **kwargs)


def costlier_branch(
    counter: OperatorCounter,
    operator: HigherOrderOperator,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """``torch.cond(pred, true_fn, false_fn, operands)`` costs what its costlier branch does, whatever the value."""
    pred, true_fn, false_fn, operands = args
    branches = [counter.measure(partial(branch, *operands)) for branch in (true_fn, false_fn)]
    costs = [total_cost(call.cost for call in calls).under("arithmetic") for _, calls in branches]
    costlier = costs.index(max(costs))
    counter.calls += branches[costlier][1]
    counter.calls.append(OperatorCost(f"higher_order.cond (the costlier branch, {str(not costlier).lower()})", Cost()))
    has_value = not isinstance(pred, torch.Tensor) or not pred.is_meta
    return branches[0 if pred else 1][0] if has_value else branches[costlier][0]


def attention(
    counter: OperatorCounter,
    operator: HigherOrderOperator,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """``flex_attention``: attention as it is defined, and the score function once per score."""
    query, key, value, score_mod, block_mask, *_ = args
    scalar = query.new_empty((), device="meta")
    index = scalar.new_empty((), dtype=torch.int)
    buffers = args[7] if len(args) > 7 else kwargs.get("score_mod_other_buffers", ())
    _, modified = counter.measure(partial(score_mod, scalar, index, index, index, index, *buffers))
    unmasked = block_mask[-1].__name__ in ("noop_mask", "_identity", "_no_mask")
    quantities = attention_quantities(
        prod(query.shape[:-1]), key.shape[-2], query.shape[-1], value.shape[-1], mask=None, causal=not unmasked
    )
    cost = ATTENTION_EQUATION.cost(quantities)
    counter.calls.append(OperatorCost("higher_order.flex_attention", cost, ATTENTION_EQUATION.text, quantities))
    counter.calls += [OperatorCost(call.name, call.cost * quantities["scores"]) for call in modified]
    if not query.is_meta:
        return operator(*args, **kwargs)
    rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
    return query.new_empty((*query.shape[:-1], value.shape[-1])), rows, torch.empty_like(rows)


RULES: dict[str, Callable[..., Any]] = {"cond": costlier_branch, "flex_attention": attention}
