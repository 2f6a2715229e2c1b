"""``python -m tests.databases``: counts calls of all operators and modules in the databases of torch's own tests.

The gradients of the operators are counted too, and cost the same without data as on it.

These need ``expecttest``, which torch does not install. The exit code says whether everything was counted.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from fxcount import DataNeededError, count_graph
from tests.zoo.backward import differentiable

DTYPES = (torch.float32, torch.complex64)
OF_WHOLE_NUMBERS = (torch.int64, torch.bool)
"""For operators that take neither real nor complex numbers."""


@dataclass(frozen=True)
class Call:
    """A call of an operator or a module."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass
class Outcome:
    """What became of the calls of one database."""

    names: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    calls: int = 0
    refused: int = 0
    """Calls that torch itself does not run on this machine."""
    problems: list[str] = field(default_factory=list)

    def add(self, call: Call) -> None:
        self.calls += 1
        self.names.add(call.name)
        try:
            cost = count_graph(call.function, call.args, call.kwargs)
        except Exception as error:
            if runs(call):
                self.problems.append(f"{call.name}: {type(error).__name__}: {error}")
            else:
                self.refused += 1
        else:
            self.counted.add(call.name)
            self.problems += [f"{call.name}: {name} is not counted" for name in cost.uncounted]

    def add_gradients(self, call: Call) -> None:
        """A recorded run costs what one on data does, backward as well; unless it needs data."""
        self.calls += 1
        self.names.add(call.name)
        try:
            executed = count_graph(call.function, call.args, call.kwargs, tracer="executed", backward=True)
            forward = count_graph(call.function, call.args, call.kwargs, tracer="executed").total
            with contextlib.suppress(DataNeededError):
                recorded = count_graph(call.function, call.args, call.kwargs, tracer="recorded", backward=True)
                if (recorded.total, recorded.backward) != (forward, executed.backward):
                    self.problems.append(f"{call.name}: recorded {recorded.backward}, on data {executed.backward}")
        except Exception as error:
            if runs(call, backward=True):
                self.problems.append(f"{call.name}: {type(error).__name__}: {error}")
            else:
                self.refused += 1
        else:
            self.counted.add(call.name)
            self.problems += [f"{call.name}: {name} is not counted" for name in executed.uncounted]
            if executed.total != forward:
                self.problems.append(f"{call.name}: {forward}, with its gradients {executed.total}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Counts what the arguments select, and prints the outcome of each database."""
    parser = argparse.ArgumentParser(prog="python -m tests.databases", description=__doc__)
    parser.add_argument("--calls", type=int, default=4, help="of each operator or module and dtype at most; 4")
    limit = parser.parse_args(arguments).calls
    warnings.simplefilter("ignore")
    problems = 0
    for kind, calls in {
        "operators": operators(limit),
        "modules": modules(limit),
        "gradients": gradients(limit),
    }.items():
        outcome = Outcome()
        for call in calls:
            (outcome.add_gradients if kind == "gradients" else outcome.add)(call)
        print(*dict.fromkeys(outcome.problems), sep="\n", file=sys.stderr)
        print(
            f"{len(outcome.counted)} of {len(outcome.names)} {kind} counted in {outcome.calls} calls, "
            f"{outcome.refused} of which torch refuses, {len(outcome.problems)} with a problem"
        )
        problems += len(outcome.problems)
    return int(problems > 0)


def operators(limit: int) -> Iterator[Call]:
    """Calls of every operator that runs on a CPU, so many in each dtype."""
    for operator in op_db:
        supported = operator.supported_dtypes("cpu")
        dtypes = [each for each in DTYPES if each in supported] or [*supported.intersection(OF_WHOLE_NUMBERS)]
        for dtype in dtypes:
            for sample in islice(operator.sample_inputs("cpu", dtype), limit):
                yield Call(operator.full_name, called(operator.op), (sample.input, *sample.args), sample.kwargs)


def gradients(limit: int) -> Iterator[Call]:
    """Calls of every operator that autograd can differentiate, so many in each dtype, on what requires a gradient."""
    for operator in op_db:
        if not operator.supports_autograd:
            continue
        for dtype in {*DTYPES} & operator.supported_dtypes("cpu") & operator.supported_backward_dtypes("cpu"):
            for sample in islice(operator.sample_inputs("cpu", dtype, requires_grad=True), limit):
                yield Call(operator.full_name, called(operator.op), (sample.input, *sample.args), sample.kwargs)


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """A model that calls a function: an operator alone is none."""
    return lambda *args, **kwargs: function(*args, **kwargs)


def modules(limit: int) -> Iterator[Call]:
    """Calls of every module, so many in each dtype, in training and in evaluation; a lazy one has been run once."""
    for info, dtype, training in product(module_db, DTYPES, (False, True)):
        if dtype not in info.dtypes:
            continue
        samples = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=training)
        for sample in islice(samples, limit):
            built, forward = sample.constructor_input, sample.forward_input
            module = info.module_cls(*built.args, **built.kwargs).to(dtype).train(training)
            if issubclass(info.module_cls, torch.nn.modules.lazy.LazyModuleMixin):
                module(*forward.args, **forward.kwargs)
            yield Call(info.name, module, tuple(forward.args), forward.kwargs)


def runs(call: Call, backward: bool = False) -> bool:
    """Whether torch itself runs a call, and its backward pass."""
    try:
        result = call.function(*call.args, **call.kwargs)
        if backward:
            outputs = differentiable(result)
            torch.autograd.backward(outputs, [*map(torch.ones_like, outputs)])
    except Exception:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
