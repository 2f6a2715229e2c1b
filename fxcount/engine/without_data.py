"""`WithoutData`: the counter that computes on shapes, and on values only where they are known."""

import contextlib
import functools
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fxcount._torch import Operator, is_alias_of, storage_identity
from fxcount.engine.counter import OperatorCounter, memory
from fxcount.engine.node_annotation import Annotation, annotation
from fxcount.engine.operator_facts import facts_on
from fxcount.engine.repeated_calls import key_of, new_memory, new_or_shared
from fxcount.engine.shape_functions import reads_values
from fxcount.engine.sharding import is_split, part_of, split_like
from fxcount.engine.storage_numbers import StorageNumbers, offset_of
from fxcount.engine.tensors_of import TensorsOf
from fxcount.errors import NESTED, NO_VALUES, DataNeededError, TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas import find_formula
from fxcount.formulas.custom import custom_formulas
from fxcount.formulas.number_kinds import tensors


class WithoutData(OperatorCounter):
    """An `OperatorCounter` that computes on shapes: parameters, buffers and floating-point inputs have no data.

    Such a tensor is represented by a stand-in on the meta device: shape, strides and dtype, no storage. What depends on
    none of them, such as token ids, masks and positions, stays known as long as it is small: it is computed for real on
    the CPU, so that a model may ask for its value.
    """

    LARGEST_KNOWN = 2**20
    """Elements of the largest tensor whose values are computed."""

    def __init__(self, owned: Iterable[torch.Tensor] | None = None, *, shares_repeats: bool = True) -> None:
        """``owned`` are the parameters and buffers of a model: other tensors that it has, such as the strides of a
        detector, are known, whatever their dtype. Without it, floating-point numbers are known if they were made here.
        With ``shares_repeats`` calls that other counts made need not be made again.
        """
        super().__init__()
        self._owned = owned
        self.differentiates = False
        """Whether autograd is at work on what runs. It wants what it differentiates on one device, so that known
        floating-point numbers have stand-ins too, and each result in memory of its own."""
        self._known = TensorsOf()
        """The numbers of such stand-ins."""
        self._stand_ins = TensorsOf()
        self._overwritten_unseen: set[int] = set()
        self._lifted: set[int] = set()
        self._repeats = new_or_shared(own=custom_formulas() or not shares_repeats)

    def represent(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach() if not _is_continuous(tensor) and self.knows(tensor) else _shape_of(tensor)

    def without_gradient(self, tensor: torch.Tensor) -> torch.Tensor:
        """What stands for a tensor that can have no gradient."""
        return tensor

    def has_made(self, tensor: torch.Tensor) -> bool:
        return super().has_made(tensor) and memory(tensor) not in self._lifted

    def repeated(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Any, Annotation] | None:
        """While autograd is at work: the call of a node is taken apart then, and each of its operators may repeat."""
        key = self._key_of(func, args, kwargs) if self.differentiates else None
        return None if key is None else self._repeats.find(key, args)

    def _count(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        key = self._key_of(func, args, kwargs)
        if key is None:
            return super()._count(func, args, kwargs)
        found = None if self.differentiates else self._repeats.find(key, args)
        if found is not None:
            self._adopt(found[1], args, kwargs, found[0])
            return found[0]
        # Noted and numbered apart, for an equal call may be part of another node.
        noted, self.calls = self.calls, []
        storages = StorageNumbers((*args, *kwargs.values()))
        try:
            out = self.run_numbered(storages, super()._count, func, args, kwargs)
            note = annotation(out, tuple(self.calls), storages)
        finally:
            self.calls = noted
        if not self.differentiates:
            self._repeats.add(key, args, kwargs, out, note)
            self._adopt(note, args, kwargs, out)
            return out
        self.calls += note["operators"]
        facts = facts_on(func)
        if not facts.written and (facts.may_return_views or _lies_in(out, args)):
            self._repeats.remember(key, lambda given: func(*given, **kwargs), note)
        elif key == self._key_of(func, args, kwargs):  # or it changes the shape of an argument
            self._repeats.add(key, args, kwargs, out, note, new_memory)
        return out

    def _adopt(self, note: Annotation, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """Notes the operators of a call, which ``note`` has by themselves, as part of the one that runs now."""
        self.calls += self.numbers.adopt(note["operators"], note["storages"], (*args, *kwargs.values()), out)

    def _key_of(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Hashable | None:
        if self.differentiates:
            return self._key_of_differentiated(func, args, kwargs)
        return self._key_on_shapes(func, args, kwargs)

    def _key_of_differentiated(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Hashable | None:
        """The key of a call that computes no known value; ``None`` if it may depend on more than shapes."""
        if not isinstance(func, Operator) or func.namespace != "aten":
            return None
        facts = facts_on(func)
        if facts.creates or facts.lifts or facts.needs_values or find_formula(func) is None or reads_values(func, args):
            return None
        given = [*tensors((args, tuple(kwargs.values())))]
        if all(map(self.knows, given)) or not all(each.is_meta for each in facts.tensors_written(args, kwargs)):
            return None
        if any(_is_continuous(each) and not each.is_meta for each in given):  # whose views have no data either
            return None
        key = key_of(func, args, kwargs, self._shape_alone)
        if key is None or len(given) < 2:
            return key and (new_memory, self.phase, key)
        places = [storage_identity(each)[0] for each in given]
        if len({*places}) == len(places):
            return new_memory, self.phase, key, ()
        starts = [offset_of(given[places.index(place)]) for place in places]
        apart = tuple(offset_of(each) - start for each, start in zip(given, starts, strict=True))
        return new_memory, self.phase, key, tuple(map(places.index, places)), apart

    def _key_on_shapes(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Hashable | None:
        """The key of a call in which known tensors are beside unknown ones, and so are shapes too. (The calls of nodes
        do not repeat where a value is known, and what torch itself computes on shapes may take long.)"""
        if func.namespace != "aten" or facts_on(func).written or find_formula(func) is None or reads_values(func, args):
            return None
        given = [*tensors((args, tuple(kwargs.values())))]
        if not any(map(self.knows, given)) or all(map(self.knows, given)):
            return None
        return key_of(func, args, kwargs, self._shape_alone)

    def as_shape(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """What has the shape of a tensor that has no data or is to have none; None if its values are known."""
        if tensor.is_meta:
            return tensor if tensor.layout is torch.strided else None
        return None if type(tensor) is not nn.Parameter and self.knows(tensor) else self._shape_alone(tensor)

    def _shape_alone(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """What has the shape of a tensor, whether its values are known or not; None if that is not its form."""
        return self._stand_ins.get(tensor, tensor) if _has_strides(tensor) else None

    def set_data(self, tensor: torch.Tensor, data: torch.Tensor) -> None:
        if tensor.is_meta or not data.is_meta:
            super().set_data(tensor, data)
        else:
            self._stand_ins.set(tensor, data)

    def run(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        facts = facts_on(func)
        if facts.lifts or all(map(self.knows, tensors((args, tuple(kwargs.values()))))):
            return self._run_known(func, args, kwargs)
        written = map(self._value_of, facts.tensors_written(args, kwargs))
        self._overwritten_unseen.update(memory(tensor) for tensor in written if not tensor.is_meta)
        return self._run_on_shapes(func, args, kwargs)

    def _decompose(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        """With floating-point tensors all on the meta device if one is: torch may check that devices are the same."""
        if not all(map(self.knows, tensors((args, tuple(kwargs.values()))))):
            args, kwargs = self.without_data(args, but_integers=True), self.without_data(kwargs, but_integers=True)
        return super()._decompose(func, args, kwargs)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor depend on no parameter and no floating-point input."""
        tensor = self._value_of(tensor)
        if tensor.is_meta or isinstance(tensor, nn.Parameter) or tensor.numel() > self.LARGEST_KNOWN:
            return False
        place = memory(tensor)
        if place in self._overwritten_unseen:
            return False
        if not _is_continuous(tensor):
            return True
        return place in self._made or (not self.differentiates and place != 0 and place not in self._places_owned)

    def _value_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The numbers of a stand-in that are known; else the tensor itself."""
        return self._known.get(tensor, tensor)

    def _integers_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The numbers of a stand-in that are known, if they are integers; else the tensor itself."""
        value = self._value_of(tensor)
        return tensor if _is_continuous(value) else value

    @functools.cached_property
    def _places_owned(self) -> Container[int]:
        """Where the tensors of the model lie; looked up when it is first asked for, which few models do."""
        return _Everything() if self._owned is None else set(map(memory, self._owned))

    def _run_known(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        """Runs an operator on values, unless its result is random or large, or it writes to what it did not make."""
        facts, given = facts_on(func), (args, kwargs)
        args, kwargs = self._on_values(args), self._on_values(kwargs)
        written = facts.tensors_written(args, kwargs)
        foreign = any(memory(tensor) not in self._made for tensor in written)
        inside = self.running > 1 and facts.creates  # where torch checks that devices are the same
        if foreign or inside or facts.is_random:
            self._overwritten_unseen.update(map(memory, written))
            return self._run_on_shapes(func, *given)
        if not (facts.needs_values or facts.may_return_views or written):
            with contextlib.suppress(DataNeededError):
                on_shapes = self._run_on_shapes(func, *given)
                if self.is_large(on_shapes[2]):
                    return on_shapes
        ran_args, ran_kwargs = _moved(func, args, kwargs, "cpu")
        out = for_the_model(func, *ran_args, **ran_kwargs)
        if facts.may_return_views and self.is_large(out):
            return self._run_on_shapes(func, *given)
        self._note_made(ran_args, ran_kwargs, out)
        if facts.lifts:
            self._is_new(memory(out))
            self._lifted.add(memory(out))
        if self._has_stand_ins(func, given, out):
            on_shapes = (ran_args, ran_kwargs, _shape_of(out)) if facts.lifts else self._run_on_shapes(func, *given)
            for stand_in, value in zip(tensors((on_shapes[2],)), tensors((out,)), strict=True):
                self._known.set(stand_in, value)
            return on_shapes
        return ran_args, ran_kwargs, out

    def _on_values(self, value: Any) -> Any:
        """Arguments with the numbers that are known of them in the place of stand-ins."""
        return _replaced(value, self._value_of)

    def _has_stand_ins(self, func: Operator, given: Sequence[Any], out: Any) -> bool:
        """Whether the known result of a call on known arguments is to be seen by its stand-ins."""
        return self.differentiates and any(map(_is_continuous, tensors((out,))))

    def _is_new(self, place: int) -> None:
        super()._is_new(place)
        self._overwritten_unseen.discard(place)
        self._lifted.discard(place)

    def is_large(self, result: Any) -> bool:
        return any(tensor.numel() > self.LARGEST_KNOWN for tensor in tensors((result,)))

    def _run_on_shapes(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        reads = reads_values(func, args)
        if reads:
            args, kwargs = _replaced(args, self._integers_of), _replaced(kwargs, self._integers_of)
        args, kwargs = self.without_data(args, but_integers=reads), self.without_data(kwargs, but_integers=reads)
        args, kwargs = _moved(func, args, kwargs, "meta")
        facts, fault = facts_on(func), None
        try:
            out = NotImplemented if facts.shape is None else facts.shape(args, kwargs)
        except Exception as error:  # ours, unless the call is one that torch refuses too
            out, fault = NotImplemented, error
        try:
            out = for_the_model(func, *args, **kwargs) if out is NotImplemented else out
        except (NotImplementedError, RuntimeError) as error:
            if "_nested" in facts.name:
                raise TracingError(NESTED) from error
            given_memory = any(isinstance(each, torch.UntypedStorage) for each in args)  # of a tensor that has data
            if facts.needs_values or given_memory or isinstance(error, NotImplementedError):
                raise DataNeededError(f"{facts.name} {NO_VALUES}") from error
            raise
        if fault is not None:
            raise fault
        return args, kwargs, out

    def without_data(self, value: Any, but_integers: bool = False) -> Any:
        """``value`` with a stand-in for each tensor that has data, also inside lists, tuples and mappings; for no known
        integers with ``but_integers``."""

        def replace(tensor: torch.Tensor) -> torch.Tensor:
            keep = but_integers and not tensor.dtype.is_floating_point and self.knows(tensor)
            return tensor if tensor.is_meta or keep else self._stand_in(tensor)

        return _replaced(value, replace)

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The stand-in of ``tensor``, the same one each time."""
        if (known := self._stand_ins.get(tensor, tensor)) is not tensor:
            return known
        self._stand_ins.set(tensor, made := _shape_of(tensor))
        return made


class _Everything:
    """Where every tensor lies that was not made here."""

    def __contains__(self, place: object) -> bool:
        return True


def _replaced(value: Any, replace: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """``value`` with another tensor for each, also inside lists, tuples and mappings."""
    if isinstance(value, torch.Tensor):
        return replace(value)
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, replace) for item in value)
    if isinstance(value, Mapping):
        return {key: _replaced(item, replace) for key, item in value.items()}
    return value


def _lies_in(result: Any, given: Any) -> bool:
    """Whether a tensor of the result lies in the memory of an argument, also where the schema does not say so."""
    made = [each for each in tensors((result,)) if each.is_meta and each.layout is torch.strided]
    return any(is_alias_of(each, other) for each in made for other in tensors(given) if other.is_meta)


def _is_continuous(tensor: torch.Tensor) -> bool:
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex


def _has_strides(tensor: torch.Tensor) -> bool:
    """Whether shape, strides and dtype say all about a tensor but its values."""
    return tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_nested


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor of the same shape, strides and dtype.

    Raises:
        DataNeededError: the tensor is sparse or quantised, which no meta tensor is.
        TracingError: it is nested.
    """
    if tensor.is_nested:
        raise TracingError(NESTED)
    if is_split(tensor):
        return split_like(tensor, _shape_of(part_of(tensor)))  # type: ignore[no-any-return]
    if not _has_strides(tensor):
        raise DataNeededError(f"a {tensor.layout} tensor of {tensor.dtype} has no form without data")
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _moved(
    func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any], device: str
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with every device that they name, or leave to torch, replaced by ``device``."""
    there = torch.device(device)
    moved = {name: there if isinstance(value, torch.device) else value for name, value in kwargs.items()}
    if facts_on(func).creates:
        moved["device"] = there
    return [there if isinstance(value, torch.device) else value for value in args], moved
