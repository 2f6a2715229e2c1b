"""`AutogradCalls`: what a model that runs below autograd asks of it, and tells it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from fxcount._torch import (
    grad_mode_setter,
    is_gradient_tracked,
    is_transformed,
    make_dual,
    next_sequence_number,
    sequence_number_of,
    transform_level,
)
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import above_autograd
from fxcount.engine.node_annotation import annotation
from fxcount.engine.refusals import Refusal, refused
from fxcount.engine.sharding import is_split
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError, TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors
from fxcount.tracing.autograd_functions import (
    named_after,
    needs_input_grad,
    shown_backward,
    takes_only_values,
    watched_functions,
)
from fxcount.tracing.autograd_replay import AutogradReplay
from fxcount.tracing.backward_pass import BackwardPass, SequenceNumbers
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.graph_builder import GraphBuilder
from fxcount.tracing.module_calls import ModuleCalls
from fxcount.tracing.replay_leaves import as_leaf_of
from fxcount.tracing.saved_regions import SavedRegion, watched_regions


class AutogradNeeded(Refusal):
    """The model asks on its data what only autograd knows."""


GRADIENTS = (torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward)

HOOKS = (torch.Tensor.register_hook, torch.Tensor.register_post_accumulate_grad_hook, torch.Tensor.retain_grad)
"""Methods after which a backward pass does more."""

_SET_GRAD = torch.Tensor.grad.__set__  # type: ignore[union-attr]  # on the class it is a descriptor
_SET_REQUIRES_GRAD = torch.Tensor.requires_grad.__set__  # type: ignore[attr-defined]
_REQUIRES_GRAD = torch.Tensor.requires_grad.__get__  # type: ignore[attr-defined]

OF_AUTOGRAD = frozenset({*GRADIENTS, *HOOKS, torch.Tensor.requires_grad_, make_dual})
"""Functions that are autograd's own, besides setters."""

PROPERTIES = frozenset({"requires_grad", "is_leaf", "grad_fn", "grad", "retains_grad", "output_nr"})
"""Properties of a tensor that autograd keeps."""

Call = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]
"""Calls a function of torch with these arguments."""


class AutogradCalls:
    """Answers by an `AutogradReplay` without data. With data, where a second run of the nodes would change more than
    the model does, the run begins again above autograd."""

    def __init__(
        self, graph: GraphBuilder, modules: ModuleCalls, counter: OperatorCounter, model: CountedModel, above: bool
    ) -> None:
        """``above`` says whether the model runs above autograd, which then answers itself."""
        self.above = above
        self.forward_mode = False
        """Whether the model takes derivatives forward: then autograd has to see its calls as they are made."""
        self._graph = graph
        self._modules = modules
        self._counter = counter
        self._model = model
        self._replay: AutogradReplay | None = None
        self._start = next_sequence_number()
        self._on_ranks = isinstance(counter, WithoutData) or any(map(is_split, model.owned))
        if above:
            graph.numbers = SequenceNumbers()
        if isinstance(counter, WithoutData) and not above:
            self._replay = AutogradReplay(graph, counter, model, modules.unseen)

    @property
    def may_repeat(self) -> bool:
        """Whether what a call returns and costs depends on shapes alone."""
        differentiates = self.above and self._on_ranks  # and a result is to know what made it
        hooked = any(region.is_hooked for region in self._graph.autograd.inside)
        return not (differentiates or self.forward_mode or hooked)

    def input(self, represented: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """What the model gets in the place of ``given``, which is ``represented`` below autograd."""
        if self._replay is not None:
            self._replay.input(represented, given)
        elif self.above and given.requires_grad:
            return as_leaf_of(given, represented.requires_grad_())
        return represented

    @contextlib.contextmanager
    def watching(
        self, record: Callable[[Any, Callable[..., Any], Sequence[Any], Mapping[str, Any]], Any]
    ) -> Iterator[None]:
        """While it lasts, calls of functions with a gradient of their own are nodes, made by ``record``."""

        def call(kind: type[torch.autograd.Function], apply: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if self._modules.inside_a_node or self._counter.running or transform_level():
                return for_the_model(apply, *args, **kwargs)
            if not takes_only_values(args, kwargs):
                return self._traced_into(kind, apply, args, kwargs)
            with needs_input_grad(kind, lambda: tuple(map(self._needs_gradient, args))):
                return record(named_after(kind, apply), apply, args, kwargs)

        with watched_functions(call), watched_regions(self._enter, self._graph.autograd.leave), shown_backward():
            yield

    def ask(self, getter: Any, tensor: torch.Tensor, *owner: type) -> Any:
        """What autograd says of a tensor; of a parameter the tensor itself says it, but for its gradient."""
        of_parameter = isinstance(tensor, nn.Parameter) and getter.__self__.__name__ != "grad"
        if self.above or of_parameter or (transform_level() and is_transformed(tensor)):
            return for_the_model(getter, tensor, *owner)
        replay = self._answers()
        return replay.recorded(replay.ask(getter, tensor, *owner))

    def call(self, call: Call, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of one of the functions, and setters, that are autograd's own."""
        if func in GRADIENTS:
            if not self.above:
                self._graph.autograd.refuse_unseen()
                return self._answers().call(func, args, kwargs)
            with self._counter.backward():
                return call(func, args, kwargs)
        if func is make_dual:
            self.forward_mode = True
        elif func == _SET_GRAD and not self.above:
            self._answers()
            return None  # the replay does so
        elif self._replay is not None:  # the change of a leaf is not to be seen before it is made
            self._replay.ask(_itself, args[0])
        return call(func, args, kwargs)

    def called(self, func: Any, node: Any) -> None:
        """The call of ``func`` has become ``node``."""
        if func in GRADIENTS and self._replay is not None:
            self._replay.know(node)

    def finish(self) -> None:
        """The model has returned."""
        if self._replay is not None:
            self._replay.finish()

    def backward(self, result: Any) -> dict[int, torch.Tensor]:
        """The graph has its output, with ``result``: the gradients of all that the model returns. Returns those of
        parameters."""
        used = [each for each in self._graph.used.values() if isinstance(each, torch.Tensor)]
        of_transforms = [each for each in used if is_transformed(each)]
        if self._replay is not None:
            self._graph.autograd.refuse_unseen()
            if of_transforms:  # which took a gradient themselves, of what is over for a replay
                raise refused(DataNeededError(f"a gradient of torch.func.vjp {NO_VALUES}"))
            return self._replay.backward(result)
        assert self._graph.numbers is not None
        if any(map(self._was_computed_before, used)):
            raise refused(TracingError("a gradient would go on into what was computed before the model was called"))
        with self._modules.unseen():
            owned = self._model.parameters.values()
            backward = BackwardPass(self._counter, self._graph.numbers, self._graph, owned)
            return backward.run(result, self._graph.last())

    def _was_computed_before(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor has a gradient that goes on into what ran before the model."""
        made = None if is_transformed(tensor) or tensor.is_leaf else tensor.grad_fn
        return made is not None and sequence_number_of(made) < self._start

    def register(self, call: Call, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A hook on a tensor: a function of the model's, so the node calls one that knows it."""
        tensor, *hook = args

        def register(tensor: torch.Tensor) -> Any:
            return func(tensor, *hook, **kwargs)

        handle = call(func, args, kwargs) if self.above else self._answers().call(func, args, kwargs)
        node = self._graph.add("call_function", named_after(func, register), (tensor,), {}, None, annotation(None))
        if self._replay is not None:
            self._replay.know(node)
        return handle

    def of_transforms(self, call: Call, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A call on what ``torch.func`` transforms: autograd is at work if a transform is a derivative."""
        if self.above or not any(map(is_gradient_tracked, tensors(args))):
            return call(func, args, kwargs)
        with above_autograd(self._counter):
            return call(func, args, kwargs)

    def _answers(self) -> AutogradReplay:
        if self._replay is None:
            raise AutogradNeeded
        return self._replay

    def _needs_gradient(self, value: Any) -> bool:
        if not isinstance(value, torch.Tensor):
            return False
        with torch.DisableTorchFunction():
            return bool(self.ask(_REQUIRES_GRAD, value))

    def _traced_into(self, kind: type[torch.autograd.Function], apply: Any, args: Any, kwargs: Any) -> Any:
        """One that runs modules or functions that it is given, such as a checkpoint: they are nodes as elsewhere."""
        region = SavedRegion(None, kind, apply, args, kwargs)
        with self._inside(region):
            region.result = for_the_model(apply, *args, **kwargs)
        # Inside, C++ has gradients off, and what is set there ends with that: a graph must set it back.
        self._graph.add("call_function", grad_mode_setter, (torch.is_grad_enabled(),), {}, None, annotation(None))
        return region.result

    @contextlib.contextmanager
    def _inside(self, region: SavedRegion) -> Iterator[None]:
        settings = self._graph.autograd
        around = settings.inside
        settings.enter(region)
        try:
            yield
        finally:
            settings.inside = around

    def _enter(self, hooks: saved_tensors_hooks) -> None:
        if self._modules.inside_a_node:
            return
        region = SavedRegion(hooks)
        if region.is_hooked and not self.above:
            self._answers()
        self._graph.autograd.enter(region)


def is_of_autograd(func: Any) -> bool:
    """Whether a function or a setter is autograd's own."""
    return func in OF_AUTOGRAD or func in (_SET_GRAD, _SET_REQUIRES_GRAD)


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
