"""`AutogradReplay`: what autograd would say of a run below it, found out by running the recorded graph again.

The model runs once, below autograd, where composite operators are whole. When it asks what only autograd knows (whether
a tensor requires a gradient, what its ``grad_fn`` is, a gradient), the nodes recorded so far run again, in their order
and with autograd at work, and the tensor of the replay answers. The model's own code does not run again, and a model
that never asks pays nothing.
"""

import contextlib
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import fx
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from fxcount._torch import grad_mode_setter, is_transformed, no_dispatch_modes, pytree
from fxcount.engine.counting_context import above_autograd
from fxcount.engine.indexing import for_symbols
from fxcount.engine.node_annotation import annotation, place_of, shape_text
from fxcount.engine.refusals import refused
from fxcount.engine.storage_numbers import StorageNumbers
from fxcount.engine.with_symbols import WithSymbols
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors
from fxcount.tracing.autocast import AsOn
from fxcount.tracing.autograd_settings import AutogradSettings
from fxcount.tracing.backward_pass import BackwardPass, SequenceNumbers, returned_tensors
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.patched_functions import copy_of_shape
from fxcount.tracing.replay_leaves import ReplayLeaves
from fxcount.tracing.run import Run
from fxcount.tracing.saved_regions import SavedRegion

Values = MutableMapping[fx.Node, Any]
"""What nodes have computed in the replay."""


class AutogradReplay:
    """The same run, as far as it has been recorded, with autograd at work."""

    def __init__(
        self,
        run: Run,
        counter: WithoutData,
        model: CountedModel,
        unseen: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """While ``unseen()`` lasts, nothing is recorded."""
        self._run = run
        self._unseen = unseen
        self._counter = counter
        self._model = model
        self._numbers = SequenceNumbers[fx.Node]()
        self._backward: BackwardPass | None = None
        self._values: dict[fx.Node, Any] = {}
        self._last: fx.Node | None = None
        self._leaves = ReplayLeaves(counter, model)
        self._recorded: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._parts: dict[tuple[object, int], tuple[torch.Tensor, Sequence[torch.Tensor]]] = {}

    @property
    def _settings(self) -> AutogradSettings:
        return self._run.autograd

    def input(self, represented: torch.Tensor, given: torch.Tensor) -> None:
        """An input as the model gets it stands for the tensor that was given."""
        self._leaves.input(represented, given)

    def ask(self, question: Callable[..., Any], tensor: torch.Tensor, *further: Any) -> Any:
        """What autograd answers to ``question(tensor, *further)``."""
        self._catch_up()
        return for_the_model(question, self._of(tensor), *further)

    def finish(self) -> None:
        """At the end of the run: what only autograd runs, and costs something, is run."""
        if any(map(self._settings.is_hooked, self._settings.regions)):
            self._catch_up()

    def backward(self, result: Any = None) -> dict[int, torch.Tensor]:
        """At the end of the run, whose graph has its output: the gradients of all that it returns, which is in
        ``result`` unless it is in the graph. Returns those of parameters."""
        if self._values:  # a question may have come inside of a checkpoint, which is to run as one
            whole = AutogradReplay(self._run, self._counter, self._model, self._unseen)
            whole._leaves.take_inputs(self._leaves)
            return whole.backward(result)
        try:
            return self._taken_backward(result)
        except Exception as error:
            error.add_note("the recorded run was repeated with autograd; tracer='executed' runs the model itself")
            raise

    def _taken_backward(self, result: Any) -> dict[int, torch.Tensor]:
        self._catch_up()
        output = self._last
        assert output is not None
        owned = self._model.parameters.values()
        self._backward = BackwardPass(self._counter, self._numbers, self._run, owned, self._leaves.known)
        with self._at_work():
            returned = self._values[output] if result is None else [*map(self._of_tensor, returned_tensors(result))]
            return self._backward.run(returned, output)

    def call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of a call that is autograd's own, such as a backward pass; what it costs is noted.

        ``know`` is to be told of its node, which does not run again.
        """
        self._catch_up()
        with self._at_work(), self._counter.backward():
            given = self._of((tuple(args), dict(kwargs)))
            self._result = for_the_model(function, *given[0], **given[1])
        return self.recorded(self._result)

    def know(self, node: fx.Node) -> None:
        """The result of the last ``call`` is that of ``node``."""
        self._values[node] = self._result
        self._numbers.made_by(node)

    def recorded(self, value: Any) -> Any:
        """Tensors of the replay as the model gets them, each the same one each time."""
        return for_the_model(pytree.tree_map_only, torch.Tensor, self._recorded_tensor, value)

    def _recorded_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        if is_transformed(tensor):
            return tensor
        if id(tensor) in self._leaves.gradients:
            return self._leaves.gradients[id(tensor)][1]
        if id(tensor) not in self._recorded:
            with no_dispatch_modes():
                self._recorded[id(tensor)] = (tensor, self._counter.represent(tensor))
        return self._recorded[id(tensor)][1]

    def _of(self, value: Any) -> Any:
        """``value`` with the tensor of the replay for each that the model holds."""
        return for_the_model(pytree.tree_map_only, torch.Tensor, self._of_tensor, value)

    def _of_tensor(self, tensor: torch.Tensor) -> Any:
        keys = []
        found = self._run.maker_of(tensor)
        while found is not None and not isinstance(found, fx.Node):
            keys.append(found.key)
            found = found.owner
        value = self._leaves.of(tensor) if found is None else self._values[found]
        for key in reversed(keys):
            value = value[key]
        return value

    def _catch_up(self) -> None:
        """Runs the nodes that have been added since the last time; what they cost is known."""
        last, noted = self._last, self._counter.calls
        waiting = [node for node in self._new_nodes() if node not in self._values]
        if not waiting:
            return
        try:
            self._show_device(waiting)
            with self._at_work(), torch.enable_grad():  # as it was at each node, and not where the question is asked
                self._run_all(waiting, self._values)
        except BaseException:
            self._last = last  # a model that catches this may ask again
            raise
        finally:
            self._counter.calls = noted

    def _show_device(self, waiting: Iterable[fx.Node]) -> None:
        casts = next((node.meta["autocast"] for node in waiting if "autocast" in node.meta), None)
        if casts is not None and self._leaves.as_on is None:
            if self._values:
                raise refused(DataNeededError(f"a gradient partly under autocast {NO_VALUES}"))
            self._leaves.as_on = AsOn(casts.device)

    def _new_nodes(self) -> Iterator[fx.Node]:
        """Those after the last that was seen."""
        nodes = self._run.graph.nodes
        node = next(iter(nodes), None) if self._last is None else self._last.next
        while node is not None and node.op != "root":
            self._last = node
            yield node
            node = node.next

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Autograd is at work, the modules have the leaves of the replay as parameters, and nothing is recorded."""
        counter = self._counter
        told, counter.on_call, counter.calls = counter.on_call, None, []
        counter.differentiates = True
        try:
            shown = self._leaves.as_on or contextlib.nullcontext()
            with (
                self._unseen(),
                shown,
                self._run.states.at_start(),
                self._leaves.in_place(self._run.used),
                above_autograd(counter),
                self._no_hooks(),
            ):
                yield
        finally:
            counter.on_call, counter.differentiates = told, False

    def _no_hooks(self) -> contextlib.AbstractContextManager[None]:
        """The hooks of a stretch that the model is in now are not for the replay."""
        return saved_tensors_hooks(_itself, _itself) if self._settings.inside else contextlib.nullcontext()

    def _run_all(self, nodes: Iterable[fx.Node], values: Values, depth: int = 0) -> None:
        """Runs nodes, those of a stretch together; ``depth`` is how many stretches around them are at work."""
        regions = self._settings.regions
        for (region, *_), some in groupby(nodes, lambda node: (*regions.get(node, ())[depth : depth + 1], None)):
            if region is None:
                for node in some:
                    self._run_node(node, values)
            elif region.is_checkpoint:
                self._run_checkpoint([*some], values, depth + 1, region)
            elif region.hooks is not None:
                with saved_tensors_hooks(region.hooks.pack_hook, region.hooks.unpack_hook):
                    self._run_all(some, values, depth + 1)
            else:
                self._run_all(some, values, depth + 1)
                self._run_function(region, values)

    def _run_function(self, region: SavedRegion, values: Values) -> None:
        """A function with a gradient of its own that runs what it is given: called again for what it returns."""
        result = for_the_model(region.apply, *self._of(region.args), **self._of(region.kwargs))
        for recorded, tensor in zip(tensors((region.result,)), tensors((result,)), strict=True):
            node = self._run.maker_of(recorded)
            if isinstance(node, fx.Node):
                values[node] = tensor

    def _run_checkpoint(self, nodes: list[fx.Node], values: Values, depth: int, region: SavedRegion) -> None:
        """As the checkpoint of the model, of these nodes: they are run again in the backward pass."""
        reentrant = region.is_reentrant
        passed = {*map(id, tensors((region.args, *region.kwargs.values())))} if reentrant else set()
        given = {node for node in nodes if node.op == "get_attr" and id(self._run.result_of(node)) in passed}
        for node in given:  # a parameter that it is given, of which nothing was seen before
            self._run_node(node, values)
        nodes = [node for node in nodes if node not in given]
        own = set(nodes)
        inputs = dict.fromkeys(
            source
            for node in nodes
            for source in node.all_input_nodes
            if source not in own
            and (source.op != "get_attr" or id(self._run.result_of(source)) in passed)
            and isinstance(values[source], torch.Tensor)
        )
        kept = nodes
        if reentrant:  # of all else that is used outside of it autograd knows nothing
            results = {*map(id, region.returned)}
            kept = [node for node in nodes if id(self._run.result_of(node)) in results]
        first: ChainMap[fx.Node, Any] = ChainMap()
        spec: Any = None

        def run(*given: torch.Tensor) -> tuple[Any, ...]:
            nonlocal first, spec
            inner: ChainMap[fx.Node, Any] = ChainMap(dict(zip(inputs, given, strict=True)), values)
            self._run_all(nodes, inner, depth)
            first = first or inner
            leaves, spec = for_the_model(pytree.tree_flatten, [inner[node] for node in kept])
            return tuple(leaves)

        outer = [values[source] for source in inputs]
        with set_checkpoint_early_stop(region.stops_early):
            made = checkpoint(run, *outer, use_reentrant=reentrant, preserve_rng_state=False)
        values.update((node, first[node]) for node in nodes)
        values.update(zip(kept, pytree.tree_unflatten(list(made), spec), strict=True))

    def _run_node(self, node: fx.Node, values: Values) -> None:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        args, kwargs = tuple(map(_told, args)), {name: _told(value) for name, value in kwargs.items()}
        autocast = node.meta["autocast"].again() if "autocast" in node.meta else contextlib.nullcontext()
        again = self._backward.again(node) if self._backward else contextlib.nullcontext()
        with torch.set_grad_enabled(self._with_gradients(node)), autocast, again:
            before, storages = len(self._counter.calls), StorageNumbers((args, kwargs))
            try:
                values[node] = result = self._counter.run_numbered(storages, self._run_call, node, args, kwargs)
                if self._backward is None and self._settings.is_hooked(node):  # the hooks are run by autograd alone
                    node.meta.update(annotation(result, tuple(self._counter.calls[before:]), storages))
            except Exception as error:
                inputs = {source.name: shape_text(source) for source in node.all_input_nodes}
                error.add_note(place_of(node.op, node.target, inputs, node.meta["module"]))
                raise
            finally:
                self._numbers.made_by(node)

    def _run_call(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        try:
            return self._result_of(node, args, kwargs)
        except RuntimeError:
            given = [*tensors((args, tuple(kwargs.values())))]
            if all(tensor.is_meta for tensor in given) or not any(tensor.is_meta for tensor in given):
                raise
            # Some functions of torch, such as meshgrid, check that devices are the same before an operator is called.
            with no_dispatch_modes():
                args, kwargs = self._counter.without_data(args), self._counter.without_data(kwargs)
            return self._result_of(node, args, kwargs)

    def _part_of(self, tensor: torch.Tensor, unpacked: object, position: int) -> torch.Tensor:
        """One of the tensors into which Python unpacks another, all of which have one gradient together."""
        place = (unpacked, id(tensor))
        if place not in self._parts:
            self._parts[place] = (tensor, for_the_model(tensor.unbind))
        return self._parts[place][1][position]

    def _with_gradients(self, node: fx.Node) -> bool:
        """Whether autograd is at work on a node; a reentrant checkpoint has it left out only the first time."""
        if any(region.is_reentrant for region in self._settings.regions.get(node, ())):
            return torch.is_grad_enabled()
        return node not in self._settings.without_gradients

    def _result_of(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        target: Any = node.target
        if "unpacked" in node.meta and isinstance(args[0], torch.Tensor):
            return self._part_of(args[0], node.meta["unpacked"], args[1])
        if target is grad_mode_setter:
            return None  # how autograd was set is known of each node
        if node.op == "output":
            return args
        if node.op == "placeholder":
            return self._leaves.of(self._run.result_of(node))
        if node.op == "get_attr":
            value = self._run.result_of(node)
            return self._leaves.of(value) if isinstance(value, torch.Tensor) else value
        if node.op == "call_module":
            target = self._run.used[target]
        elif node.op == "call_method":
            if target == "__deepcopy__":
                return copy_of_shape(args[0], {})
            target, args = getattr(args[0], target), args[1:]
        if isinstance(self._counter, WithSymbols):
            target = for_symbols(target)
        return for_the_model(target, *args, **kwargs)


def _told(value: Any) -> Any:
    """An argument as the model gave it: one that is on the meta device is told that it is on the CPU."""
    return torch.device("cpu") if type(value) is torch.device and value.type == "meta" else value


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
