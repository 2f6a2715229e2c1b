"""The rows of every view, with column names that stay the same: of nodes, of modules and of operators."""

from collections.abc import Mapping
from typing import Any

from fxcount.cost import FIELDS, Convention, Cost
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph, OperatorTotal
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
        rows.append({"name": UNUSED, **numbers(cost.unused_params, Cost(), cost.convention)})
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


COUNTS = ("params", *FIELDS, "flops")
"""The columns that are exact counts: parameters, the fields of a cost, and FLOPs under the convention."""

OF_NODES = ("name", "op", "target", "module", "input_shapes", "output_shapes")
OF_MODULES = ("name", "kind", "calls", "nodes")
"""What describes a node or a module besides its counts, in order."""

COLUMNS = {
    "node": (*OF_NODES, *COUNTS),
    "module": (*OF_MODULES, *COUNTS, *(f"own_{name}" for name in COUNTS)),
    "operator": ("name", "calls", *FIELDS, "flops"),
}
"""The column names of each view, in order."""


def numbers(params: int, cost: Cost, convention: Convention) -> dict[str, int]:
    """Parameters, the fields of a cost, and FLOPs under the convention."""
    return {"params": params, **cost.to_dict(), "flops": convention.read(cost)}


def _node_row(node: NodeCost) -> Row:
    described = {name: getattr(node, name) for name in OF_NODES}
    return described | numbers(node.params, node.cost, node.convention)


def _module_row(module: ModuleCost) -> Row:
    described = {name: getattr(module, name) for name in OF_MODULES}
    own = numbers(module.own_params, module.own_cost, module.convention).items()
    counts = numbers(module.params, module.cost, module.convention)
    return described | counts | {f"own_{name}": number for name, number in own}


def _operator_row(operator: OperatorTotal) -> Row:
    return {"name": operator.name, "calls": operator.calls, **operator.cost.to_dict(), "flops": operator.flops}
