"""Why a node or a module costs what it costs: its shapes, its equations with the numbers put in, its parameters."""

import difflib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

from fxcount.cost import CONVENTIONS, Convention, Cost, OperatorCost
from fxcount.cost.equation import FUNCTIONS, Equation
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts, intensity
from fxcount.result.node_cost import NodeCost, Shape
from fxcount.views.calls import amounts_text, costs, equal_calls, reason_of, stated_by, unit_of, why_not_as_stated
from fxcount.views.head import head, shapes_text
from fxcount.views.in_example import in_example
from fxcount.views.shown_text import ShownText
from fxcount.views.table import branch_rows, rendered, shown_columns
from fxcount.views.terminal import terminal_width
from fxcount.views.tree import module_tree
from fxcount.views.units import plural, size_text

WIDTH = 100
"""The lines of an explanation are filled to this many characters."""

AT_MOST = 20
"""How many kinds of calls, or parameters, an explanation of a module works out."""


@in_example
def explain(cost: CostedGraph, name: str) -> str:
    """Why a node or a module costs what it costs, worked out in words and numbers.

    Input and output shapes, the equation of every operator with the numbers put in, the parameters, and what each
    convention reads off the cost; for a module also what lies inside it. ``name`` is that of a node or the path of
    a module, "" for the model itself; where it is both, both are explained.

    Raises:
        InputError: there is no such node or module; the message names close ones.
    """
    width = min(terminal_width() or WIDTH, WIDTH)
    nodes = [node for node in cost.nodes if node.name == name]
    calls = [node for node in cost.nodes if node.op == "call_module" and node.owner == name]
    one_node = len(calls) == 1 and nodes in ([], calls)
    parts = [_explain_node(cost, node, width) for node in (calls if one_node else nodes)]
    if name in cost.modules and not one_node:
        parts.append(_explain_module(cost, name, width))
    if not parts:
        raise InputError(_unknown(cost, name))
    above = ["\n".join(textwrap.wrap(line, width)) for line in head(cost)]
    return ShownText("\n\n".join((*above, *("\n".join(lines) for lines in parts))))


def _unknown(cost: CostedGraph, name: str) -> str:
    known = dict.fromkeys((*(node.name for node in cost.nodes), *filter(None, cost.modules)))
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "cost.nodes and cost.modules hold the names"
    return f"no node or module is called {name!r}; {hint}"


def _explain_node(cost: CostedGraph, node: NodeCost, width: int) -> Iterator[str]:
    yield f"{node.name}: {_what(cost, node)}"
    yield from _indented(f"input: {_sizes(node.input_shapes)}", width)
    yield from _indented(f"output: {_sizes(node.output_shapes)}", width)
    yield from _operators(node.operators, width)
    yield from _gradients(node.backward_operators, width)
    yield from _parameters(cost, node.parameters, node.params, width)
    yield from _readings(node.cost, cost.convention, width)
    yield from _backward_readings(node.backward, cost.convention, width)
    yield from _moved(node.counts, width)


def _what(cost: CostedGraph, node: NodeCost) -> str:
    if node.op != "call_module":
        return f"{node.op} {node.target}, in {node.module or 'the model itself'}"
    module = cost.modules[node.owner]
    first = f", which is {node.target}" if node.called_as else ""
    times = f", one of {module.calls:,} calls" if module.calls > 1 else ""
    return f"module {node.owner}{first}, {module.kind}{times}"


def _explain_module(cost: CostedGraph, name: str, width: int) -> Iterator[str]:
    module = cost.by_module()[name]
    nodes = [node for node in cost.nodes if node.owner == name or node.owner.startswith(f"{name}." if name else "")]
    own = [node for node in nodes if node.owner == name]
    kind = f"{module.kind}, " if module.kind else ""
    size = f"{plural(module.calls, 'call')}, {plural(module.nodes, 'node')}"
    yield f"{name or 'the model'}: {kind}{size}"
    if nodes:
        inputs = cost.nodes if name == "" else nodes[:1]
        shapes = [shape for node in inputs if node.op == "placeholder" for shape in node.output_shapes]
        given = next((node.input_shapes for node in nodes if node.input_shapes), ())
        yield from _indented(f"input: {_sizes(shapes or given)}", width)
        yield from _indented(f"output: {_sizes(nodes[-1].output_shapes)}", width)
    yield ""
    rows = branch_rows(cost, module_tree(cost, name), depth=1)
    yield rendered(rows, "module", shown_columns(cost, "module"), cost.flops, [], width=width)
    yield from _operators((call for node in own for call in node.operators if costs(call)), width)
    yield from _gradients([call for node in own for call in node.backward_operators or ()], width)
    held = [parameter for parameter in cost.parameters if parameter.rpartition(".")[0] == name]
    held += [parameter for parameter in cost.shared if parameter.rpartition(".")[0] == name]
    yield from _parameters(cost, held, module.own_params, width)
    yield from _readings(module.cost, cost.convention, width)
    yield from _backward_readings(module.backward, cost.convention, width)
    yield from _moved(module.counts, width)


def _moved(counts: Counts, width: int) -> Iterator[str]:
    """The bytes that are read and written, and how many operations there are for each."""
    for name, moved in (("moved", counts.traffic), ("moved in the backward pass", counts.backward_traffic)):
        if moved is None or not moved.total:
            continue
        ratio = intensity(counts) if moved is counts.traffic else None
        each = "" if ratio is None else f", {ratio:,.2f} floating-point operations for each byte"
        sizes = f"{moved.read:,} bytes read, {moved.written:,} written ({size_text(moved.total)}){each}"
        yield from _indented(f"{name}: {sizes}", width)


def _gradients(calls: Iterable[OperatorCost] | None, width: int) -> Iterator[str]:
    """What the backward pass runs, as far as it costs anything, each call worked out."""
    counted = [call for call in calls or () if costs(call)]
    if counted:
        yield from ("", "in the backward pass")
        yield from _operators(counted, width)


def _backward_readings(cost: Cost | None, convention: Convention, width: int) -> Iterator[str]:
    if cost is not None:
        yield from _readings(cost, convention, width, "backward FLOPs")


def _sizes(shapes: Iterable[Shape]) -> str:
    """Shapes, each with the number of its elements."""
    return ", ".join(f"{shapes_text([shape])} = {prod(shape):,} elements" for shape in shapes) or "none"


def _operators(calls: Iterable[OperatorCost], width: int) -> Iterator[str]:
    """Each call of an operator worked out; equal calls once."""
    equal = equal_calls(calls)
    for same in equal[:AT_MOST]:
        yield ""
        yield same[0].name + (f", {len(same):,} equal calls, each:" if len(same) > 1 else "")
        yield from _worked_out(same[0], width)
    if len(equal) > AT_MOST:
        yield from ("", f"... and {len(equal) - AT_MOST:,} other kinds of calls")


def _worked_out(call: OperatorCost, width: int) -> Iterator[str]:
    if call.uncounted:
        yield from _indented(f"not counted: {call.uncounted}", width)
    elif not call.equation:
        yield from _indented(amounts_text(call.cost) or "free: it does no arithmetic on floating-point numbers", width)
    else:
        equation = Equation(call.equation)
        stated = equation.cost(call.quantities)
        for field, expression in equation.terms.items():
            amount = stated_by(call, stated, field)
            steps = dict.fromkeys((expression, _put_in(expression, call.quantities), f"{amount:,}"))
            yield from _chain((field, *steps), unit_of(field, amount), width)
        yield from _indented(reason_of(call), width)
        if call.cost != stated:
            yield from _indented(
                f"{why_not_as_stated(call.cost, stated)}: {amounts_text(call.cost) or 'nothing'}", width
            )


def _put_in(expression: str, quantities: Mapping[str, int]) -> str:
    """The expression with numbers in the place of names."""

    def number(match: re.Match[str]) -> str:
        name = match[0]
        if name in FUNCTIONS:
            return name
        value = quantities[name]
        text = f"{value:,}"
        return f"({text})" if value < 0 or " " in text else text

    return re.sub(r"[A-Za-z_]\w*", number, expression)


def _parameters(cost: CostedGraph, names: Sequence[str], counted: int, width: int) -> Iterator[str]:
    """Every parameter with its size, then their sum, such as ``weight + bias``."""
    if not names:
        return
    yield ""
    yield "parameters"
    sizes = {}
    for name in names[:AT_MOST]:
        shape = cost.parameters[cost.shared.get(name, name)]
        sizes[name.rpartition(".")[2]] = prod(shape)
        elements = " * ".join(f"{size:,}" for size in shape)
        product = f"{elements} = {prod(shape):,}" if len(shape) > 1 else f"{prod(shape):,}"
        shared = f", shared: it is {cost.shared[name]}" if name in cost.shared else ""
        yield from _indented(f"{name} {shapes_text([shape])}: {product}{shared}{_split(cost, name)}", width)
    if len(names) > AT_MOST:
        yield from _indented(f"... and {len(names) - AT_MOST:,} more", width)
    elif len(sizes) == len(names) > 1:
        total = f"{sum(sizes.values()):,} parameters"
        yield from _chain((" + ".join(sizes), " + ".join(f"{size:,}" for size in sizes.values()), total), "", width)
    if counted != sum(sizes.values()) or len(sizes) != len(names):
        yield from _indented(f"counted here: {counted:,}; a parameter counts once, where it is met first", width)


def _split(cost: CostedGraph, name: str) -> str:
    """Which part of a parameter this rank has; empty of a model on one."""
    if cost.call is None or not cost.call.mesh:
        return ""
    part = cost.call.splits.get(name)
    return f", a part {part}" if part else ", whole on every rank"


def _readings(cost: Cost, convention: Convention, width: int, what: str = "FLOPs") -> Iterator[str]:
    """What each convention reads off a cost."""
    yield ""
    yield f"{what}, here {convention.name}"
    for each in dict.fromkeys((convention.name, *CONVENTIONS)):
        reading = CONVENTIONS.get(each, convention)
        terms = [(weight, getattr(cost, field)) for field, weight in reading.weights.items()]
        numbers = " + ".join(f"{number:,}" if weight == 1 else f"{weight} * {number:,}" for weight, number in terms)
        steps = dict.fromkeys((numbers, f"{reading.read(cost):,}"))
        yield from _chain((f"{reading.name}: {reading.meaning}", *steps), "", width)


def _chain(steps: Sequence[str], unit: str, width: int) -> Iterator[str]:
    """``a = b = c unit`` on one line if it fits, else a line for each step."""
    line = f"  {' = '.join(steps)} {unit}".rstrip()
    if len(line) <= width:
        yield line
        return
    yield from _indented(f"{steps[0]} = {steps[1]}", width)
    for step in steps[2:-1]:
        yield from _indented(f"= {step}", width, 6)
    yield from _indented(f"= {steps[-1]} {unit}".rstrip(), width, 6)


def _indented(text: str, width: int, indent: int = 2) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
