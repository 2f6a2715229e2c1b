"""The recorder: runs the model once and writes every torch call that it sees into a `torch.fx.Graph`.

Python runs as it is written, so control flow on shapes and types, ``isinstance``, ``len``, item assignment, caches and
outputs of any kind are no obstacle. Calls are seen in three places: leaf modules where a module is called, functions
and methods of torch by a `TorchFunctionMode`, and what neither sees (inside ``torch.vmap`` or a scripted module) in
the dispatcher. Tensors are matched to nodes by identity.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from fxcount._torch import Operator, assertion, enable_torch_function, is_transformed, transform_level
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import above_autograd, counting
from fxcount.engine.indexing import for_symbols
from fxcount.engine.node_annotation import Annotation, annotation, place_of
from fxcount.engine.node_calls import Calls
from fxcount.engine.refusals import refusals, refused
from fxcount.engine.routed import some_of_several
from fxcount.engine.sharding import mesh_axes, wait_for
from fxcount.engine.surrounding_modes import Modes
from fxcount.engine.with_symbols import WithSymbols, without_data
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.fault_origin import for_the_model, line_of_model
from fxcount.formulas.custom import python_functions
from fxcount.formulas.number_kinds import tensors
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.autocast import autocast_chooses, call_as_on
from fxcount.tracing.autograd_calls import HOOKS, OF_AUTOGRAD, PROPERTIES, AutogradCalls, AutogradNeeded, is_of_autograd
from fxcount.tracing.containers import computed
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.graph_builder import GraphBuilder
from fxcount.tracing.lookups import called
from fxcount.tracing.model_device import DEVICE_QUESTIONS, ModelDevice
from fxcount.tracing.module_calls import ModuleCalls
from fxcount.tracing.operators import OPERATORS, is_operator
from fxcount.tracing.patched_functions import copy_of_shape, node_kind, replaced_functions, watched_parameters
from fxcount.tracing.trace import Trace, TracedModule


def record(model: CountedModel, call: ExampleCall, put_back: Callable[[], None], backward: bool) -> Trace:
    """Traces one run of ``model`` on shapes; integers that depend on no parameter keep their values.

    A model on several ranks is run with autograd at work: what a `DTensor` does is decided for the operators that are
    left then, and what `fully_shard` does is functions of autograd.

    Raises:
        DataNeededError: such a model has data, which autograd does not take beside shapes.
    """
    counter = without_data(model.owned, call.symbols)
    counter.differentiates = above = model.is_split(call, backward)
    if above and any(not tensor.is_meta for tensor in model.owned):
        raise DataNeededError("a model on several ranks is counted on its data, or on the meta device")
    return _record("recorded", model, call, counter, autograd=above, backward=backward)


def execute(model: CountedModel, call: ExampleCall, put_back: Callable[[], None], backward: bool) -> Trace:
    """Traces one run of ``model`` on its data; whatever the run overwrites is put back.

    Raises:
        DataNeededError: the model or its input has no data.
    """
    if not model.has_data(call):
        raise DataNeededError(f"the executed tracer {NO_VALUES}")
    if not (backward or model.is_split(call, backward)):
        try:
            return _record("executed", model, call, OperatorCounter())
        except AutogradNeeded:
            put_back()
    return _record("executed", model, call, OperatorCounter(), autograd=True, backward=backward)


def _record(
    tracer: str,
    model: CountedModel,
    call: ExampleCall,
    counter: OperatorCounter,
    *,
    autograd: bool = False,
    backward: bool = False,
) -> Trace:
    counter.axes = mesh_axes((*model.owned, *call.tensors()))
    counter.some = some_of_several(model.owned)
    recorder = Recorder(model, counter, model.device(call), autograd)
    with counter.rules():
        replaced = call.replace_tensors(recorder.placeholder, model.forward)
    with refusals(), counting(counter, autograd=autograd):
        with recorder.watching():
            result = computed(for_the_model(model.run, *replaced.args, **replaced.kwargs))
            with torch.DisableTorchFunction():  # each look at a tensor would be a question of the model's
                recorder.graph.output(result)
        recorder.autograd.finish()
        gradients = recorder.autograd.backward(result) if backward else None
    wait_for(tensors((result,)))
    attributes = recorder.graph.attributes
    module = TracedModule(recorder.graph.graph, attributes.used, model.training)
    called, settings, states = recorder.modules.called, recorder.graph.autograd, attributes.states
    inputs, made = call.tensors(), attributes.made
    return Trace(tracer, module, inputs, called, model.owned, settings, made, states, gradients, call.symbols)


SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]  # on the class it is a descriptor

COPY = torch.Tensor.__deepcopy__

NO_NODES = frozenset({*OF_AUTOGRAD, assertion, torch.Tensor.type, SET_DATA, COPY})
"""Functions that need another treatment than to be run and written down."""


NEED_VALUES = frozenset(
    {"tolist", "numpy", "__array__", "__dlpack__", "data_ptr", "untyped_storage", "storage", "_typed_storage"}
)
"""Methods that read values, or where they lie, without an operator."""

_COPY_OF_STORAGE = torch.ops.aten.to.dtype_layout
"""What C++ calls to pickle a storage, with a tensor of its bytes that nobody has seen."""

PLAIN_PROPERTIES = frozenset({"shape", "dtype", "ndim", "layout", "itemsize", "nbytes"})
"""Properties of a tensor that are no tensors."""


class Recorder(TorchFunctionMode):
    """Has every call that a model makes written into a graph, annotated with its shapes, operators and cost."""

    def __init__(self, model: CountedModel, counter: OperatorCounter, device: torch.device, autograd: bool) -> None:
        super().__init__()
        self._device = ModelDevice(device)
        attributes = Attributes(model)
        self.modules = ModuleCalls(model, attributes)
        self.graph = GraphBuilder(attributes, self.modules, self._device, counter.has_made)
        self._counter = counter
        self._calls = Calls(counter, taken_apart=autograd)
        self.autograd = AutogradCalls(self.graph, self.modules, counter, model, autograd)

    def placeholder(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A node for an input, and the tensor that the model gets in its place."""
        represented = self.autograd.input(self._counter.represent(tensor), tensor)
        self.graph.placeholder(name, represented)
        return represented

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While it lasts, calls of modules, functions and operators become nodes; then torch is as it was."""
        self._counter.on_call = self._operator_ran
        try:
            functions = replaced_functions(python_functions(), self._call_function)
            of_autograd = self.autograd.watching(self._call_function_of_autograd)
            parameters = watched_parameters(self.graph.attributes.note_made)
            with self.modules.watching(self._call_leaf), of_autograd, parameters, self, functions:
                self._modes = Modes()
                yield
        finally:
            self._counter.on_call = None

    def _call_leaf(self, module: nn.Module, path: str, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return self._record_aside("call_module", path, args, kwargs, call, module)

    def _call_function(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """A Python function that has a formula is one node."""
        if self.modules.inside_a_node:
            return for_the_model(function, *args, **kwargs)
        return self._record_aside("call_function", function, args, kwargs, function)

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._counter.running:
            return for_the_model(func, *args, **kwargs)
        if self.modules.inside_a_node:
            return self._call(func, args, kwargs)
        if func.__name__ == "__get__":
            return self._read_property(func, *args)
        if transform_level() or func in NO_NODES or func.__name__ == "__set__":
            return self._call_specially(func, args, kwargs)
        op, target, arguments = node_kind(func, args)
        result = self._record(op, target, arguments, kwargs, self._call, (func, args, kwargs))
        if (last := self.graph.last()).target is target:
            last.meta["called"] = called(sys._getframe(1), target)
        if op == "call_method" and target in OPERATORS and isinstance(node := self.graph.maker_of(result), fx.Node):
            node.meta["by_operator"] = is_operator(sys._getframe(1), target)
        return result

    def _call_function_of_autograd(self, target: Any, apply: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return self._record_aside("call_function", target, args, kwargs, apply)

    def _call_specially(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """What ``torch.func`` transforms, is autograd's or is a question: most are no nodes."""
        if func is assertion or (transform_level() and any(map(is_transformed, tensors(args)))):
            return self.autograd.of_transforms(self._call, func, args, kwargs)
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:
            here = "" if self._device.told.type == "cpu" else f"{self._device.told.type}."
            return args[0].type().replace("meta.", here)
        if func in HOOKS:
            return self.autograd.register(self._call, func, args, kwargs)
        run: Callable[..., Any] = self._call
        given: Sequence[Any] = (func, args, kwargs)
        if is_of_autograd(func):
            run, given = self.autograd.call, (self._call, *given)
        if func == SET_DATA:
            run, given = for_the_model, (self._counter.set_data, *args)
        op, target, arguments = node_kind(func, args)
        if func is COPY:
            arguments = (args[0], {})  # and not what else was copied before, such as a module that is half made
            if isinstance(self._counter, WithoutData):
                run, given = copy_of_shape, args
        result = self._record(op, target, arguments, kwargs, run, given, repeats=False)
        self.autograd.called(func, self.graph.last())
        return result

    def _call(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Calls a function of torch; where autocast is at work, as on the device of the model."""
        if isinstance(self._counter, WithSymbols):
            func = for_symbols(func)
        if not (autocast_chooses(self._device.type) and isinstance(self._counter, WithoutData)):
            if self.autograd.forward_mode and not self.autograd.above:
                with above_autograd(self._counter):
                    return for_the_model(func, *args, **kwargs)
            return for_the_model(func, *args, **kwargs)
        if func.__name__ in ("__get__", "__set__"):
            return for_the_model(func, *args, **kwargs)
        if self.autograd.above or self.autograd.forward_mode or any(map(is_transformed, tensors(args))):
            raise refused(DataNeededError(f"a gradient or a vmap under autocast {NO_VALUES}"))
        return call_as_on(self._device.actual, func, args, kwargs)

    def _read_property(self, getter: Any, tensor: torch.Tensor, *owner: type) -> Any:
        """Sizes and dtypes are only read; a property that is a tensor, such as ``weight.T``, becomes a node."""
        name = getter.__self__.__name__
        if name in DEVICE_QUESTIONS:
            return DEVICE_QUESTIONS[name](self._device.of(tensor))
        if transform_level() and is_transformed(tensor):
            return self.autograd.of_transforms(self._call, getter, (tensor, *owner), {})
        run: Callable[..., Any] = for_the_model
        given: Sequence[Any] = (getter, tensor, *owner)
        if name in PROPERTIES:
            answer = self.autograd.ask(getter, tensor, *owner)
            if not isinstance(answer, torch.Tensor):
                return answer
            run, given = _itself, (answer,)
        elif name in PLAIN_PROPERTIES:
            return for_the_model(getter, tensor, *owner)
        repeats = name not in PROPERTIES
        return self._record("call_function", getattr, (tensor, name), {}, run, given, repeats=repeats)

    def _record_aside(
        self, op: str, target: Any, args: Any, kwargs: Any, call: Callable[..., Any], called: Any = None
    ) -> Any:
        """As ``_record``, where this mode is at work: or each look at a tensor would be a call to record."""

        def run() -> Any:
            with enable_torch_function():
                return for_the_model(call, *args, **kwargs)

        with torch.DisableTorchFunction():
            return self._record(op, target, args, kwargs, run, (), called)

    def _record(
        self,
        op: str,
        target: Any,
        args: Any,
        kwargs: Any,
        run: Callable[..., Any],
        given: Sequence[Any],
        called: Any = None,
        *,
        repeats: bool = True,
    ) -> Any:
        """``run(*given)``, the call: a node if a tensor comes out, something is written to, or it costs anything."""
        repeats = repeats and self.autograd.may_repeat
        under_modes = self._modes.have_grown()
        repeats = repeats and not (autocast_chooses(self._device.type) or under_modes)
        if under_modes:
            self.graph.autograd.note_modes()
        self.modules.inside_a_node = True
        try:
            without_data = isinstance(self._counter, WithoutData)
            if (
                without_data
                and target in NEED_VALUES
                and not _asked_by_torch()
                and any(tensor.is_meta for tensor in tensors(args))
            ):
                raise refused(DataNeededError(f"{target} {NO_VALUES}"))
            result, note = self._calls.run(called or target, args, kwargs, run, given, repeats=repeats)
        except Exception as error:
            error.add_note(self._place(op, target, args, kwargs))
            raise
        finally:
            self.modules.inside_a_node = False
        if "tensor_meta" in note or result is None or _matters(note):
            self.graph.add(op, target, args, kwargs, result, note)
        return result

    def _operator_ran(self, func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """An operator that no recorded call has reached is a node of its own."""
        if self.modules.inside_a_node:
            return
        with torch.DisableTorchFunction():  # as in _record_aside
            if func is _COPY_OF_STORAGE and args[0].is_meta and self.graph.maker_of(args[0]) is None:
                error = DataNeededError(f"the content of a storage {NO_VALUES}")  # C++ would read at no address
                error.add_note(self._place("call_function", func, args, kwargs))
                raise refused(error)
            if _matters(note := annotation(out, self._counter.take_calls(), self._counter.storages)):
                self.graph.add("call_function", func, args, kwargs, out, note)

    def _place(self, op: str, target: Any, args: Any, kwargs: Any) -> str:
        """Where in the model a call is made, for an error."""
        shapes = [(self.graph.name_of(tensor), str(list(tensor.shape))) for tensor in tensors((args, *kwargs.values()))]
        return f"{place_of(op, target, dict(shapes), self.modules.caller)}{line_of_model()}"


def _asked_by_torch() -> bool:
    """Whether it is `fully_shard` that looks at storages, which it gives memory and takes it from."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("fxcount."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).startswith("torch.distributed.")


def _itself(value: Any) -> Any:
    return value


def _matters(note: Annotation) -> bool:
    """Whether a call made a tensor or has a cost; questions about shapes do neither."""
    return "tensor_meta" in note or any(call.equation or call.uncounted for call in note["operators"])
