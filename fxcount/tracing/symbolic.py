"""The symbolic tracer: `torch.fx` runs the model on proxies; the graph holds for every input."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.fx.proxy import TraceError
from torch.overrides import TorchFunctionMode

from fxcount._torch import DispatchMode, assertion, wrapped_functions
from fxcount.engine.refusals import refusals
from fxcount.engine.surrounding_modes import Modes
from fxcount.engine.threads import refuse_elsewhere
from fxcount.errors import TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.custom import python_functions
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.autocast import Autocast, autocast_chooses
from fxcount.tracing.autograd_functions import watched_functions
from fxcount.tracing.autograd_settings import AutogradSettings
from fxcount.tracing.containers import PLAIN, computed, contains, is_plain, is_special_container, rebuild
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.identity_questions import Questions
from fxcount.tracing.lookups import called
from fxcount.tracing.model_device import DEVICE_QUESTIONS
from fxcount.tracing.module_calls import ModuleCalls
from fxcount.tracing.node_creation import NewNodes
from fxcount.tracing.operators import OPERATORS, is_operator
from fxcount.tracing.patched_functions import node_kind, replaced_functions, watched_methods
from fxcount.tracing.proxies import (
    ASK_FOR_SIZES,
    CannotTrace,
    GuardedAttribute,
    GuardedProxy,
    Text,
    refuse,
    refuse_leftover,
)
from fxcount.tracing.saved_regions import SavedRegion, watched_regions
from fxcount.tracing.trace import Trace, TracedModule

TRACED = (fx.Proxy, torch.Tensor)
_CALLS = frozenset({"call_module", "call_function", "call_method"})


def trace_symbolically(model: CountedModel, call: ExampleCall, *, backward: bool = False) -> Trace:
    """Traces ``model`` with a proxy for each tensor of ``call``; all other arguments are as in the call. With
    ``backward`` the graph has all that autograd goes by.

    Raises:
        TracingError: what the model does with a traced value has no place in a graph.
    """
    tracer = SymbolicTracer(model, call, backward)
    try:
        with refusals():
            graph = tracer.trace(model.run)
    except (CannotTrace, TraceError) as refusal:
        raise TracingError(f"cannot be traced symbolically: {refusal}") from None
    finally:
        tracer.is_over = True
    module = TracedModule(graph, tracer.attributes.used, model.training)
    called, made, states = tracer.modules.called, tracer.attributes.made, tracer.attributes.states
    inputs, settings = call.tensors(), tracer.autograd
    return Trace("symbolic", module, inputs, called, model.owned, settings, made, states, symbols=call.symbols)


class SymbolicTracer(fx.Tracer):
    """A `torch.fx.Tracer` that calls the model itself, so that its hooks run, and looks names up by identity.

    Nothing is set on the model: what it does not own is named in ``attributes``.
    """

    def __init__(self, model: CountedModel, call: ExampleCall, backward: bool) -> None:
        super().__init__(autowrap_modules=())  # type: ignore[arg-type]  # math needs values: recorded
        self.attributes = Attributes(model)
        self.modules = ModuleCalls(model, self.attributes)
        self.autograd = AutogradSettings()
        self._model = model
        self._call = call
        self._backward = backward
        self._device = model.device(call)
        self._device_type = self._device.type  # which takes long to read
        self._began_in_autocast = autocast_chooses(self._device_type)
        self._nodes: dict[str, fx.Node] = {}
        self._questions = Questions()
        self._thread = threading.get_ident()
        self.is_over = False
        """Whether what is left of its proxies stands for nothing any more."""

    def trace(self, root: Callable[..., Any], concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """The graph of one call of ``root``, which is the model.

        `torch.fx.Tracer.trace` would call what it finds in the class of the model, so that none of its hooks runs.
        """
        self.root = nn.Module()
        self.graph = fx.Graph()
        self._new_nodes = NewNodes(self.graph)
        if self._questions.may_come_from(self._model.forward):
            refuse("the type or identity")
        call = self._call.replace_tensors(
            lambda name, _: self.create_proxy("placeholder", name, (), {}), self._model.forward
        )
        with self._watching():
            result = computed(for_the_model(root, *call.args, **call.kwargs))
            self.create_node("output", "output", (self.create_arg(result),), {})
        return self.graph

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """While it lasts, calls of modules and functions become nodes, and nothing else runs."""
        functions = replaced_functions(python_functions(), self.call_function)
        nothing_runs = NothingRuns()
        traced = EveryTensorIsTraced(self, nothing_runs)
        methods = watched_methods(self._call_method)
        modules = self.modules.watching(self._call_leaf, self._refuse_questions)
        regions = watched_regions(self._enter_region, self.autograd.leave)
        with nothing_runs, modules, methods, traced, regions, functions, contextlib.ExitStack() as stack:
            if self._backward:
                stack.enter_context(watched_functions(_refuse_gradient))
            for_the_model(stack.enter_context, wrapped_functions())  # which a library may have told of what is gone
            self._modes = Modes()
            yield

    def _call_leaf(
        self, module: nn.Module, path: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        proxy = self.create_proxy("call_module", path, args, kwargs)
        proxy.node.meta["called_as"] = self.modules.called[-1][0]
        return proxy

    def _refuse_questions(self, module: nn.Module) -> None:
        if self._questions.may_come_from_call_of(module):
            refuse("the type or identity")

    def _enter_region(self, hooks: saved_tensors_hooks) -> None:
        region = SavedRegion(hooks)
        if region.is_hooked:
            raise CannotTrace("hooks on what is saved for a backward pass run on tensors alone")
        self.autograd.enter(region)

    def call_function(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """A Python function that has a formula is one node."""
        if contains(TRACED, args, kwargs):
            return self.create_proxy("call_function", function, args, kwargs)
        return for_the_model(function, *args, **kwargs)

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> fx.Node:
        """A node that knows the module that makes the call, and none of what else a `torch.fx.Tracer` notes."""
        if self.is_over:
            refuse_leftover()
        if threading.get_ident() != self._thread:
            refuse_elsewhere(target)
        if kind in _CALLS and self._modes.have_grown():
            raise CannotTrace("a mode of the model's own sees calls of tensors, and not those of traced values")
        if not isinstance(target, str) and (not hasattr(target, "__name__") or type(target).__hash__ is None):
            raise CannotTrace(f"{type(target).__name__} has no name in a graph")
        meta: dict[str, Any] = {}
        if kind in ("call_function", "call_method"):
            meta["called"] = called(sys._getframe(1), target)
        if self._began_in_autocast or autocast_chooses(self._device_type):
            meta["autocast"] = Autocast.now(self._device)
        node = self._new_nodes.add(kind, target, args, kwargs, self.modules.caller, meta, name)
        self.autograd.note(node)
        return node

    def _call_method(self, method: Callable[..., Any], parameter: nn.Parameter, *args: Any, **kwargs: Any) -> Any:
        """A method of a parameter that may be given numbers of proxies; a node would call what a subclass overrides."""
        if type(parameter) is nn.Parameter and contains((fx.Proxy,), args, kwargs):
            return self.create_proxy("call_method", method.__name__, (parameter, *args), kwargs)
        return for_the_model(method, parameter, *args, **kwargs)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return GuardedProxy(node, self)

    def create_arg(self, a: Any) -> Any:
        kind = type(a)
        if kind in PLAIN:
            return a
        if issubclass(kind, fx.Proxy):
            if a.tracer is not self and getattr(a.tracer, "is_over", False):
                refuse_leftover()
            return a.node
        if kind is tuple or kind is list:
            return kind([self.create_arg(each) for each in a])
        if kind is dict:
            return {key: self.create_arg(value) for key, value in a.items()} if a else a
        if isinstance(a, torch.Tensor):
            path = self.attributes.use(a)
            if path not in self._nodes:
                self._nodes[path] = self.create_node("get_attr", path, (), {})
            return self._nodes[path]
        if is_plain(a):
            return a
        if is_special_container(a) and (made := rebuild(a)) is not None:
            return self.create_node("call_function", made[0], tuple(map(self.create_arg, made[1])), {})
        try:
            return super().create_arg(a)
        except Exception as error:
            raise CannotTrace(f"{type(a).__name__} has no place in a graph: {error}") from None


def _refuse_gradient(kind: type[torch.autograd.Function], apply: Any, args: Any, kwargs: Any) -> Any:
    """The call of a function with a gradient of its own: a graph has what it computes, and not how it is derived."""
    if contains(TRACED, args, kwargs):
        raise CannotTrace(f"{kind.__name__} has a gradient of its own")
    return for_the_model(apply, *args, **kwargs)


_ASK_FOR_VALUES = frozenset(
    {"__bool__", "__int__", "__float__", "__complex__", "__index__", "__contains__", "__iter__"}
)
"""Functions whose result must not be a proxy."""


_CHANGE_WHAT_IS_KNOWN = frozenset(
    {"as_strided_", "resize_", "resize_as_", "set_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_"}
    | {"unsqueeze_", "requires_grad_"}
)
"""Methods after which a tensor of the model would be asked in vain: while a graph is made, none of them runs."""


class EveryTensorIsTraced(TorchFunctionMode):
    """Makes nodes also of calls on tensors that are no attribute of a module, and of calls that create tensors.

    `torch.fx` records what happens to its proxies and lets everything else happen: work on such a tensor would be
    done while tracing, on data, and be missing from the graph.
    """

    def __init__(self, tracer: SymbolicTracer, nothing_runs: NothingRuns) -> None:
        super().__init__()
        self._tracer = tracer
        self._nothing_runs = nothing_runs

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not hasattr(func, "__name__"):  # a scripted method: one node, made by the proxy
            return for_the_model(func, *args, **kwargs)
        name = func.__name__
        if name == "__set__":
            refuse("a change of an attribute")
        if name in _CHANGE_WHAT_IS_KNOWN:
            refuse("a change of what is known")
        if name in _ASK_FOR_VALUES:
            refuse("the value")
        if name == "__deepcopy__":
            refuse("a copy")
        if name in ("__repr__", "__format__"):
            return Text("a tensor of the model")
        if name == "__get__":
            return self._read_property(func, *args)
        if func is assertion:  # costs nothing
            return None
        if name in ASK_FOR_SIZES and not contains((fx.Proxy,), args, kwargs):
            return self._answer(func, *args, **kwargs)
        if not contains(TRACED, args, kwargs) and not self._creates_tensor(func, args, kwargs):
            return for_the_model(func, *args, **kwargs)
        kind, target, arguments = node_kind(func, args)
        result: Any = self._tracer.create_proxy(kind, target, tuple(arguments), kwargs)
        if kind == "call_method" and target in OPERATORS:
            result.node.meta["by_operator"] = is_operator(sys._getframe(1), target)
        if name == "unbind" and not contains((fx.Proxy,), args, kwargs):  # also when Python iterates over a tensor
            return tuple(result[position] for position in range(_rows(*args, **kwargs)))
        return result

    def _read_property(self, getter: Any, tensor: torch.Tensor, *owner: type) -> Any:
        """Sizes and dtypes are read now; a property that is a tensor, such as ``weight.T``, becomes a node."""
        name = getter.__self__.__name__
        if name in DEVICE_QUESTIONS and tensor.is_meta:  # where a model would take another way than on data
            return GuardedAttribute(self._tracer.proxy(self._tracer.create_arg(tensor)), name)
        value = self._answer(getter, tensor, *owner)
        if isinstance(value, torch.Tensor):
            return self._tracer.create_proxy("call_function", getattr, (tensor, name), {})
        return value

    def _creates_tensor(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call without tensors returns one; found out on the meta device, where nothing is created."""
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": "meta"}
        with torch.device("meta"):
            return isinstance(self._answer(func, *args, **kwargs), torch.Tensor)

    def _answer(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What is found out about a tensor, and is no work of the model."""
        with self._nothing_runs.suspended():
            return for_the_model(question, *args, **kwargs)


def _rows(input: torch.Tensor, dim: int = 0) -> int:
    size: Callable[[int], int] = input.size  # which returns all sizes only if it is asked for none
    return for_the_model(size, dim)


class NothingRuns(DispatchMode):
    """Refuses every operator that runs while a graph is made: it would be in no graph, and might write to the model.

    Only what passes by every function of torch comes here, such as a scripted function of a buffer.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self._suspended = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._suspended or func is torch.ops.aten.lift_fresh.default:  # torch.from_numpy: a constant
            with torch.DisableTorchFunction():
                return for_the_model(func, *args, **(kwargs or {}))
        raise CannotTrace(f"{func} would run outside of the graph")

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        before, self._suspended = self._suspended, True
        try:
            yield
        finally:
            self._suspended = before
