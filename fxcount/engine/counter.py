"""`OperatorCounter`: the mode of the dispatcher under which every torch operator is costed.

Below autograd nothing stands between a call and a `TorchDispatchMode`: autograd would have split composite operators
(attention, linear, LSTM) into the parts that one device happens to use. So the mode sees each operator as it was
called. One that has a formula is costed as a whole; one that has none is taken apart, and its parts
are costed.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fxcount._torch import DispatchMode, HigherOrderOperator, Operator
from fxcount.cost import Cost, OperatorCost
from fxcount.engine.node_annotation import Annotation
from fxcount.engine.operator_facts import facts_on
from fxcount.engine.refusals import refused
from fxcount.engine.routed import refuse_routed
from fxcount.engine.sharding import are_split, group_of
from fxcount.engine.storage_numbers import StorageNumbers
from fxcount.errors import NESTED, DataNeededError, TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas import REFUSED, find_formula, operator_name
from fxcount.formulas.number_kinds import tensors


class OperatorCounter(DispatchMode):
    """Notes in ``calls`` what every operator costs, and runs it as it is, on data.

    Whatever was there before the run is put back by ``restore()``: before an operator writes to memory that none of
    the counted operators made, the memory is copied.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[OperatorCost] = []
        self.on_call: Callable[[Operator, Sequence[Any], Mapping[str, Any], Any], None] | None = None
        """Told of every operator that no other operator runs: the operator, its arguments and its result."""
        self.running = 0
        """How many operators are being run now, each inside the one before."""
        self.storages: StorageNumbers | None = None
        """Which tensors of the call that is being run lie in the same memory; None if no call is known."""
        self.phase = "forward"
        """What the records of operators say of when they ran."""
        self.excluded_before: Any = None
        """What torch left out between a call and its operator before the count, to be restored where autograd is to be
        at work."""
        self.axes: Mapping[str, str] = {}
        """The axes of meshes, by the names of their process groups."""
        self.some: set[int] = set()
        """The storages in which this rank has some of several matrices."""
        self._lent = False
        self._made: set[int] = set()
        self._overwritten: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Operator, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if types:  # of a class that has operators of its own
            if are_split(types):
                return NotImplemented  # it calls operators on what this rank has
            given = [*tensors((args, tuple(kwargs.values())))]
            if any(tensor.is_nested for tensor in given):
                raise TracingError(NESTED)
        if self.some:
            refuse_routed(operator_name(func), args, self.some)
        found = None if types else self.repeated(func, args, kwargs)
        if found is not None:
            self.calls += found[1]["operators"]
            if self.on_call is not None and self.running == 0:
                self.on_call(func, args, kwargs, found[0])
            return found[0]
        self.running += 1
        own = self.storages is None
        if self.storages is None:
            self.storages = StorageNumbers((*args, *kwargs.values()))
        try:
            if isinstance(func, HigherOrderOperator):
                out = HIGHER_ORDER.get(func.name(), undescribed)(self, HigherOrderCall(func, args, kwargs))
            else:
                out = self._count(func, args, kwargs)
            if self.on_call is not None and self.running == 1:
                self.on_call(func, args, kwargs, out)
        except DataNeededError as error:
            refused(error)
            raise
        finally:
            self.running -= 1
            if own:
                self.storages = None
        return out

    def repeated(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Any, Annotation] | None:
        """The result and the annotation of a call that need not run; None if it must, as every one on data."""
        return None

    def _count(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        formula = find_formula(func)
        if formula is None:
            out = self._decompose(func, args, kwargs)
            if out is not NotImplemented:
                return out
        ran_args, ran_kwargs, out = self.run(func, args, kwargs)
        if formula is None:
            name = operator_name(func)
            record = OperatorCost(name, Cost(), uncounted=REFUSED.get(name, "no formula is known"))
        else:
            record = formula(ran_args, ran_kwargs, out)
            if record.sent:
                group = group_of((*args, *kwargs.values()))
                record = replace(record, group=self.axes.get(group, group))
        self.numbers.views(func, (args, kwargs), (ran_args, ran_kwargs), out)
        facts = facts_on(func)
        marks = _places_of((*args, *kwargs.values()), facts.marks(args, kwargs)) if facts.written else ((), ())
        self.note(record, (*args, *kwargs.values()), out, *marks)
        return out

    def note(
        self,
        record: OperatorCost,
        given: Iterable[Any],
        out: Any,
        written: tuple[int, ...] = (),
        unread: tuple[int, ...] = (),
    ) -> None:
        """Notes a call that was given these tensors, wrote to those at the places ``written``, some of which it did not
        read, and returned those in ``out``."""
        inputs, outputs = self.numbers.describe(given), self.numbers.describe((out,))
        record = replace(record, inputs=inputs, outputs=outputs, phase=self.phase, written=written, unread=unread)
        self.calls.append(record)

    @property
    def numbers(self) -> StorageNumbers:
        """The ``storages`` while an operator runs."""
        assert self.storages is not None
        return self.storages

    def run_numbered(self, storages: StorageNumbers, run: Callable[..., Any], *given: Any) -> Any:
        """``run(*given)``, whose operators are parts of the call that has these ``storages``."""
        around, self.storages = self.storages, storages
        try:
            return run(*given)
        finally:
            self.storages = around

    def measure(self, run: Callable[[], Any]) -> tuple[Any, list[OperatorCost]]:
        """The result of ``run()``, and what it costs, which is not noted."""
        noted, self.calls = self.calls, []
        try:
            with self:
                return for_the_model(run), self.calls
        finally:
            self.calls = noted

    @contextlib.contextmanager
    def backward(self) -> Iterator[None]:
        """While it lasts, operators run in a backward pass."""
        around, self.phase = self.phase, "backward"
        try:
            yield
        finally:
            self.phase = around

    def _decompose(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        """Runs a composite operator so that its parts are seen; ``NotImplemented`` if it is not composite."""
        with self:
            return for_the_model(func.decompose, *args, **kwargs)

    def rules(self) -> contextlib.AbstractContextManager[None]:
        """How torch is set while the counter is at work."""
        return contextlib.nullcontext()

    def take_calls(self) -> tuple[OperatorCost, ...]:
        """What was noted since the last time."""
        calls, self.calls = tuple(self.calls), []
        return calls

    def represent(self, tensor: torch.Tensor) -> torch.Tensor:
        """An input as the model gets it: a tensor of its own, so that nobody's tensor changes its shape."""
        return tensor.detach()

    def set_data(self, tensor: torch.Tensor, data: torch.Tensor) -> None:
        """``tensor.data = data``, as ``Module.to`` does in place."""
        tensor.data = data

    def run(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        """Runs the operator; returns the arguments that it ran on, and its result."""
        for tensor in facts_on(func).tensors_written(args, kwargs):
            self._keep(tensor)
        out = for_the_model(func, *args, **kwargs)
        self._note_made(args, kwargs, out)
        return args, kwargs, out

    def run_beside(self, run: Callable[..., Any], given: Sequence[Any]) -> Any:
        """``run(*given)``, which partly runs beside the dispatcher, and lends tensors memory that it frees."""
        self._lent = True
        try:
            return run(*given)
        finally:
            self._lent = False

    def take_over(self, tensors: Iterable[torch.Tensor]) -> None:
        """These are as if operators had made them: they may be written to."""
        self._made.update(map(memory, tensors))

    def forget_made(self) -> None:
        """What the operators have made is gone, and what lies there now is somebody else's."""
        self._made.clear()

    def has_made(self, tensor: torch.Tensor) -> bool:
        """Whether an operator made the memory of a tensor that has data, or it is a wrapper, which has none."""
        place = memory(tensor)
        return place in self._made or (place == 0 and type(tensor) not in _TENSORS and tensor.numel() > 0)

    def restore(self) -> None:
        """Puts back what was overwritten."""
        for storage, before in reversed(self._overwritten.values()):  # one that has grown was kept twice
            if storage.nbytes() != before.nbytes():
                storage.resize_(before.nbytes())
            storage.copy_(before)

    def _note_made(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """Memory in a result that is not an argument's was made by the operator."""
        given = {memory(tensor) for tensor in tensors((args, tuple(kwargs.values())))}
        for place in {memory(tensor) for tensor in tensors((out,))} - given - {0}:
            self._is_new(place)

    def _is_new(self, place: int) -> None:
        """Memory that somebody else may have had before, and has no more."""
        self._made.add(place)

    def _keep(self, tensor: torch.Tensor) -> None:
        place = memory(tensor)
        if place and place not in self._made and place not in self._overwritten:
            storage = tensor.untyped_storage()
            if storage.resizable() or not self._lent:  # or what is put back would overwrite what is there by then
                self._overwritten[place] = (storage, storage.clone())


def _places_of(given: Sequence[Any], marks: Sequence[Sequence[torch.Tensor]]) -> list[tuple[int, ...]]:
    """Where among the tensors in ``given`` those of each list stand."""
    places = {id(tensor): place for place, tensor in reversed([*enumerate(tensors(given))])}
    return [tuple(dict.fromkeys(places[id(tensor)] for tensor in some)) for some in marks]


_TENSORS = frozenset({torch.Tensor, torch.nn.Parameter})


def memory(tensor: torch.Tensor) -> int:
    """The address of a tensor's storage, the same for all views of it; 0 where there is none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse tensors and wrappers have no storage of their own
        return 0


@dataclass(frozen=True)
class HigherOrderCall:
    """A call of an operator that takes functions."""

    operator: HigherOrderOperator
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def run(self) -> Any:
        """Its result, run as it is and not counted."""
        return for_the_model(self.operator, *self.args, **self.kwargs)


HigherOrderRule = Callable[[OperatorCounter, HigherOrderCall], Any]
"""Runs a call so that what its functions do is counted, and returns its result."""

HIGHER_ORDER: dict[str, HigherOrderRule] = {}
"""The rules, by the name of the operator; each registers itself by ``higher_order``."""


def higher_order(*operators: str) -> Callable[[HigherOrderRule], HigherOrderRule]:
    """Registers the decorated function as the rule of ``operators``."""

    def register(rule: HigherOrderRule) -> HigherOrderRule:
        HIGHER_ORDER.update(dict.fromkeys(operators, rule))
        return rule

    return register


def undescribed(counter: OperatorCounter, call: HigherOrderCall) -> Any:
    """One that has no rule runs as it is, and is not counted."""
    name = f"higher_order.{call.operator.name()}"
    out = call.run()
    counter.note(OperatorCost(name, Cost(), uncounted="no rule for it is known"), call.args, out)
    return out
