"""The recorder: runs the model once and writes every torch call that it sees into a `torch.fx.Graph`.

Python runs as it is written, so control flow on shapes and types, ``isinstance``, ``len``, item assignment, caches and
outputs of any kind are no obstacle. Calls are seen in three places: leaf modules where a module is called, functions
and methods of torch by a `TorchFunctionMode`, and what neither sees (inside ``torch.vmap`` or a scripted module) in
the dispatcher. Tensors are matched to nodes by identity.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import fx, nn
from torch._C._functorch import (  # no public names
    is_functorch_wrapped_tensor,
    is_gradtrackingtensor,
    maybe_current_level,
)
from torch.overrides import TorchFunctionMode

from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting import counting
from fxcount.engine.node_annotation import Annotation, annotation, place_of
from fxcount.engine.node_calls import Calls
from fxcount.engine.operator_facts import Operator
from fxcount.engine.surrounding_modes import Modes
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.formulas.arithmetic import tensors
from fxcount.formulas.custom import python_functions
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.autocast import autocast_chooses, call_as_on
from fxcount.tracing.containers import DEVICE_QUESTIONS, PLAIN, Part, is_constant, is_plain, parts_of, rebuild
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.leaf_modules import is_leaf
from fxcount.tracing.module_calls import watched_modules
from fxcount.tracing.new_nodes import NewNodes
from fxcount.tracing.patched_functions import node_kind, replaced_functions
from fxcount.tracing.trace import Trace, TracedModule


def record(model: CountedModel, call: ExampleCall) -> Trace:
    """Traces one run of ``model`` on shapes; integers that depend on no parameter keep their values."""
    return _record("recorded", model, call, WithoutData)


def execute(model: CountedModel, call: ExampleCall) -> Trace:
    """Traces one run of ``model`` on its data; whatever the run overwrites is put back.

    Raises:
        DataNeededError: the model or its input has no data.
    """
    if not model.has_data(call):
        raise DataNeededError(f"the executed tracer {NO_VALUES}")
    return _record("executed", model, call, OperatorCounter)


def _record(tracer: str, model: CountedModel, call: ExampleCall, make_counter: type[OperatorCounter]) -> Trace:
    try:
        return _record_once(tracer, model, call, make_counter(), autograd=False)
    except GradientNeeded:
        return _record_once(tracer, model, call, make_counter(), autograd=True)


def _record_once(
    tracer: str, model: CountedModel, call: ExampleCall, counter: OperatorCounter, autograd: bool
) -> Trace:
    recorder = Recorder(model, counter, model.device(call), autograd)
    replaced = call.replace_tensors(recorder.placeholder, model.forward)
    with counting(counter, autograd=autograd), recorder.watching():
        result = model.run(*replaced.args, **replaced.kwargs)
        recorder.output(result)
    module = TracedModule(recorder.graph, recorder.attributes.used, model.training)
    return Trace(tracer, module, call.tensors(), recorder.called)


class GradientNeeded(BaseException):  # not an error: it starts another attempt
    """The model asks for a gradient while it runs, which there are not below autograd; no model may catch this."""


GRADIENTS = (torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward)

SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]  # on the class it is a descriptor

NO_NODES = frozenset({*GRADIENTS, torch._assert, torch.Tensor.type, SET_DATA})
"""Functions that need another treatment than to be run and written down."""


NEED_VALUES = frozenset({"tolist", "numpy", "__array__", "__dlpack__"})
"""Methods that read values without an operator."""

_COPY_OF_STORAGE = torch.ops.aten.to.dtype_layout
"""What C++ calls to pickle a storage, with a tensor of its bytes that nobody has seen."""

PLAIN_PROPERTIES = frozenset({"shape", "dtype", "ndim", "layout", "requires_grad", "is_leaf", "itemsize", "nbytes"})
"""Properties of a tensor that are no tensors."""


class Recorder(TorchFunctionMode):
    """Writes what a model calls into ``graph``; every node is annotated with its shapes, operators and cost."""

    def __init__(self, model: CountedModel, counter: OperatorCounter, device: torch.device, autograd: bool) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self._new_nodes = NewNodes(self.graph)
        self.attributes = Attributes(model)
        self.called: list[tuple[str, str]] = []
        self._model = model
        self._counter = counter
        self._calls = Calls(counter)
        self._device = device
        self._device_type = device.type  # which takes long to read
        self._told = torch.device("cpu") if device.type == "meta" else device
        """The device that the model is told: on the meta device it would refuse to run, or go a way of its own."""
        self._autograd = autograd
        self._callers: list[str] = []
        self._inside_a_node = False
        self._nodes: dict[int, fx.Node | Part] = {}
        self._kept: list[Any] = []

    def placeholder(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A node for an input, and the tensor that the model gets in its place."""
        represented = self._counter.represent(tensor)
        node = self._node("placeholder", name, (), {}, annotation(represented))
        self._bind(represented, node)
        return represented

    def output(self, result: Any) -> None:
        """Closes the graph with the model's result."""
        self._node("output", "output", (self._argument(result),), {}, annotation(result))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While it lasts, calls of modules, functions and operators become nodes; then torch is as it was."""
        self._counter.on_call = self._operator_ran
        try:
            modules = watched_modules(self._call_module, self._model.modules.values())
            with modules, self, replaced_functions(python_functions(), self._call_function):
                self._modes = Modes()
                yield
        finally:
            self._counter.on_call = None

    def _call_module(self, module: nn.Module, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._inside_a_node:
            return call(*args, **kwargs)
        path = self.attributes.path_of(module)
        self.called.append((path, type(module).__name__))
        if is_leaf(module, self._model.run) and self.attributes.has_parameters_of(module):
            self.attributes.use(module)
            return self._record_aside("call_module", path, args, kwargs, call, module)
        self._callers.append(path)
        try:
            return call(*args, **kwargs)
        finally:
            self._callers.pop()

    def _call_function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A Python function that has a formula is one node."""
        if self._inside_a_node:
            return function(*args, **kwargs)
        return self._record_aside("call_function", function, args, kwargs, function)

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._counter.running:
            return func(*args, **kwargs)
        if self._inside_a_node:
            return self._call(func, args, kwargs)
        if func.__name__ == "__get__":
            return self._read_property(func, *args)
        if maybe_current_level() or func in NO_NODES or func.__name__ == "__set__":
            return self._call_specially(func, args, kwargs)
        op, target, arguments = node_kind(func, args)
        return self._record(op, target, arguments, kwargs, functools.partial(self._call, func, args, kwargs))

    def _call_specially(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """What ``torch.func`` transforms, asks for a gradient or is a question: most are no nodes."""
        transformed = [*tensors(args)] if maybe_current_level() else []
        if not self._autograd and (func in GRADIENTS or any(map(is_gradtrackingtensor, transformed))):
            raise GradientNeeded
        if func is torch._assert or any(map(is_functorch_wrapped_tensor, transformed)):
            return self._call(func, args, kwargs)
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:
            here = "" if self._told.type == "cpu" else f"{self._told.type}."
            return args[0].type().replace("meta.", here)
        run = functools.partial(self._call, func, args, kwargs)
        if func == SET_DATA:
            run = functools.partial(self._counter.set_data, *args)
        op, target, arguments = node_kind(func, args)
        return self._record(op, target, arguments, kwargs, run, repeats=False)

    def _call(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Calls a function of torch; where autocast is at work, as on the device of the model."""
        if not (autocast_chooses(self._device_type) and isinstance(self._counter, WithoutData)):
            return func(*args, **kwargs)
        if func.__name__ in ("__get__", "__set__"):
            return func(*args, **kwargs)
        if self._autograd or any(map(is_functorch_wrapped_tensor, tensors(args))):
            raise DataNeededError(f"a gradient or a vmap under autocast {NO_VALUES}")
        return call_as_on(self._device, func, args, kwargs)

    def _read_property(self, getter: Any, tensor: torch.Tensor, *owner: type) -> Any:
        """Sizes and dtypes are only read; a property that is a tensor, such as ``weight.T``, becomes a node."""
        name = getter.__self__.__name__
        if name in DEVICE_QUESTIONS:
            return DEVICE_QUESTIONS[name](self._device_of(tensor))
        if name in PLAIN_PROPERTIES:
            return getter(tensor, *owner)
        return self._record("call_function", getattr, (tensor, name), {}, functools.partial(getter, tensor, *owner))

    def _device_of(self, tensor: torch.Tensor) -> torch.device:
        """The device that the model sees: a stand-in is where the model is."""
        device = tensor.device
        return self._told if device.type == "meta" else device

    def _record_aside(
        self, op: str, target: Any, args: Any, kwargs: Any, call: Callable[..., Any], called: Any = None
    ) -> Any:
        """As ``_record``, where this mode is at work: or each look at a tensor would be a call to record."""

        def run() -> Any:
            with torch._C._EnableTorchFunction():  # the opposite has a public name
                return call(*args, **kwargs)

        with torch._C.DisableTorchFunction():
            return self._record(op, target, args, kwargs, run, called)

    def _record(
        self,
        op: str,
        target: Any,
        args: Any,
        kwargs: Any,
        run: Callable[[], Any],
        called: Any = None,
        *,
        repeats: bool = True,
    ) -> Any:
        """Runs a call; it becomes a node if a tensor comes out, something is written to, or it costs anything."""
        repeats = repeats and not (self._autograd or autocast_chooses(self._device_type) or self._modes.have_grown())
        self._inside_a_node = True
        try:
            result, note = self._calls.run(called or target, args, kwargs, run, repeats=repeats)
        except Exception as caught:
            error: Exception = caught
            if target in NEED_VALUES and any(tensor.is_meta for tensor in tensors(args)):
                error = DataNeededError(f"{target} {NO_VALUES}")
            error.add_note(self._place(op, target, args, kwargs))
            if error is caught:
                raise
            raise error from caught
        finally:
            self._inside_a_node = False
        if result is None or _matters(note):
            node = self._node(op, target, self._argument(args), self._argument(kwargs) if kwargs else kwargs, note)
            self._bind(result, node)
        return result

    def _operator_ran(self, func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """An operator that no recorded call has reached is a node of its own."""
        if self._inside_a_node:
            return
        with torch._C.DisableTorchFunction():  # as in _record_aside
            if func is _COPY_OF_STORAGE and args[0].is_meta and id(args[0]) not in self._nodes:
                error = DataNeededError(f"the content of a storage {NO_VALUES}")  # C++ would read at no address
                error.add_note(self._place("call_function", func, args, kwargs))
                raise error
            if _matters(note := annotation(out, self._counter.take_calls())):
                node = self._node("call_function", func, self._argument(args), self._argument(kwargs), note)
                self._bind(out, node)

    @property
    def _caller(self) -> str:
        return self._callers[-1] if self._callers else ""

    def _node(self, op: str, target: Any, args: Any, kwargs: Any, note: Annotation) -> fx.Node:
        return self._new_nodes.add(op, target, tuple(args), kwargs, self._caller, note)

    def _bind(self, result: Any, node: fx.Node) -> None:
        """From now on the tensors in ``result`` are what ``node`` computes."""
        self._kept.append(result)
        if isinstance(result, torch.Tensor):
            self._nodes[id(result)] = node
        else:
            self._nodes.update((id(tensor), part) for tensor, part in parts_of(result, node))

    def _argument(self, value: Any) -> Any:
        """``value`` as the argument of a node: every tensor in it as the node that computes it."""
        kind = type(value)
        if kind in PLAIN or (kind is slice and is_constant(value)):
            return value
        if isinstance(value, torch.Tensor):
            return self._node_of(value)
        if kind is tuple or kind is list:
            return kind([self._argument(item) for item in value])
        if kind is dict:
            return {key: self._argument(item) for key, item in value.items()}
        if kind is slice:
            return slice(self._argument(value.start), self._argument(value.stop), self._argument(value.step))
        if kind is torch.device:
            return self._device if value.type == "meta" or value == self._told else value
        if is_plain(value):
            return value
        made = rebuild(value)
        if made is None:
            return self._attribute(self.attributes.use(value), value)
        make, parts = made
        return self._node("call_function", make, [self._argument(part) for part in parts], {}, annotation(value))

    def _node_of(self, tensor: torch.Tensor) -> fx.Node:
        found = self._nodes.get(id(tensor))
        if isinstance(found, fx.Node):
            return found
        if found is None:
            return self._attribute(self.attributes.use(tensor), tensor)
        node = self._nodes[id(tensor)] = self._item(found)
        return node

    def _item(self, part: Part) -> fx.Node:
        if part.node is None:
            owner = part.owner if isinstance(part.owner, fx.Node) else self._item(part.owner)
            part.node = self._node("call_function", operator.getitem, (owner, part.key), {}, annotation(part.value))
            part.node.meta["module"] = owner.meta["module"]
        return part.node

    def _attribute(self, path: str, value: Any) -> fx.Node:
        node = self._node("get_attr", path, (), {}, annotation(value))
        self._bind(value, node)
        return node

    def _place(self, op: str, target: Any, args: Any, kwargs: Any) -> str:
        """Where in the model a call is made, for an error."""
        shapes = [(self._name(tensor), str(list(tensor.shape))) for tensor in tensors((args, *kwargs.values()))]
        return f"{place_of(op, target, dict(shapes), self._caller)}{_line_of_model()}"

    def _name(self, tensor: torch.Tensor) -> str:
        found = self._nodes.get(id(tensor))
        return found.name if isinstance(found, fx.Node) else "a tensor"


def _line_of_model() -> str:
    """The file and line of the code that is neither torch's nor ours and is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(("torch.", "fxcount.")):
        frame = frame.f_back
    return "" if frame is None else f", {frame.f_code.co_filename}:{frame.f_lineno}"


def _matters(note: Annotation) -> bool:
    """Whether a call made a tensor or has a cost; questions about shapes do neither."""
    return "tensor_meta" in note or any(call.equation or call.uncounted for call in note["operators"])
