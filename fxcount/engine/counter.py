"""The dispatcher seen from below: modes under which every torch operator is costed, with or without data.

Below autograd nothing stands between a call and a `TorchDispatchMode`: autograd would have split composite operators
(attention, linear, LSTM) into the parts that one device happens to use. So the mode sees each operator as it was
called. One that has a formula is costed as a whole; one that has none is taken apart, and its parts
are costed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.jit import optimized_execution  # type: ignore[attr-defined]  # public, but not in its __all__
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from fxcount.cost import Cost, OperatorCost
from fxcount.engine.higher_order import run_higher_order
from fxcount.engine.repeated_calls import Repeats, key_of, new_or_shared
from fxcount.engine.shape_functions import find_shape, reads_values
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.formulas import REFUSED, find_formula, operator_name
from fxcount.formulas.arithmetic import tensors
from fxcount.formulas.custom import custom_formulas

Operator = torch._ops.OpOverload


class OperatorCounter(TorchDispatchMode):
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
        self._made: set[int] = set()
        self._overwritten: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Operator, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self.running += 1
        try:
            if isinstance(func, HigherOrderOperator):
                out = run_higher_order(self, func, args, kwargs)
            else:
                out = self._count(func, args, kwargs)
        finally:
            self.running -= 1
        if self.on_call is not None and not self.running:
            self.on_call(func, args, kwargs, out)
        return out

    def _count(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        formula = find_formula(func)
        if formula is None:
            out = self._decompose(func, args, kwargs)
            if out is not NotImplemented:
                return out
        ran_args, ran_kwargs, out = self.run(func, args, kwargs)
        if formula is None:
            name = operator_name(func)
            self.calls.append(OperatorCost(name, Cost(), uncounted=REFUSED.get(name, "no formula is known")))
        else:
            self.calls.append(formula(ran_args, ran_kwargs, out))
        return out

    def measure(self, run: Callable[[], Any]) -> tuple[Any, list[OperatorCost]]:
        """The result of ``run()``, and what it costs, which is not noted."""
        noted, self.calls = self.calls, []
        try:
            with self:
                return run(), self.calls
        finally:
            self.calls = noted

    def _decompose(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        """Runs a composite operator so that its parts are seen; ``NotImplemented`` if it is not composite."""
        with self:
            return func.decompose(*args, **kwargs)

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

    def key_of(self, func: Hashable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        """What the result of a call depends on, if that is nothing but shapes; None otherwise."""
        return None

    def run(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        """Runs the operator; returns the arguments that it ran on, and its result."""
        for tensor in written(func, args, kwargs):
            self._keep(tensor)
        out = func(*args, **kwargs)
        self._note_made(args, kwargs, out)
        return args, kwargs, out

    def restore(self) -> None:
        """Puts back what was overwritten."""
        for storage, before in self._overwritten.values():
            storage.copy_(before)

    def _note_made(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """Memory in a result that is not an argument's was made by the operator."""
        given = {memory(tensor) for tensor in tensors((args, tuple(kwargs.values())))}
        self._made.update({memory(tensor) for tensor in tensors((out,))} - given - {0})

    def _keep(self, tensor: torch.Tensor) -> None:
        place = memory(tensor)
        if place and place not in self._made and place not in self._overwritten:
            storage = tensor.untyped_storage()
            self._overwritten[place] = (storage, storage.clone())


class WithoutData(OperatorCounter):
    """An `OperatorCounter` that computes on shapes: parameters and floating-point inputs have no data.

    Such a tensor is represented by a stand-in on the meta device: shape, strides and dtype, no storage. What depends on
    none of them, such as token ids, masks and positions, stays known as long as it is small: it is computed for real on
    the CPU, so that a model may ask for its value.
    """

    LARGEST_KNOWN = 2**20
    """Elements of the largest tensor whose values are computed."""

    def __init__(self) -> None:
        super().__init__()
        self._stand_ins: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._overwritten_unseen: set[int] = set()
        self._repeats = Repeats[tuple[OperatorCost, ...]]()
        self._repeats_of_torch = new_or_shared("operators", own=custom_formulas())

    def represent(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach() if self.knows(tensor) else _shape_of(tensor)

    def _count(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        repeats = self._repeats_of_torch if func.namespace == "aten" else self._repeats
        key = self._key_of_call(func, args, kwargs) if _may_repeat(func) else None
        found = None if key is None else repeats.find(key, args)
        if found is not None:
            out, calls = found
            self.calls += calls
            return out
        before = len(self.calls)
        out = super()._count(func, args, kwargs)
        if key is not None and (not func._schema.is_mutable or key == self._key_of_call(func, args, kwargs)):
            repeats.add(key, args, kwargs, out, tuple(self.calls[before:]))
        return out

    def key_of(self, func: Hashable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        return key_of(func, args, kwargs, self._as_shape)

    def _key_of_call(self, func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        """The key of a call that runs on shapes: known tensors beside unknown ones are then shapes too, unless it reads
        their values or writes to them."""
        key = self.key_of(func, args, kwargs)
        if key is not None or func._schema.is_mutable or reads_values(func, args) or find_formula(func) is None:
            return key
        if all(map(self.knows, tensors((args, tuple(kwargs.values()))))):
            return None
        return key_of(func, args, kwargs, self._shape_of_known)

    def _shape_of_known(self, tensor: torch.Tensor) -> torch.Tensor | None:
        shape = self._as_shape(tensor)
        return tensor if shape is None and _has_strides(tensor) else shape

    def _as_shape(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """What has the shape of a tensor that has no data or is to have none; None if its values are known."""
        if tensor.is_meta:
            return tensor
        if (type(tensor) is not nn.Parameter and self.knows(tensor)) or not _has_strides(tensor):
            return None
        stand_in = self._stand_ins.get(id(tensor))
        return tensor if stand_in is None else stand_in[1]

    def set_data(self, tensor: torch.Tensor, data: torch.Tensor) -> None:
        if tensor.is_meta or not data.is_meta:
            super().set_data(tensor, data)
        else:
            self._stand_ins[id(tensor)] = (tensor, data)

    def run(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        given = tensors((args, tuple(kwargs.values())))
        if all(map(self.knows, given)) or func is torch.ops.aten.lift_fresh.default:
            return self._run_known(func, args, kwargs)
        self._overwritten_unseen.update(memory(tensor) for tensor in written(func, args, kwargs) if not tensor.is_meta)
        return self._run_on_shapes(func, args, kwargs)

    def _decompose(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Any:
        """With floating-point tensors all on the meta device if one is: torch may check that devices are the same."""
        if not all(map(self.knows, tensors((args, tuple(kwargs.values()))))):
            args, kwargs = self._without_data(args, but_integers=True), self._without_data(kwargs, but_integers=True)
        return super()._decompose(func, args, kwargs)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor depend on no parameter and no floating-point input."""
        if tensor.is_meta or isinstance(tensor, nn.Parameter) or tensor.numel() > self.LARGEST_KNOWN:
            return False
        place = memory(tensor)
        if place in self._overwritten_unseen:
            return False
        return place in self._made or not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)

    def _run_known(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        """Runs an operator on values, unless its result is random or large, or it writes to what it did not make."""
        foreign = any(memory(tensor) not in self._made for tensor in written(func, args, kwargs))
        inside = self.running > 1 and _creates(func)  # where torch checks that devices are the same
        if foreign or inside or torch.Tag.nondeterministic_seeded in func.tags:
            self._overwritten_unseen.update(memory(tensor) for tensor in written(func, args, kwargs))
            return self._run_on_shapes(func, args, kwargs)
        if not (_needs_data(func) or _may_be_view(func) or written(func, args, kwargs)):
            with contextlib.suppress(DataNeededError):
                on_shapes = self._run_on_shapes(func, args, kwargs)
                if self._is_large(on_shapes[2]):
                    return on_shapes
        ran_args, ran_kwargs = _moved(func, args, kwargs, "cpu")
        out = func(*ran_args, **ran_kwargs)
        if _may_be_view(func) and self._is_large(out):
            return self._run_on_shapes(func, args, kwargs)
        self._note_made(ran_args, ran_kwargs, out)
        if func is torch.ops.aten.lift_fresh.default:
            self._made.add(memory(out))
        return ran_args, ran_kwargs, out

    def _is_large(self, result: Any) -> bool:
        return any(tensor.numel() > self.LARGEST_KNOWN for tensor in tensors((result,)))

    def _run_on_shapes(self, func: Operator, args: Sequence[Any], kwargs: Any) -> tuple[Sequence[Any], Any, Any]:
        if not reads_values(func, args):
            args, kwargs = self._without_data(args), self._without_data(kwargs)
        args, kwargs = _moved(func, args, kwargs, "meta")
        shape = find_shape(func)
        try:
            out = NotImplemented if shape is None else shape(args, kwargs)
            return args, kwargs, func(*args, **kwargs) if out is NotImplemented else out
        except (NotImplementedError, RuntimeError) as error:
            if _needs_data(func) or isinstance(error, NotImplementedError):
                name = operator_name(func)
                raise DataNeededError(f"{name} {NO_VALUES}") from error
            raise

    def _without_data(self, value: Any, but_integers: bool = False) -> Any:
        """``value`` with a stand-in for each tensor that has data, also inside lists, tuples and mappings."""
        if isinstance(value, torch.Tensor):
            keep = but_integers and not value.dtype.is_floating_point and self.knows(value)
            return value if value.is_meta or keep else self._stand_in(value)
        if type(value) in (list, tuple):
            return type(value)(self._without_data(item, but_integers) for item in value)
        if isinstance(value, Mapping):
            return {key: self._without_data(item, but_integers) for key, item in value.items()}
        return value

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The stand-in of ``tensor``, the same one each time; the tensor is kept so that its id stays its own."""
        if id(tensor) not in self._stand_ins:
            self._stand_ins[id(tensor)] = (tensor, _shape_of(tensor))
        return self._stand_ins[id(tensor)][1]


def _has_strides(tensor: torch.Tensor) -> bool:
    """Whether shape, strides and dtype say all about a tensor but its values."""
    return tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_nested


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor of the same shape, strides and dtype.

    Raises:
        DataNeededError: the tensor is sparse, quantised or nested, which no meta tensor is.
    """
    if not _has_strides(tensor):
        raise DataNeededError(f"a {tensor.layout} tensor of {tensor.dtype} has no form without data")
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _moved(
    func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any], device: str
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with every device that they name, or leave to torch, replaced by ``device``."""
    there = torch.device(device)
    moved = {name: there if isinstance(value, torch.device) else value for name, value in kwargs.items()}
    if _creates(func):
        moved["device"] = there
    return [there if isinstance(value, torch.device) else value for value in args], moved


@functools.cache
def _creates(func: Operator) -> bool:
    """Whether an operator makes a tensor out of nothing: it names a device and takes no tensor."""
    arguments = func._schema.arguments
    takes_tensor = any("Tensor" in str(argument.type) for argument in arguments)
    return not takes_tensor and any(argument.name == "device" and argument.kwarg_only for argument in arguments)


@functools.cache
def _may_repeat(func: Operator) -> bool:
    """Whether a call of an operator may be one that was made before: not if it changes the shape of a tensor that it is
    given, such as ``unsqueeze_``, or makes one that is known."""
    return not (torch.Tag.inplace_view in func.tags or _creates(func) or func is torch.ops.aten.lift_fresh.default)


@functools.cache
def _may_be_view(func: Operator) -> bool:
    """Whether all that an operator returns may be memory of its arguments: it computes no more than a copy of them."""
    returns = func._schema.returns
    return bool(returns) and all(each.alias_info is not None for each in returns)


@functools.cache
def _needs_data(func: Operator) -> bool:
    """Whether torch says that an operator's result, or its shape, may depend on values."""
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


_WRITTEN_UNDECLARED = ("running_mean", "running_var")
"""Arguments of norms that are updated although the schema does not say so."""


@functools.cache
def _written_arguments(func: Operator) -> tuple[tuple[int, str], ...]:
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.is_write or argument.name in _WRITTEN_UNDECLARED
    )


def written(func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The tensors that a call writes to."""
    places = _written_arguments(func)
    return list(tensors(args[place] if place < len(args) else kwargs.get(name) for place, name in places))


def memory(tensor: torch.Tensor) -> int:
    """The address of a tensor's storage, the same for all views of it; 0 where there is none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse tensors and wrappers have no storage of their own
        return 0


@contextlib.contextmanager
def counting(counter: OperatorCounter | None = None, *, autograd: bool = False) -> Iterator[OperatorCounter]:
    """A counter at work, without data unless another one is given; what it overwrites is put back.

    No fused path that only some devices have, and compiled or scripted functions run as they were written. With
    ``autograd`` there are gradients, and composite operators are seen as their parts.
    """
    counter = WithoutData() if counter is None else counter
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    autocast_cache = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)  # or what was cast here would be used in a run afterwards
    try:
        # torch.inference_mode() does so in public, but its tensors cannot be views of others, and the model sees it.
        level = _gradients() if autograd else torch._C._AutoDispatchBelowAutograd()
        with torch.compiler.set_stance("force_eager"), optimized_execution(False), level, counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        torch.set_autocast_cache_enabled(autocast_cache)
        counter.restore()


@contextlib.contextmanager
def _gradients() -> Iterator[None]:
    """Attention is taken apart by its definition, as without data: a device's fused kernel has its own backward."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield
