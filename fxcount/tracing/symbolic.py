"""The symbolic tracer: `torch.fx` runs the model on proxies, without values, and records what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.fx._symbolic_trace import _set_is_fx_tracing
from torch.fx.proxy import TraceError
from torch.overrides import TorchFunctionMode, is_tensor_method_or_property

from fxcount.errors import TracingError
from fxcount.formulas.custom import python_functions
from fxcount.tracing.autocast import Autocast, autocast_chooses
from fxcount.tracing.call import ExampleCall
from fxcount.tracing.functions import replaced_functions
from fxcount.tracing.leaf import is_leaf
from fxcount.tracing.model import device_of
from fxcount.tracing.paths import Attributes
from fxcount.tracing.proxies import CannotTrace, GuardedParameter, GuardedProxy, refuse
from fxcount.tracing.questions import Questions
from fxcount.tracing.trace import Trace, TracedModule, set_arguments
from fxcount.tracing.values import contains, is_plain, is_special_container, rebuild

TRACED = (fx.Proxy, torch.Tensor)


def trace_symbolically(model: Callable[..., Any], call: ExampleCall) -> Trace:
    """Traces ``model`` with a proxy for each tensor of ``call``; all other arguments are as in the call.

    Raises:
        TracingError: what the model does with a traced value has no place in a graph.
    """
    tracer = SymbolicTracer(model, call)
    with EveryTensorIsTraced(tracer), replaced_functions(python_functions(), tracer.call_function):
        try:
            graph = tracer.trace(lambda *args, **kwargs: model(*args, **kwargs))
        except (CannotTrace, TraceError) as refusal:
            raise TracingError(f"cannot be traced symbolically: {refusal}; tracer='auto' finds another way") from None
    training = getattr(model, "training", True)
    module = TracedModule(graph, tracer.attributes.used, training)
    return Trace("symbolic", module, call.tensors(), tracer.called)


class SymbolicTracer(fx.Tracer):
    """A `torch.fx.Tracer` that calls the model itself, so that its hooks run, and looks names up by identity.

    Nothing is set on the model: what it does not own is named in ``attributes``.
    """

    def __init__(self, model: Callable[..., Any], call: ExampleCall) -> None:
        super().__init__(autowrap_modules=())  # type: ignore[arg-type]  # math needs values: recorded
        self.attributes = Attributes(model)
        self.called: list[tuple[str, str]] = []
        self._model = model
        self._call = call
        self._device = device_of(model, call)
        self._began_in_autocast = autocast_chooses(self._device)
        self._callers: list[str] = []
        self._nodes: dict[str, fx.Node] = {}
        self._questions = Questions()
        self._parameters: dict[int, GuardedParameter] = {}

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        forward = self._model.forward if isinstance(self._model, nn.Module) else self._model
        if self._questions.may_come_from(forward):
            refuse("the type or identity")
        _set_is_fx_tracing(False)  # a model that looks takes the branch that it would not take without tracing
        call = self._call.replace_tensors(lambda name, _: self.create_proxy("placeholder", name, (), {}), forward)
        return lambda *args: root_fn(*args, **call.kwargs), list(call.args)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m, self._model)

    def path_of_module(self, mod: nn.Module) -> str:
        return self.attributes.path_of(mod)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path = self.path_of_module(m)
        self.called.append((path, type(m).__name__))
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", self.attributes.use(m), args, kwargs)
        if self._questions.may_come_from_call_of(m):
            refuse("the type or identity")
        self._callers.append(path)
        try:
            return forward(*args, **kwargs)
        finally:
            self._callers.pop()

    def call_function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A Python function that has a formula is one node."""
        if contains(TRACED, args, kwargs):
            return self.create_proxy("call_function", function, args, kwargs)
        return function(*args, **kwargs)

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
        node = self.graph.create_node(kind, target, name=name, type_expr=type_expr)
        set_arguments(node, args, kwargs)
        node.meta["module"] = self._callers[-1] if self._callers else ""
        if self._began_in_autocast or autocast_chooses(self._device):
            node.meta["autocast"] = Autocast.now(self._device)
        return node

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """A parameter that the model reads becomes a proxy; its shape is known."""
        if not isinstance(attr_val, nn.Parameter):
            return attr_val
        if id(attr_val) not in self._parameters:
            self._parameters[id(attr_val)] = GuardedParameter(self, self.create_arg(attr_val), attr, attr_val)
        return self._parameters[id(attr_val)]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return GuardedProxy(node, self)

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, fx.Proxy):
            return a.node
        if is_plain(a):
            return a
        if type(a) in (tuple, list):
            return type(a)(map(self.create_arg, a))
        if type(a) is dict:
            return {key: self.create_arg(value) for key, value in a.items()}
        if isinstance(a, torch.Tensor):
            path = self.attributes.use(a)
            if path not in self._nodes:
                self._nodes[path] = self.create_node("get_attr", path, (), {})
            return self._nodes[path]
        if is_special_container(a) and (made := rebuild(a)) is not None:
            return self.create_node("call_function", made[0], tuple(map(self.create_arg, made[1])), {})
        return super().create_arg(a)


class EveryTensorIsTraced(TorchFunctionMode):
    """Makes nodes also of calls on tensors that are no attribute of a module, and of calls that create tensors.

    `torch.fx` records what happens to its proxies and lets everything else happen: work on such a tensor would be
    done while tracing, on data, and be missing from the graph.
    """

    def __init__(self, tracer: SymbolicTracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not hasattr(func, "__name__"):  # a scripted method: one node, made by the proxy
            return func(*args, **kwargs)
        if func.__name__ == "__set__":
            refuse("a change of an attribute")
        if func.__name__ == "__get__":
            return self._read_property(func, *args)
        if func is torch._assert:  # costs nothing
            return None
        if not contains(TRACED, args, kwargs) and not _creates_tensor(func, args, kwargs):
            return func(*args, **kwargs)
        if is_tensor_method_or_property(func):
            return self._tracer.create_proxy("call_method", func.__name__, args, kwargs)
        return self._tracer.create_proxy("call_function", func, args, kwargs)

    def _read_property(self, getter: Any, tensor: torch.Tensor, *owner: type) -> Any:
        """Sizes and dtypes are read now; a property that is a tensor, such as ``weight.T``, becomes a node."""
        value = getter(tensor, *owner)
        if isinstance(value, torch.Tensor):
            return self._tracer.create_proxy("call_function", getattr, (tensor, getter.__self__.__name__), {})
        return value


def _creates_tensor(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call without tensors returns one; found out on the meta device, where nothing is created."""
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": "meta"}
    with torch.device("meta"):
        return isinstance(func(*args, **kwargs), torch.Tensor)
