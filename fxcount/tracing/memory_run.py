"""`MemoryRun`: one run of a model in which the memory of its tensors is followed."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from fxcount._torch import (
    NUMBER_OF_LEAVES,
    autograd_node_at_work,
    no_dispatch_modes,
    pytree,
    sequence_number_of,
    storage_identity,
)
from fxcount.cost import Cost, total_cost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import counting
from fxcount.engine.optimizer_step import MakeOptimizer, made_optimizer
from fxcount.engine.sharding import part_of, take_parameters
from fxcount.engine.storage_lives import StorageLife, StorageLives, parts_of
from fxcount.engine.without_data import WithoutData
from fxcount.errors import InputError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors
from fxcount.tracing.autocast import AsOn
from fxcount.tracing.backward_pass import SequenceNumbers, returned_tensors
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.module_calls import RunningModules
from fxcount.tracing.patched_functions import replaced_functions
from fxcount.tracing.replay_leaves import ReplayLeaves

KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


class MemoryRun:
    """The model's own code runs once, with autograd at work where there is a backward pass, on tensors that have no
    data and that torch takes for tensors on the CPU; on its own tensors if its control flow depends on values."""

    def __init__(
        self,
        model: CountedModel,
        call: ExampleCall,
        device: str,
        attention: str | None,
        *,
        on_data: bool = False,
        hooked: bool = True,
    ) -> None:
        """With ``hooked``, hooks tell what autograd keeps; some functions of ``torch.func`` refuse to run under them.
        Without, it is what is still there when the model has returned."""
        self.called: list[tuple[str, str]] = []
        """Every call of a module, in order: the path by which it was called, and its class name."""
        self.outputs: defaultdict[str, dict[int, StorageLife]] = defaultdict(dict)
        """By path: the memory of what the module there returned."""
        self.costs: defaultdict[str, list[Cost]] = defaultdict(list)
        """By path: what the operators of the forward pass cost that the module there called itself."""
        self.lives = StorageLives(self._place)
        self.model = model
        self.optimizer = ""
        """The class of the optimizer."""
        self._hooked = hooked
        self._met: set[int] = set()
        self._buckets: list[torch.Tensor] = []
        self._call = call
        self._device = device
        self._attention = attention
        self._counter = OperatorCounter()
        self._shown = AsOn(torch.device("cpu"))
        self._leaves: ReplayLeaves | None = None
        if not on_data:
            self._counter = without_data = WithoutData(model.owned)
            without_data.differentiates = True
            self._leaves = ReplayLeaves(without_data, model)
            self._leaves.as_on = self._shown
        self._paths = {id(module): path for path, module in reversed([*model.modules.items()])}
        self._running = RunningModules()
        self._inside = [""]
        self._numbers = SequenceNumbers[str]()
        self._latest = ""

    def run(self, backward: bool, make: MakeOptimizer | None) -> None:
        """Runs the model, and what is asked for of its backward pass and a step of the optimizer."""
        casts_are_kept = torch.is_autocast_cache_enabled()
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(counting(self._counter, autograd=True))
            torch.set_autocast_cache_enabled(casts_are_kept)  # put back with all that counting sets
            stack.callback(torch.clear_autocast_cache)
            with self._shown:
                inputs = self._call.replace_tensors(self._input, self.model.forward)
                if self._leaves is not None:
                    stack.enter_context(self._leaves.in_place({}))
                    take_parameters(self.model.modules.values())
                trained = self._parameters()
                self._make_buckets()
                optimizer = None if make is None else self._made(make, trained)
            for context in (self._kernels(), self.lives.following_sizes(), self.lives, self._shown, self._watched()):
                stack.enter_context(context)
            keeps = torch.autograd.graph.saved_tensors_hooks(self._keep, self._shown.show)
            hooks = keeps if backward and self._hooked else contextlib.nullcontext()
            with torch.set_grad_enabled(backward), hooks:
                result = for_the_model(self.model.run, *inputs.args, **inputs.kwargs)
            self._note_caches(inputs, result)
            if backward:
                if not self._hooked:
                    self._note_what_is_left(result)
                self._go_back(result)
                self._note_gradients(trained, inputs)
            if optimizer is not None:
                self._step(optimizer)

    @contextlib.contextmanager
    def _kernels(self) -> Iterator[None]:
        """Attention runs as on the device, whose fused kernel holds no scores. That of the CPU takes no dropout; those
        of other devices do, and hold no more for it."""
        if self._attention == "math":
            with sdpa_kernel(SDPBackend.MATH):
                yield
            return
        attention = torch.nn.functional.scaled_dot_product_attention
        patched = [attention] if self._device != "cpu" else []
        torch.backends.mha.set_fastpath_enabled(True)  # put back with all that counting sets
        with sdpa_kernel([*KERNELS]), replaced_functions(patched, _without_dropout):
            yield

    def _input(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """What the model gets in the place of an input."""
        with no_dispatch_modes():
            represented = self._counter.represent(tensor)
        self._was_there(represented, tensor, "inputs", name)
        shown: torch.Tensor = self._shown.show(represented)
        return shown.requires_grad_() if tensor.requires_grad else shown

    def _parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that the model has during the run, by their first names; they have no gradients yet. Their
        memory, that of buffers, and that of tensors in the objects that are arguments, is there from the start."""
        found: dict[int, tuple[str, nn.Parameter]] = {}
        for kind, named in (("parameters", self.model.parameters), ("buffers", self.model.buffers)):
            for name, tensor in named.items():
                leaf = tensor if self._leaves is None else self._leaves.of(tensor)
                self._was_there(self._hidden(leaf), tensor, kind, name)
                if isinstance(leaf, nn.Parameter):
                    leaf.grad = None
                    found.setdefault(id(leaf), (name, leaf))
        given = {*map(id, self._call.tensors())}
        for tensor in returned_tensors((self._call.args, self._call.kwargs)):
            if id(tensor) not in given:
                self._was_there(tensor, tensor, "inputs", "")
        return dict(found.values())

    def _make_buckets(self) -> None:
        """The memory from which `DistributedDataParallel` sends gradients is there from the start."""
        for wrapper in self.model.wrappers:
            for name, parameter in wrapper.trained:
                leaf = parameter if self._leaves is None else self._leaves.of(parameter)
                bucket = torch.zeros_like(leaf)
                self._buckets.append(bucket)
                self._was_there(self._hidden(bucket), bucket, "gradients", name)
                if wrapper.as_views and wrapper.sums:
                    leaf.grad = bucket

    def _was_there(self, stand_in: torch.Tensor, tensor: torch.Tensor, kind: str, name: str) -> None:
        """``stand_in`` stands for a tensor; all views of one piece of memory are there with the first of them."""
        for shown, part in zip(parts_of(stand_in), parts_of(tensor), strict=True):
            place, storage = storage_identity(part)
            if self.lives.find(shown) is None:
                self.lives.was_there(shown, storage.nbytes() if place not in self._met else 0, kind, name)
            self._met.add(place)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """While it lasts, calls of modules are noted."""
        handles = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        path = self._inside[-1]
        if id(module) in self._paths:
            path = self._running.path_of(module, self._paths[id(module)])
        self._running.enter(module, path)
        self._inside.append(path)
        self.called.append((path, type(module).__name__))

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        self._running.leave()
        path = self._inside.pop()
        for tensor in returned_tensors(result):
            life = self.lives.find(self._hidden(tensor))
            if life is not None:
                self.outputs[path][id(life)] = life

    def _place(self) -> str:
        """Where in the model the operator belongs that has just run; what it costs is noted."""
        ran = self._counter.take_calls()
        if self.lives.phase == "forward":
            path = self._inside[-1]
            self._numbers.made_by(path)
            self.costs[path] += [each.cost for each in ran]
            return path
        at_work = autograd_node_at_work()
        if at_work is not None and (number := sequence_number_of(at_work)) != NUMBER_OF_LEAVES:
            self._latest = self._numbers.node_of(number) or self._latest
        return self._inside[-1] or self._latest

    def _keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """What autograd keeps of a tensor: not the tensor, which may keep what autograd knows of it."""
        kept: torch.Tensor = self._shown.hide(tensor)
        life = self.lives.find(self._hidden(kept)) if self.lives.phase == "forward" else None
        if life is not None:
            life.savers.add(self._inside[-1])
        return kept if kept is not tensor else tensor.detach()

    def _note_what_is_left(self, result: Any) -> None:
        """What is there when the model has returned, and is not what it returned, autograd keeps."""
        returned = {id(self.lives.find(self._hidden(each))) for each in returned_tensors(result)}
        for life in self.lives.lives:
            if life.freed is None and life.made >= 0 and id(life) not in returned:
                life.savers.add(self.lives.runs[life.made].place)

    def _go_back(self, result: Any) -> None:
        self.lives.phase = "backward"
        outputs = [*{id(each): each for each in returned_tensors(result) if each.requires_grad}.values()]
        if not outputs:
            raise InputError("there is no backward pass: nothing that the model returns requires a gradient")
        given = [torch.ones_like(each) for each in outputs]
        for gradient in given:
            self._is("gradients", gradient)
        for_the_model(torch.autograd.backward, outputs, given)

    def _note_gradients(self, trained: dict[str, nn.Parameter], inputs: ExampleCall) -> None:
        for leaf in (*trained.values(), *(each for each in inputs.tensors() if each.is_leaf)):
            if leaf.grad is not None:
                self._is("gradients", leaf.grad)

    def _made(self, make: MakeOptimizer, parameters: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer; what it keeps from its start is there before the model runs."""
        trained = [each for each in parameters.values() if each.requires_grad]
        if not trained:
            raise InputError("there is nothing to optimize: no parameter of the model requires a gradient")
        optimizer = made_optimizer(make, trained)
        self.optimizer = type(optimizer).__name__
        for group in optimizer.param_groups:  # as it steps on the device: on others than the CPU on all at once
            if self._device != "cpu" and group.get("foreach", False) is None and not group.get("fused"):
                group["foreach"] = True
        for tensor in _state_of(optimizer):
            self._was_there(self._hidden(tensor), tensor, "optimizer", "")
        return optimizer

    def _step(self, optimizer: torch.optim.Optimizer) -> None:
        self.lives.phase, self._latest = "optimizer", ""
        for_the_model(optimizer.step)
        for tensor in _state_of(optimizer):
            self._is("optimizer", tensor)

    def _note_caches(self, inputs: ExampleCall, result: Any) -> None:
        """What the model returns of an input with more values in it, or has written them into. An object that was given
        and holds that now has freed what it held before."""
        found = [self.lives.find(self._hidden(each)) for each in returned_tensors((inputs.args, inputs.kwargs, result))]
        held = {*map(id, found)}
        for life in filter(None, found):
            if life.grown_from is not None:
                life.kind = life.grown_from.kind = "cache"
                if id(life.grown_from) not in held:
                    life.grown_from.freed = life.made + 1
        given = {*map(id, inputs.tensors())}
        for tensor in returned_tensors((inputs.args, inputs.kwargs)):  # what an object has now that it had not before
            if id(tensor) not in given:
                self._is("cache", tensor)

    def _is(self, kind: str, tensor: torch.Tensor) -> None:
        for part in parts_of(self._hidden(tensor)):
            life = self.lives.find(part)
            if life is not None and not life.kind:
                life.kind = kind

    def _hidden(self, tensor: torch.Tensor) -> torch.Tensor:
        """The stand-in that lies in the memory of a tensor."""
        hidden: torch.Tensor = self._shown.hide(part_of(tensor))
        return hidden

    def cost_of(self, path: str) -> Cost:
        """What the operators of the forward pass cost that the module there called itself."""
        return total_cost(self.costs[path])

    def kind_of(self, path: str) -> str:
        """The class name of a module that was not called."""
        module = self.model.module_at(path) if path else self.model.run
        return type(module).__name__ if isinstance(module, nn.Module) else ""


def _without_dropout(
    attention: Callable[..., Any],
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    *given: Any,
    **named: Any,
) -> Any:
    return for_the_model(attention, query, key, value, attn_mask, 0.0, *given, **named)


def _state_of(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    state, _ = for_the_model(pytree.tree_flatten, dict(optimizer.state))
    return tensors(state)
