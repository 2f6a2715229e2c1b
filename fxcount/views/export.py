"""A count as dict, JSON, CSV and data frame, and back from JSON."""

import csv
import importlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn, TypeVar

import torch

from fxcount.cost import FIELDS, Convention, Cost, OperatorCost, OptimizerStep, TensorInfo, Traffic
from fxcount.errors import FxcountError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counted_call import CountedCall
from fxcount.result.counts import BACKWARD_COUNTS, COUNTS
from fxcount.result.module_cost import Submodule
from fxcount.result.moves import Moves
from fxcount.result.node_cost import NodeCost
from fxcount.sizes.conditions import Condition
from fxcount.sizes.example_numbers import several
from fxcount.sizes.expressions import mapped, read
from fxcount.views.head import shapes_text
from fxcount.views.rows import Row, columns, module_rows, node_rows, operator_rows, rows_by

SCHEMA = 2
"""The version of what `to_dict` returns: it grows by one when a key changes its name or its meaning, or a new
one is looked for."""

READ = (1, SCHEMA)
"""The versions that are read; the first lacks ``call``."""

AnyCostedGraph = TypeVar("AnyCostedGraph", bound=CostedGraph)


def to_dict(cost: CostedGraph) -> dict[str, Any]:
    """The count in plain dicts, lists, texts and exact integers: totals, nodes, modules, operators.

    ``schema`` is the version of the keys, which keep their names. The rows are those of `to_csv`; each node also
    has the operators that it reached, with their equations and the quantities put into them. Where sizes are symbols,
    what depends on them is the text of an expression.
    """
    return texts(_as_dict(cost)) if cost.sizes else _as_dict(cost)


def texts(value: Any) -> Any:
    """``value`` with a text for every expression."""
    import sympy

    return mapped(value, sympy.Basic, str)


def _as_dict(cost: CostedGraph) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "call": None if cost.call is None else asdict(cost.call),
        "tracer": cost.tracer,
        "gave_up": dict(cost.gave_up),
        "convention": {"name": cost.convention.name, "weights": dict(cost.convention.weights)},
        "total": cost.counts.numbers(cost.convention),
        "unused_params": cost.unused_params,
        "uncounted": cost.uncounted,
        "parameters": {name: list(shape) for name, shape in cost.parameters.items()},
        "shared": dict(cost.shared),
        "unregistered": list(cost.unregistered),
        "frozen": list(cost.frozen),
        "has_backward": cost.has_backward,
        "optimizer": None if cost.optimizer is None else _step(cost.optimizer),
        "packed": dict(cost.packed),
        "sizes": dict(cost.sizes),
        "conditions": [
            {"relation": each.relation, "place": each.place, "is_exception": each.is_exception}
            for each in cost.conditions
        ],
        "nodes": [
            _plain(row)
            | {"called_as": node.called_as, "inputs": list(node.inputs), "parameters": list(node.parameters)}
            | {"operators": list(map(_operator, node.operators))}
            | ({"backward_operators": list(map(_operator, node.backward_operators or ()))} if cost.has_backward else {})
            for row, node in zip(node_rows(cost), cost.nodes, strict=False)  # after the nodes come unused parameters
        ],
        "modules": list(map(_plain, module_rows(cost))),
        "operators": list(map(_plain, operator_rows(cost))),
    }


def _plain(row: Row) -> dict[str, Any]:
    """A row whose shapes are lists, as JSON has them."""
    return {name: list(map(list, value)) if isinstance(value, tuple) else value for name, value in row.items()}


def _operator(operator: OperatorCost) -> dict[str, Any]:
    return {
        "name": operator.name,
        **operator.cost.to_dict(),
        "equation": operator.equation,
        "quantities": dict(operator.quantities),
        "uncounted": operator.uncounted,
        "phase": operator.phase,
        "written": list(operator.written),
        "unread": list(operator.unread),
        **({"sent": operator.sent, "group": operator.group} if operator.sent else {}),
        "inputs": list(map(_tensor, operator.inputs)),
        "outputs": list(map(_tensor, operator.outputs)),
    }


def _step(step: OptimizerStep) -> dict[str, Any]:
    operators = [
        {"name": name, "calls": calls, **step.costs[name].to_dict(), "uncounted": step.uncounted.get(name, 0)}
        for name, calls in step.calls.items()
    ]
    moved = {"read": step.traffic.read, "written": step.traffic.written}
    dtypes = [str(dtype).removeprefix("torch.") for dtype in step.dtypes]
    sent = {"collectives": [*map(_operator, step.collectives)]} if step.collectives else {}
    return {"name": step.optimizer, **step.cost.to_dict(), **moved, "dtypes": dtypes, "operators": operators, **sent}


def _tensor(tensor: TensorInfo) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    form = {"shape": [*tensor.shape], "dtype": dtype, "stride": [*tensor.stride]}
    stored = {} if tensor.stored is None else {"stored": tensor.stored}
    return {**form, "storage": tensor.storage, "offset": tensor.offset, **stored}


def to_json(cost: CostedGraph, indent: int | None = None) -> str:
    """`to_dict` as JSON; `from_json` reads it."""
    return json.dumps(to_dict(cost), indent=indent)


def from_json(kind: type[AnyCostedGraph], text: str) -> AnyCostedGraph:
    """What `GraphCost.from_json` describes."""
    try:
        saved = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise FxcountError(f"not the JSON of a count: {error}") from error
    schema = saved.get("schema") if isinstance(saved, Mapping) else None
    if schema not in READ:
        raise FxcountError(f"the JSON of a count has schema {' or '.join(map(str, READ))}; this one has {schema!r}")
    if saved.get("sizes"):
        saved = with_expressions(saved)
    convention = Convention(saved["convention"]["name"], saved["convention"]["weights"])
    example = several(saved.get("sizes", {}))
    traffic_of = partial(Traffic.in_sizes, example=example) if example else Traffic.of
    moves = Moves(
        None, traffic_of, *({row["name"]: _traffic(row) for row in saved[each]} for each in ("nodes", "operators"))
    )
    return kind(
        nodes=tuple(_node(row, convention, moves) for row in saved["nodes"]),
        parameters={name: tuple(shape) for name, shape in saved["parameters"].items()},
        shared=saved["shared"],
        modules={row["name"]: Submodule(row["kind"], row["calls"]) for row in saved["modules"]},
        tracer=saved["tracer"],
        convention=convention,
        make_graph=_no_graph,
        make_storages=_no_graph,
        moves=moves,
        call=CountedCall(**saved["call"]) if saved.get("call") else None,
        gave_up=saved.get("gave_up", {}),  # which files of earlier versions lack, and what follows
        unregistered=tuple(saved.get("unregistered", ())),
        packed=saved.get("packed", {}),
        frozen=tuple(saved.get("frozen", ())),
        has_backward=saved.get("has_backward", False),
        optimizer=_optimizer_step(saved.get("optimizer")),
        sizes=saved.get("sizes", {}),
        conditions=tuple(Condition(**each) for each in saved.get("conditions", ())),
    )


NUMBERS = frozenset(
    {
        *COUNTS,
        *BACKWARD_COUNTS,
        *(f"own_{name}" for name in (*COUNTS, *BACKWARD_COUNTS)),
        "relation",
        "offset",
        "stored",
    }
)
"""The keys of what may be an expression."""

LISTS_OF_NUMBERS = frozenset({"input_shapes", "output_shapes", "shape", "stride", "quantities"})


def with_expressions(saved: Any) -> Any:
    """What was read from JSON, with expressions in the place of their texts."""
    if isinstance(saved, list):
        return [with_expressions(each) for each in saved]
    if not isinstance(saved, dict):
        return saved
    return {
        name: _read_all(value)
        if name in LISTS_OF_NUMBERS or (name in NUMBERS and isinstance(value, str))
        else with_expressions(value)
        for name, value in saved.items()
    }


def _read_all(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_read_all, value)]
    if isinstance(value, dict):
        return {name: _read_all(each) for name, each in value.items()}
    return read(value) if isinstance(value, str) else value


def _no_graph(read: object = None) -> NoReturn:
    raise FxcountError("a count that was restored from JSON has no graph; count the model again to get it")


def _traffic(row: Mapping[str, Any]) -> Traffic:
    return Traffic(row.get("read", 0), row.get("written", 0))


def _node(row: Mapping[str, Any], convention: Convention, moves: Moves) -> NodeCost:
    name, op, target, module = (row[each] for each in ("name", "op", "target", "module"))
    inputs, outputs = (tuple(map(tuple, row[each])) for each in ("input_shapes", "output_shapes"))
    params, names, operators = row["params"], tuple(row["parameters"]), tuple(map(_record, row["operators"]))
    cost, called_as, sources = _cost(row), row.get("called_as", ""), tuple(row.get("inputs", ()))
    known = (name, op, target, module, inputs, outputs, params, names, operators, cost, convention)
    backward = tuple(map(_record, row["backward_operators"])) if "backward_operators" in row else None
    return NodeCost(*known, called_as, sources, row.get("trainable", params), backward, moves)


def _optimizer_step(saved: Mapping[str, Any] | None) -> OptimizerStep | None:
    if saved is None:
        return None
    rows = {row["name"]: row for row in saved["operators"]}
    calls, uncounted = ({name: row[each] for name, row in rows.items()} for each in ("calls", "uncounted"))
    costs = {name: _cost(row) for name, row in rows.items()}
    uncounted = {name: times for name, times in uncounted.items() if times}
    dtypes = tuple(getattr(torch, name) for name in saved.get("dtypes", ()))
    collectives = tuple(map(_record, saved.get("collectives", ())))
    return OptimizerStep(saved["name"], calls, costs, uncounted, _traffic(saved), dtypes, collectives)


def _record(row: Mapping[str, Any]) -> OperatorCost:
    inputs, outputs = (tuple(map(_tensor_info, row.get(each, ()))) for each in ("inputs", "outputs"))
    known = (row["name"], _cost(row), row["equation"], row["quantities"], row["uncounted"])
    written, unread = (tuple(row.get(each, ())) for each in ("written", "unread"))
    phase, sent, group = row.get("phase", "forward"), row.get("sent", 0), row.get("group", "")
    return OperatorCost(*known, inputs, outputs, phase, written, unread, sent, group)


def _tensor_info(row: Mapping[str, Any]) -> TensorInfo:
    form = (tuple(row["shape"]), getattr(torch, row["dtype"]), tuple(row["stride"]))
    return TensorInfo(*form, row["storage"], row.get("offset", 0), row.get("stored"))


def _cost(row: Mapping[str, Any]) -> Cost:
    return Cost(**{field: row[field] for field in FIELDS})


def _records(cost: CostedGraph, by: str) -> list[dict[str, Any]]:
    """The rows of a view with all of its columns, and the convention of its FLOPs."""
    rows = rows_by(cost, by)
    convention = cost.convention.meaning if cost.convention.name == "custom" else cost.convention.name
    return [{name: row.get(name, "") for name in columns(cost, by)} | {"convention": convention} for row in rows]


def to_csv(cost: CostedGraph, by: str = "node") -> str:
    """The rows by ``node``, ``module`` or ``operator`` as CSV, with a header.

    The counts of nodes and of operators add up to the total, and so do the columns ``own_...`` of modules, whose
    other counts include all that a module contains. ``convention`` says how ``flops`` is read.

    Raises:
        InputError: there is no such view.
    """
    records = texts(_records(cost, by)) if cost.sizes else _records(cost, by)
    text = io.StringIO()
    writer = csv.DictWriter(text, (*columns(cost, by), "convention"), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({k: shapes_text(value) if isinstance(value, tuple) else value for k, value in record.items()})
    return text.getvalue()


def to_dataframe(cost: CostedGraph, by: str = "node") -> Any:
    """The rows of `to_csv` as a ``pandas.DataFrame``; shapes are tuples.

    Raises:
        FxcountError: pandas is not installed.
        InputError: there is no such view.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise FxcountError("to_dataframe needs pandas: pip install pandas") from error
    return pandas.DataFrame(_records(cost, by), columns=[*columns(cost, by), "convention"])
