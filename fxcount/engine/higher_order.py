"""Higher-order operators, whose arguments are functions: branches, loops and attention with a score function."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import torch

from fxcount._torch import HigherOrderOperator
from fxcount.cost import Cost, Equation, OperatorCost, total_cost
from fxcount.engine.counter import OperatorCounter, higher_order
from fxcount.faults import for_the_model
from fxcount.formulas.arithmetic import tensors
from fxcount.formulas.attention import ATTENTION, attention_quantities

ATTENTION_EQUATION = Equation(ATTENTION)


@higher_order("tag_activation_checkpoint", "wrap")
def inlined(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """A region that is marked, such as a checkpoint, costs what its function does."""
    function, *operands = args
    with counter:
        return for_the_model(function, *operands)


@higher_order("while_loop")
def loop(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``while_loop(cond_fn, body_fn, carried, additional)`` runs as long as its condition says, if that is known."""
    condition, body, carried, additional = args
    with counter:
        while for_the_model(condition, *carried, *additional):
            carried = for_the_model(body, *carried, *additional)
    return tuple(carried)


@higher_order("scan")
def scan(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``scan(combine_fn, init, xs, additional)`` takes one step for each element of the first axis."""
    combine, init, xs, additional = args
    steps = xs[0].shape[0]
    results, calls = counter.measure(partial(combine, *init, *(x[0] for x in xs), *additional))
    counter.calls += [replace(call, cost=steps * call.cost) for call in calls]
    if not _on_shapes(init, xs):
        return for_the_model(operator, *args, **kwargs)
    outputs = [y.new_empty((steps, *y.shape)) for y in results[len(init) :]]
    return [*results[: len(init)], *outputs]


@higher_order("associative_scan")
def associative_scan(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``associative_scan(combine_fn, xs, additional)`` combines each element of the first axis but one with those
    before it, whatever the order in which a kernel does so."""
    combine, xs, additional = args
    _, calls = counter.measure(partial(combine, *(x[0] for x in xs), *(x[0] for x in xs), *additional))
    counter.calls += [replace(call, cost=max(xs[0].shape[0] - 1, 0) * call.cost) for call in calls]
    return [x.new_empty(x.shape) for x in xs] if _on_shapes(xs) else for_the_model(operator, *args, **kwargs)


@higher_order("map_impl")
def mapped(
    counter: OperatorCounter, operator: HigherOrderOperator, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``map(f, xs, additional)`` calls its function once for each element of the first axis."""
    function, xs, additional = args
    count = xs[0].shape[0]
    results, calls = counter.measure(partial(function, *(x[0] for x in xs), *additional))
    counter.calls += [replace(call, cost=count * call.cost) for call in calls]
    if not _on_shapes(xs):
        return for_the_model(operator, *args, **kwargs)
    return tuple(y.new_empty((count, *y.shape)) for y in results)


def _on_shapes(*values: Any) -> bool:
    return any(tensor.is_meta for tensor in tensors(values))


@higher_order("cond")
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


@higher_order("flex_attention")
def attention(
    counter: OperatorCounter,
    operator: HigherOrderOperator,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """``flex_attention``: attention as it is defined, and the score function once per score."""
    query, key, value, score_mod, block_mask, *_ = args
    scalar = query.new_zeros(1)
    index = query.new_zeros(1, dtype=torch.int)
    buffers = args[7] if len(args) > 7 else kwargs.get("score_mod_other_buffers", ())
    _, modified = counter.measure(partial(score_mod, scalar, index, index, index, index, *buffers))
    unmasked = block_mask[-1].__name__ == "noop_mask"
    quantities = attention_quantities(
        prod(query.shape[:-1]), key.shape[-2], query.shape[-1], value.shape[-1], mask=None, causal=not unmasked
    )
    cost = ATTENTION_EQUATION.cost(quantities)
    counter.calls.append(OperatorCost("higher_order.flex_attention", cost, ATTENTION_EQUATION.text, quantities))
    counter.calls += [OperatorCost(call.name, call.cost * quantities["scores"]) for call in modified]
    if not query.is_meta:
        return for_the_model(operator, *args, **kwargs)
    rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
    return query.new_empty((*query.shape[:-1], value.shape[-1])), rows, torch.empty_like(rows)
