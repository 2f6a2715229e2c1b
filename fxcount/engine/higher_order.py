"""Higher-order operators, whose arguments are functions or other operators: branches, loops, marked regions, attention
with a score function."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from math import prod
from typing import Any

import torch

from fxcount.cost import Cost, Equation, OperatorCost, total_cost
from fxcount.engine.counter import HigherOrderCall, OperatorCounter, higher_order
from fxcount.fault_origin import for_the_model
from fxcount.formulas.attention import ATTENTION, attention_quantities
from fxcount.formulas.number_kinds import tensors

ATTENTION_EQUATION = Equation(ATTENTION)


@higher_order("tag_activation_checkpoint", "wrap")
def inlined(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """A region that is marked, such as a checkpoint, costs what its function does."""
    function, *operands = call.args
    with counter:
        return for_the_model(function, *operands)


@higher_order("invoke_subgraph")
def named_region(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``invoke_subgraph(function, name, *operands)``: a region that is compiled once, wherever it is called."""
    function, _, *operands = call.args
    with counter:
        return for_the_model(function, *operands)


@higher_order("strict_mode", "run_const_graph", "hints_wrapper")
def region_of_listed_operands(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``strict_mode(function, operands)`` and those like it."""
    function, operands, *_ = call.args
    with counter:
        return for_the_model(function, *operands)


@higher_order("out_dtype")
def of_other_dtype(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``out_dtype(operator, dtype, *operands)`` promotes the operands with the dtype, runs the operator and casts
    its result."""
    operator, dtype, *operands = call.args
    promoted = reduce(torch.promote_types, (tensor.dtype for tensor in tensors(operands)), dtype)
    with counter:
        cast = [x.to(promoted) if isinstance(x, torch.Tensor) else x for x in operands]
        return for_the_model(operator, *cast).to(dtype)


@higher_order("while_loop")
def loop(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``while_loop(cond_fn, body_fn, carried, additional)`` runs as long as its condition says, if that is known."""
    condition, body, carried, additional = call.args
    with counter:
        while for_the_model(condition, *carried, *additional):
            carried = for_the_model(body, *carried, *additional)
    return tuple(carried)


@higher_order("scan")
def scan(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``scan(combine_fn, init, xs, additional)`` takes one step for each element of the first axis."""
    combine, init, xs, additional = call.args
    results = _times(counter, xs[0].shape[0], combine, *init, *_first_of(xs), *additional)
    if not _on_shapes(init, xs):
        return call.run()
    outputs = [y.new_empty((xs[0].shape[0], *y.shape)) for y in results[len(init) :]]
    return [*results[: len(init)], *outputs]


@higher_order("associative_scan")
def associative_scan(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``associative_scan(combine_fn, xs, additional)`` combines each element of the first axis but one with those
    before it, whatever the order in which a kernel does so."""
    combine, xs, additional = call.args
    _times(counter, max(xs[0].shape[0] - 1, 0), combine, *_first_of(xs), *_first_of(xs), *additional)
    return [x.new_empty(x.shape) for x in xs] if _on_shapes(xs) else call.run()


@higher_order("map_impl")
def mapped(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``map(f, xs, additional)`` calls its function once for each element of the first axis."""
    function, xs, additional = call.args
    results = _times(counter, xs[0].shape[0], function, *_first_of(xs), *additional)
    return tuple(y.new_empty((xs[0].shape[0], *y.shape)) for y in results) if _on_shapes(xs) else call.run()


def _times(counter: OperatorCounter, count: int, function: Callable[..., Any], *operands: Any) -> Any:
    """The result of one call of a function that costs ``count`` times what the call costs."""
    results, calls = counter.measure(partial(function, *operands))
    counter.calls += [replace(call, cost=count * call.cost) for call in calls]
    return results


def _first_of(xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [x[0] for x in xs]


def _on_shapes(*values: Any) -> bool:
    return any(tensor.is_meta for tensor in tensors(values))


@higher_order("cond")
def costlier_branch(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``torch.cond(pred, true_fn, false_fn, operands)`` costs what its costlier branch does, whatever the value."""
    pred, true_fn, false_fn, operands = call.args
    results, costliest = _branches(counter, (true_fn, false_fn), operands)
    counter.calls.append(OperatorCost(f"higher_order.cond (the costlier branch, {str(not costliest).lower()})", Cost()))
    return results[(0 if pred else 1) if _has_value(pred) else costliest]


@higher_order("switch")
def costliest_branch(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``switch(index, branches, operands)`` costs what its costliest branch does, whatever the index."""
    index, branches, operands = call.args
    results, costliest = _branches(counter, branches, operands)
    counter.calls.append(OperatorCost(f"higher_order.switch (the costliest branch, {costliest})", Cost()))
    return results[int(index) if _has_value(index) else costliest]


def _branches(counter: OperatorCounter, branches: Sequence[Callable[..., Any]], operands: Any) -> tuple[list[Any], int]:
    """The results of all branches, and which is the costliest under ``arithmetic``: its calls are noted."""
    results, calls = zip(*(counter.measure(partial(branch, *operands)) for branch in branches), strict=True)
    costs = [total_cost(each.cost for each in noted).under("arithmetic") for noted in calls]
    costliest = costs.index(max(costs))
    counter.calls += calls[costliest]
    return list(results), costliest


def _has_value(choice: Any) -> bool:
    return not isinstance(choice, torch.Tensor) or not choice.is_meta


@higher_order("flex_attention")
def attention(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """``flex_attention``: attention as it is defined, and the score function once per score."""
    query, key, value, score_mod, block_mask, *_ = call.args
    scalar = query.new_zeros(1)
    index = query.new_zeros(1, dtype=torch.int)
    buffers = call.args[7] if len(call.args) > 7 else call.kwargs.get("score_mod_other_buffers", ())
    _, modified = counter.measure(partial(score_mod, scalar, index, index, index, index, *buffers))
    unmasked = block_mask[-1].__name__ == "noop_mask"
    quantities = attention_quantities(
        prod(query.shape[:-1]), key.shape[-2], query.shape[-1], value.shape[-1], mask=None, causal=not unmasked
    )
    cost = ATTENTION_EQUATION.cost(quantities)
    if query.is_meta:
        rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
        out = query.new_empty((*query.shape[:-1], value.shape[-1])), rows, torch.empty_like(rows)
    else:
        out = call.run()
    record = OperatorCost("higher_order.flex_attention", cost, ATTENTION_EQUATION.text, quantities)
    counter.note(record, (query, key, value), out)
    counter.calls += [OperatorCost(each.name, each.cost * quantities["scores"]) for each in modified]
    return out
