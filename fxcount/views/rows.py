"""The rows of every view, with column names that stay the same: of nodes, of modules and of operators."""

from collections.abc import Mapping
from typing import Any

from fxcount.cost import Cost, Traffic
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph, OperatorTotal
from fxcount.result.counts import BACKWARD_COUNTS, COUNTS, Counts
from fxcount.result.module_cost import ModuleCost
from fxcount.result.node_cost import NodeCost

Row = Mapping[str, Any]
"""Column name to a text, an exact integer or a tuple of shapes."""

UNUSED = "(not used)"
"""The row of the parameters that no node uses."""


def node_rows(cost: CostedGraph) -> list[Row]:
    """A row per node, in the order of the graph, and one for parameters that no node uses: they add up to the total."""
    rows = [_node_row(node) for node in cost.nodes]
    if cost.unused_params:
        trainable = cost.trainable - sum(node.trainable for node in cost.nodes)
        unused = Counts(
            cost.unused_params,
            trainable,
            backward=Cost() if cost.has_backward else None,
            backward_traffic=Traffic() if cost.has_backward else None,
        )
        rows.append({"name": UNUSED, **unused.numbers(cost.convention)})
    return rows


def module_rows(cost: CostedGraph) -> list[Row]:
    """A row per module, all that it contains included; the columns ``own_...`` add up to the total."""
    return [_module_row(module) for module in cost.by_module().values()]


def operator_rows(cost: CostedGraph) -> list[Row]:
    """A row per operator, for all its calls together."""
    return [_operator_row(operator) for operator in cost.by_operator().values()]


ROWS = {"node": node_rows, "module": module_rows, "operator": operator_rows}


def rows_by(cost: CostedGraph, by: str) -> list[Row]:
    """The rows of the view called ``by``.

    Raises:
        InputError: there is no such view.
    """
    check_view(by)
    return ROWS[by](cost)


def check_view(by: str) -> None:
    """Refuses what is not the name of a view."""
    if by not in ROWS:
        raise InputError(f"unknown view {by!r}; costs are shown by {', '.join(ROWS)}")


OF_NODES = ("name", "op", "target", "module", "input_shapes", "output_shapes")
OF_MODULES = ("name", "kind", "calls", "nodes")
"""What describes a node or a module besides its counts, in order."""

OF_OPERATORS = ("name", "calls")


def columns(cost: CostedGraph, by: str) -> tuple[str, ...]:
    """The column names of a view, in order."""
    backward = BACKWARD_COUNTS if cost.has_backward else ()
    if by == "node":
        return (*OF_NODES, *COUNTS, *backward)
    if by == "module":
        counts = (*COUNTS, *backward)
        return (*OF_MODULES, *counts, *(f"own_{name}" for name in counts))
    return (*OF_OPERATORS, *COUNTS[2:], *(("backward_calls", *backward) if backward else ()))


def _node_row(node: NodeCost) -> Row:
    described = {name: getattr(node, name) for name in OF_NODES}
    return described | node.counts.numbers(node.convention)


def _module_row(module: ModuleCost) -> Row:
    described = {name: getattr(module, name) for name in OF_MODULES}
    own = module.own_counts.numbers(module.convention).items()
    return described | module.counts.numbers(module.convention) | {f"own_{name}": number for name, number in own}


def _operator_row(operator: OperatorTotal) -> Row:
    described = {"name": operator.name, "calls": operator.calls, "backward_calls": operator.backward_calls}
    return described | operator.counts.numbers(operator.convention)
