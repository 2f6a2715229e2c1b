"""What the script of a page draws: the rows of its tables, which are the boxes of its picture, and explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from math import prod
from typing import Any

from fxcount.analyses.roofline import RooflineRecord
from fxcount.cost import CONVENTIONS, Convention, OperatorCost
from fxcount.cost.equation import Equation
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts
from fxcount.result.module_paths import parent_of
from fxcount.result.node_cost import NodeCost
from fxcount.sizes.example_numbers import ExampleNumber
from fxcount.views.calls import amounts_text, costs, equal_calls, reason_of, stated_by, unit_of, why_not_as_stated
from fxcount.views.compare import pair_tree
from fxcount.views.folding import Branch, grow, lines
from fxcount.views.head import head, shapes_text
from fxcount.views.legend import legend
from fxcount.views.tree import OWN, Amount, amounts, is_container

AT_MOST = 8
"""So many kinds of calls, and parameters, are worked out for a row."""

EXACT = 2**53
"""Up to here the numbers of a browser are exact."""

ROW = ("level", "name", "path", "kind", "calls", "times", "values", "about")
"""What a row is a list of: how many rows lie around it, its name, path and class, how often it was called, how many
equal modules it is, a number for each measure, and its explanation."""

COMPARED = ("level", "name", "path", "kind", "here", "there", "changes")
"""What a row of two counts is a list of: as above, the numbers of either, None where the module is not there, and the
changes as texts where sizes are symbols."""

WHOSE = {1: ("",), 2: ("This: ", "Other: ")}
"""What stands before the names of one or two models."""

Numbers = list[Any]
"""One for each measure."""


@dataclass(frozen=True)
class Measure:
    """What boxes can be as large as."""

    key: str
    """Its name; under a convention followed by that of the convention."""
    label: str
    """As a column is called."""
    meaning: str
    """As an explanation calls it."""
    unit: str = ""
    """``bytes`` or ``seconds``; empty for what is counted."""


@dataclass(frozen=True)
class Timed:
    """What a row says of a module."""

    amount: Amount
    seconds: float | None

    @property
    def is_container(self) -> bool:
        """Whether the module is never called itself."""
        return is_container(self.amount)


def page_data(counted: Sequence[CostedGraph], times: Sequence[RooflineRecord] = ()) -> dict[str, Any]:
    """All that the page shows of one count, or of two side by side, and of their times at best."""
    first = counted[0]
    conventions = {each.name: each for each in (first.convention, *CONVENTIONS.values())}
    has_backward = any(cost.has_backward for cost in counted)
    equations = Equations()
    shown = [_Shown(cost, conventions, has_backward, record, equations) for cost, record in zip_longest(counted, times)]
    return {
        "conventions": [{"name": each.name, "meaning": each.meaning} for each in conventions.values()],
        "measures": [vars(each) for each in _measures(conventions, has_backward, times[0] if times else None)],
        "counts": [each.data(whose) for each, whose in zip(shown, WHOSE[len(shown)], strict=True)],
        "compared": [*_compared(*shown)] if len(shown) > 1 else None,
        "equations": equations.written,
        "row": ROW,
        "comparedRow": COMPARED,
    }


def _measures(
    conventions: Mapping[str, Convention], has_backward: bool, times: RooflineRecord | None
) -> Iterator[Measure]:
    """The measures, in the order of the numbers of a row."""
    phases = [("", ""), ("backward_", "backward ")] if has_backward else [("", "")]
    for key, label in phases:
        for each in conventions.values():
            meaning = f"{label}FLOPs, {each.name} ({each.meaning})"
            yield Measure(f"{key}flops:{each.name}", f"{label}FLOPs", meaning)
        yield Measure(f"{key}macs", f"{label}MACs", f"{label}MACs")
        yield Measure(f"{key}bytes", f"{label}bytes", f"{label}bytes read and written", "bytes")
    yield Measure("params", "parameters", "parameters")
    if times is not None:
        passes = ", ".join(times.by_phase())
        yield Measure("seconds", "time at best", f"time at best on {times.device.name} ({passes})", "seconds")


class Equations:
    """The equations of a page, each once."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self._places: dict[tuple[str, str], int] = {}
        self._parsed: dict[str, Equation] = {}

    def call(self, same: Sequence[OperatorCost]) -> list[Any]:
        """Equal calls: the place of their equation, how many they are, the values of its names, what they come to, and
        what else is to be said."""
        call = same[0]
        if not call.equation:
            note = f"not counted: {call.uncounted}" if call.uncounted else amounts_text(call.cost)
            return [self._place(call, None), len(same), [], [], note]
        equation = self._parsed.setdefault(call.equation, Equation(call.equation))
        stated = equation.cost(call.quantities)
        names = sorted(equation.names)
        note = ""
        if call.cost != stated:
            note = f"{why_not_as_stated(call.cost, stated)}: {amounts_text(call.cost) or 'nothing'}"
        quantities = [_plain(call.quantities[name]) for name in names]
        results = [_plain(stated_by(call, stated, field)) for field in equation.terms]
        return [self._place(call, equation), len(same), quantities, results, note]

    def _place(self, call: OperatorCost, equation: Equation | None) -> int:
        key = (call.name, call.equation)
        if key not in self._places:
            self._places[key] = len(self.written)
            terms = {} if equation is None else equation.terms
            self.written.append(
                {
                    "operator": call.name,
                    "terms": [[field, unit_of(field, 2), expression] for field, expression in terms.items()],
                    "names": [] if equation is None else sorted(equation.names),
                    "reason": reason_of(call),
                }
            )
        return self._places[key]


class _Shown:
    """One count of a page."""

    def __init__(
        self,
        cost: CostedGraph,
        conventions: Mapping[str, Convention],
        has_backward: bool,
        times: RooflineRecord | None,
        equations: Equations,
    ) -> None:
        self.cost = cost
        self._conventions = conventions
        self._has_backward = has_backward
        self._times = times
        self._equations = equations
        self._own: defaultdict[str, list[NodeCost]] = defaultdict(list)
        self._ends: dict[str, tuple[NodeCost, NodeCost]] = {}
        for node in cost.nodes:
            self._own[node.owner].append(node)
            path = node.owner
            while path:
                first = self._ends.get(path, (node, node))[0]
                self._ends[path] = (first if first.input_shapes else node, node)
                path = parent_of(path)
        self._parameters: defaultdict[str, list[str]] = defaultdict(list)
        for name in (*cost.parameters, *cost.shared):
            self._parameters[name.rpartition(".")[0]].append(name)

    def data(self, whose: str) -> dict[str, Any]:
        """Both trees, and what is written around them; ``whose`` stands before the name of the model."""
        readings = {name: self.cost.under(convention) for name, convention in self._conventions.items()}
        return {
            "title": whose + (self.cost.modules[""].kind or "the model"),
            "head": head(self.cost),
            "legends": {name: legend(reading) for name, reading in readings.items()},
            "modules": [*self._modules()],
            "operators": [*self._operators()],
        }

    def _modules(self) -> Iterator[list[Any]]:
        found = amounts(self.cost.by_module(), with_bytes=True)
        tree = grow({path: Timed(amount, self.seconds.get(path)) for path, amount in found.items()}, _joins)
        for branch, level, times in lines(tree):
            amount = branch.value.amount * times
            seconds = None if branch.value.seconds is None else branch.value.seconds * times
            values = self.numbers(amount.counts, seconds)
            label, calls = branch.label or "(model)", _plain(amount.calls)
            yield [level, label, branch.path, amount.kind, calls, times, values, self._about(branch)]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """The time of each module, and of what it does itself; empty where no times were asked for."""
        if self._times is None:
            return {}
        whole = {path: time.seconds for path, time in self._times.by_module().items()}
        own = {f"{path}.{OWN}" if path else OWN: time for path, time in self._times.own_by_module().items()}
        return whole | {path: time.seconds for path, time in own.items()}

    def _operators(self) -> Iterator[list[Any]]:
        yield next(self._modules())
        times = {} if self._times is None else self._times.by_operator()
        calls: defaultdict[str, list[OperatorCost]] = defaultdict(list)
        gradients: defaultdict[str, list[OperatorCost]] = defaultdict(list)
        for node in self.cost.nodes:
            for each in node.operators:
                calls[each.name].append(each)
            for each in node.backward_operators or ():
                gradients[each.name].append(each)
        for name, operator in self.cost.by_operator().items():
            values = self.numbers(operator.counts, times[name].seconds if name in times else None)
            ran = _plain(operator.calls + len(gradients[name]))
            yield [1, name, name, name, ran, 1, values, self._worked(calls[name], gradients[name])]

    def numbers(self, counts: Counts, seconds: float | None) -> Numbers:
        """What the measures read, in their order."""
        passes = [(counts.cost, counts.traffic)]
        if self._has_backward:
            passes.append((counts.backward, counts.backward_traffic))  # type: ignore[arg-type]
        found: Numbers = []
        for cost, traffic in passes:
            read = [each.read(cost) if cost else 0 for each in self._conventions.values()]
            found += [*read, cost.macs if cost else 0, traffic.total if traffic else 0]
        found.append(counts.params)
        return [*map(_plain, found), *([] if self._times is None else [seconds or 0])]

    def _about(self, branch: Branch[Timed]) -> dict[str, Any]:
        """The explanation of a row of modules."""
        is_own = branch.label == OWN
        path = parent_of(branch.path) if is_own else branch.path
        inside = {} if is_own or (path not in self._ends and path) else self._shapes(path)
        if branch.children:
            return inside
        nodes = self._own[path]
        gradients = [call for node in nodes for call in node.backward_operators or ()]
        worked = self._worked([call for node in nodes for call in node.operators], gradients)
        return {**inside, **worked, **self._held(path)}

    def _shapes(self, path: str) -> dict[str, str]:
        """What goes in and comes out."""
        if not path:
            nodes = self.cost.nodes
            given = [shape for node in nodes if node.op == "placeholder" for shape in node.output_shapes]
            return {"input": shapes_text(given), "output": shapes_text(nodes[-1].output_shapes)} if nodes else {}
        first, last = self._ends[path]
        return {"input": shapes_text(first.input_shapes), "output": shapes_text(last.output_shapes)}

    def _worked(self, calls: Iterable[OperatorCost], gradients: Iterable[OperatorCost]) -> dict[str, Any]:
        """Calls worked out, as far as they cost anything."""
        about: dict[str, Any] = {}
        more = 0
        for name, some in (("calls", calls), ("gradients", gradients)):
            equal = equal_calls(filter(costs, some))
            if equal:
                equal.sort(key=lambda same: -int(same[0].cost.macs) * len(same))
                about[name] = [self._equations.call(same) for same in equal[:AT_MOST]]
                more += max(0, len(equal) - AT_MOST)
        return {**about, "more": f"and {more:,} other kinds of calls"} if more else about

    def _held(self, path: str) -> dict[str, Any]:
        """The parameters of a module."""
        names = self._parameters[path]
        texts = []
        for name in names[:AT_MOST]:
            shape = self.cost.parameters[self.cost.shared.get(name, name)]
            shared = f", shared: it is {self.cost.shared[name]}" if name in self.cost.shared else ""
            texts.append(f"{name.rpartition('.')[2]} {shapes_text([shape])} = {prod(shape):,}{shared}")
        if len(names) > AT_MOST:
            texts.append(f"and {len(names) - AT_MOST:,} more")
        return {"parameters": texts} if texts else {}


def _joins(timed: Timed) -> bool:
    return timed.is_container


def _compared(here: _Shown, there: _Shown) -> Iterator[list[Any]]:
    for branch, level, times in lines(pair_tree(here.cost, there.cost)):
        pair = branch.value
        sides = [
            None
            if amount is None
            else shown.numbers((amount * times).counts, shown.seconds.get(branch.path, 0) * times)
            for amount, shown in ((pair.here, here), (pair.there, there))
        ]
        yield [level, branch.label or "(model)", branch.path, pair.kind, *sides, _changes(*sides)]


def _changes(here: Numbers | None, there: Numbers | None) -> list[str | None] | None:
    """What the numbers of the other are more, in words where one of the two is an expression; None if none is."""
    count = len(here or there or ())
    pairs = [[side[k] if side else 0 for side in (here, there)] for k in range(count)]
    if not any(isinstance(each, list) for pair in pairs for each in pair):
        return None
    return [" to ".join(each[1] if isinstance(each, list) else f"{each:,}" for each in pair) for pair in pairs]


def _plain(number: Any) -> Any:
    """A number as JSON has it: a text where a browser would round it, the number of the example and an expression where
    sizes are symbols."""
    if isinstance(number, ExampleNumber):
        return [int(number), f"{number:,}"]
    return int(number) if abs(number) <= EXACT else str(int(number))
