"""The private names of torch that this package cannot do without, each with the reason why no public name does.

Nothing else in the package uses a private name of torch. A name that is used for each operator or node is torch's own
object, or an ``attrgetter``, and so costs no call of Python.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from operator import attrgetter, methodcaller
from typing import Any

import torch
import torch._C._functorch
import torch._library.custom_ops
import torch.fx._symbolic_trace
import torch.fx.graph
import torch.fx.passes.shape_prop
import torch.nn.modules.module
import torch.nn.utils.parametrize
import torch.utils._python_dispatch
import torch.utils._pytree
from torch import fx, nn

# Operators

Operator = torch._ops.OpOverload
"""The class of ``torch.ops.aten.add.Tensor``. Torch hands its instances out in public and has no public name for it."""

OperatorPacket = torch._ops.OpOverloadPacket
"""The class of ``torch.ops.aten.add``, all overloads of a name. It has no public name either."""

HigherOrderOperator = torch._ops.HigherOrderOperator
"""The class of what takes functions, such as ``torch.cond`` in the dispatcher. It has no public name either."""

CustomOperator = torch._library.custom_ops.CustomOpDef
"""The class of what ``torch.library.custom_op`` returns, which is no `Operator`. It has no public name either."""

registered_operator: Callable[[CustomOperator], Operator] = attrgetter("_opoverload")
"""The `Operator` that a `CustomOperator` registered. In public one must know its name to find it in ``torch.ops``."""

schema_of: Callable[[Operator], torch.FunctionSchema] = attrgetter("_schema")
"""What an operator takes, returns and writes to. In public an operator tells its name and tags, and no argument."""

# The dispatcher


class DispatchMode(torch.utils._python_dispatch.TorchDispatchMode):
    """Sees every operator that runs while it lasts. Torch documents it under its private name; the public
    ``TorchFunctionMode`` sees calls from Python alone."""

    def __init_subclass__(cls) -> None:
        """Torch's own hides what a mode does from ``torch.compile``, and loads that for it, which takes a second."""


below_autograd = torch._C._AutoDispatchBelowAutograd
"""While it lasts, operators run as autograd would call them: composite ones are whole, and there are no gradients. The
public ``torch.inference_mode`` does so too, but its tensors cannot be views of others, and the model can see it."""

forced_keys = torch._C._ForceDispatchKeyGuard
"""``forced_keys(included, excluded)``: what lies between a call and its operator for a time. Inside of `below_autograd`
it brings autograd back, which no public name does."""

included_keys: Callable[[], torch.DispatchKeySet] = torch._C._dispatch_tls_local_include_set
"""What lies there in this thread besides what the tensors of a call ask for, to hand to `forced_keys`."""
excluded_keys: Callable[[], torch.DispatchKeySet] = torch._C._dispatch_tls_local_exclude_set
"""What does not, although tensors ask for it."""

no_dispatch_modes = torch._C._DisableTorchDispatch
"""While it lasts, no `DispatchMode` sees an operator. In public a mode can only be left by who entered it."""

dispatch_mode_count = torch._C._len_torch_dispatch_stack
"""How many modes of that kind are at work. A mode that a model enters tells nobody, and no public name counts them."""
function_mode_count = torch._C._len_torch_function_stack
"""How many modes of the kind ``TorchFunctionMode`` are at work. No public name counts them either."""

enable_torch_function = torch._C._EnableTorchFunction
"""While it lasts, those modes see calls again inside ``torch.DisableTorchFunction()``, whose opposite is not public."""

disabled_torch_function = torch._C._disabled_torch_function_impl
"""The ``__torch_function__`` of a subclass whose results are plain tensors. The public default makes them instances of
the subclass."""

any_autocast: Callable[[], bool] = torch._C._is_any_autocast_enabled
"""Whether autocast is at work on any type of device. The public question is for one type, whose name it reads first:
asked at every call, it takes as long as most that is done with a call."""

# What torch.func transforms

transform_level = torch._C._functorch.maybe_current_level
"""How many transforms, such as ``torch.vmap``, are at work, None if none is. ``torch.func`` does not tell."""
is_transformed = torch._C._functorch.is_functorch_wrapped_tensor
"""Whether a tensor is what a transform hands to its function. ``torch.func`` does not tell."""
is_gradient_tracked = torch._C._functorch.is_gradtrackingtensor
"""Whether the transform of such a tensor is a gradient. ``torch.func`` does not tell."""

# Tensors

make_subclass = torch.Tensor._make_subclass
"""``make_subclass(torch.Tensor, x)`` is what ``x.detach()`` is. The public method is an operator, which every mode at
work sees."""

make_wrapper_subclass = torch.Tensor._make_wrapper_subclass
"""A tensor that has a shape, a dtype and a device and no memory there. In public only the meta device has such."""

is_alias_of: Callable[[torch.Tensor, torch.Tensor], bool] = torch._C._is_alias_of  # type: ignore[attr-defined]
"""Whether two tensors lie in the same memory. In public only addresses tell, and on the meta device all are 0."""


place_of: Callable[[torch.UntypedStorage], int] = attrgetter("_cdata")
"""Which memory a storage is, the same number for all objects that stand for it. In public only addresses tell."""


def storage_identity(tensor: torch.Tensor) -> tuple[int, Any]:
    """Which memory a tensor lies in, and what keeps that alive, so that no other gets the same number: the storage, or
    the tensor where it has none."""
    try:
        storage = tensor.untyped_storage()
        return place_of(storage), storage
    except (NotImplementedError, RuntimeError):
        return id(tensor), tensor


entry_count: Callable[[torch.Tensor], int] = torch.Tensor._nnz
"""How many entries a sparse tensor stores. In public one must coalesce it first, which merges entries."""
entry_indices: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor._indices
"""The places of the entries that a tensor in coordinate format stores. The public ``indices()`` refuses one that is not
coalesced."""
entry_values: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor._values
"""The entries themselves, for the same reason."""

assertion = torch._assert
"""The assertion that a trace can see. Torch documents it under its private name alone."""

# Autograd

grad_mode_setter = torch._C._set_grad_enabled
"""What ``torch.no_grad()`` calls where it begins and ends, and a mode sees in its place."""

make_dual = torch._C._VariableFunctions._make_dual
"""What ``torch.autograd.forward_ad.make_dual`` calls, and a mode sees in its place."""

next_sequence_number: Callable[[], int] = torch.autograd._get_sequence_nr  # type: ignore[attr-defined]
"""The number that autograd gives to the next call that it notes in this thread. No public name tells."""

sequence_number_of: Callable[[Any], int] = methodcaller("_sequence_nr")
"""The number of a node of autograd: it tells the call that it is the gradient of, which no public name does."""

NUMBER_OF_LEAVES = 2**64 - 1
"""The number of all that gather the gradients of leaves: the largest, so that they come first. No public name tells."""

autograd_node_at_work: Callable[[], Any] = torch._C._current_autograd_node
"""The node whose gradient is being computed in this thread, None if none is. In public a hook on every node would have
to tell."""

hooks_on_gradient: Callable[[torch.Tensor], dict[int, Callable[..., Any]] | None] = attrgetter("_backward_hooks")
"""The hooks that were registered on the gradient of a tensor. In public, hooks are registered and removed, and not
listed."""
hooks_after_gradient: Callable[[torch.Tensor], dict[int, Any] | None] = attrgetter("_post_accumulate_grad_hooks")
"""Those that run when the gradient is there, for the same reason."""

context_of: Callable[[type[torch.autograd.Function]], type] = attrgetter("_backward_cls")
"""The class of the ``ctx`` that a ``torch.autograd.Function`` gets. It has no public name."""


def stops_early(hooks: torch.autograd.graph.saved_tensors_hooks) -> bool:
    """Whether the checkpoint that set these hooks computes no more again than is asked for. In public one can tell it
    so, and not ask."""
    frame: Any = inspect.getclosurevars(hooks.pack_hook).nonlocals["frame"]
    return bool(frame.early_stop)


# Containers

pytree = torch.utils._pytree
"""Takes nested containers apart and makes them again, also those that a library registered, such as the outputs of
transformers. No public name reaches into these."""

# Modules

parameters_of: Callable[[nn.Module], dict[str, nn.Parameter | None]] = attrgetter("_parameters")
"""The parameters of a module itself by name. ``named_parameters(recurse=False)`` is a stack of generators, which takes
longer than all else that is done with most modules; so does the one that follows."""
buffers_of: Callable[[nn.Module], dict[str, torch.Tensor | None]] = attrgetter("_buffers")
"""The buffers of a module itself by name."""

forward_pre_hooks_of: Callable[[nn.Module], dict[int, Callable[..., object]]] = attrgetter("_forward_pre_hooks")
"""What a call of a module runs before its forward. In public, hooks are registered and removed, and not listed."""
forward_hooks_of: Callable[[nn.Module], dict[int, Callable[..., object]]] = attrgetter("_forward_hooks")
"""What a call of a module runs after its forward, for the same reason."""

any_global_hook: Callable[[], object] = torch.nn.modules.module._has_any_global_hook
"""True or a mapping with hooks in it if there are hooks that the calls of all modules run, for the same reason."""

CALL_OF_MODULE = "_call_impl"
"""The name of the method that ``nn.Module.__call__`` calls. Setting ``__call__`` itself, which is public, makes Python
look through all classes of modules, of which a library of models has a thousand."""

compiled_call_of: Callable[[nn.Module], Callable[..., object] | None] = attrgetter("_compiled_call_impl")
"""What ``nn.Module.__call__`` calls instead if ``Module.compile`` was called, None if not. It has no public name."""


def parametrized_weights() -> dict[Any, torch.Tensor | None]:
    """Those that ``parametrize.cached()`` keeps now. In public they are only seen through the modules."""
    return torch.nn.utils.parametrize._cache


# Graphs

GUARDS = "_guards_fn"
"""The name of the module in which an exported program has its guards. In public they can be left out when a program is
made a module, and not later."""


@contextlib.contextmanager
def wrapped_functions() -> Iterator[None]:
    """While it lasts, a function that was given to ``torch.fx.wrap`` becomes a node when it is called on a proxy.

    In public only ``torch.fx.Tracer.trace`` does so.
    """
    with torch.fx._symbolic_trace._Patcher() as patcher:
        torch.fx._symbolic_trace._patch_wrapped_functions(patcher)
        yield


tensor_metadata = torch.fx.passes.shape_prop._extract_tensor_metadata
"""What `ShapeProp` writes about a tensor. In public it does so for the nodes of a graph that it runs alone."""

Namespace = torch.fx.graph._Namespace
"""Gives the nodes of a graph their names. ``Graph.create_node`` uses one, and takes most of its time for what a trace
does not need: the names from here to the end are for doing the rest of it."""
ILLEGAL_NAMES = torch.fx.graph._illegal_names
"""The names that no node has, by what they mean in Python."""
used_names: Callable[[Namespace], set[str]] = attrgetter("_used_names")
"""The names that a `Namespace` has given."""
name_counts: Callable[[Namespace], dict[str, int]] = attrgetter("_base_count")
"""The last number that a `Namespace` has added to a name."""


def set_namespace(graph: fx.Graph, namespace: Namespace) -> None:
    """From now on ``namespace`` gives the nodes of ``graph`` their names."""
    graph._graph_namespace = namespace


def insert_node(graph: fx.Graph, node: fx.Node) -> None:
    """Adds a node where ``Graph.create_node`` would: at the place where the graph inserts, its end unless told so."""
    graph._insert(node)
    graph._len += 1


def register_node(graph: fx.Graph, node: fx.Node) -> None:
    """Notes what ``Graph.create_node`` does besides, for those who change the graph: its name, and what it calls."""
    graph._graph_namespace.associate_name_with_obj(node.name, node)
    graph._find_nodes_lookup_table.insert(node)


target_name = fx.Graph._target_to_str
"""``target_name(graph, target)`` is what a node that calls ``target`` is named after."""

METHOD_OF_LABEL = "_get_node_label"
"""The name of the method of `FxGraphDrawer` that writes the text of a node. In public no other text can be chosen."""

# Compiling and scripts


def attributes_of_script(script: torch.jit.ScriptModule) -> dict[str, Any]:
    """The attributes of a scripted module itself by name. They stand in C++; in public one must know a name to ask."""
    described: Any = torch._C.ConcreteModuleType.from_jit_type(script._c._type())
    return {name: getattr(script, name) for name in described.get_attributes()}


COMPILER = "torch._dynamo"
"""The name of the module that compiles. ``torch.compiler``, which is public, is there before it, and loads it."""

ASKS_COMPILER = "torch._compile"
"""The name of the module of ``torch._disable_dynamo``, which asks the compiler to leave a function out, when it
is first called. Torch documents neither."""

ANSWER_OF_COMPILER = "__dynamo_disable"
"""The attribute of such a function under which the answer is kept."""

optimized_execution = torch.jit.optimized_execution  # type: ignore[attr-defined]
"""Whether scripted functions are rewritten before they run. It is public, but has no types that can be checked."""

# Sizes that are symbols: torch loads the rules of these, and sympy, when somebody first asks for them


def new_size(environment: Any, name: str, example: int) -> torch.SymInt:
    """A size that is a symbol. In public ``mark_dynamic`` makes one, for the compiler alone."""
    from torch._guards import Source
    from torch.fx.experimental.symbolic_shapes import DimDynamic

    as_method = inspect.isfunction(vars(Source)["name"])  # up to torch 2.9
    source = type("Named", (Source,), {"name": (lambda self: name) if as_method else name})()
    symbol = environment.create_symbol(example, source, dynamic_dim=DimDynamic.DYNAMIC, do_not_specialize_zero_one=True)
    return environment.create_symintnode(symbol, hint=example, source=source)  # type: ignore[no-any-return]


def sizes_are_general() -> contextlib.AbstractContextManager[Any]:
    """While it lasts, torch takes a size that is a symbol to be more than one wherever it may, and asks nothing."""
    import torch.fx.experimental._config as config

    return config.patch(backed_size_oblivious=True)  # type: ignore[no-any-return, attr-defined]


def python_rules() -> contextlib.AbstractContextManager[Any]:
    """While it lasts, Python takes composite operators apart, which knows symbols where C++ does not. ``torch.export``
    does so, and no public name."""
    from torch._dispatch.python import enable_python_dispatcher

    return enable_python_dispatcher()


kernels_met: Callable[[Operator], dict[Any, Any]] = attrgetter("_dispatch_cache")
"""How an operator has run so far: to be cleared when its rules change, which no public name does."""


def has_kernel(operator: Operator, key: str) -> bool:
    """Whether C++ has a kernel of an operator for a dispatch key. In public nothing tells."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), key))


# Several ranks

group_resolver: Callable[[Any], Callable[[str], Any]] = attrgetter("_C._distributed_c10d._resolve_process_group")
"""Of `torch`: finds a process group by its name. In public a group is known by who made it."""
sharding_propagator: Callable[[Any], Any] = attrgetter("_op_dispatcher.sharding_propagator")
"""Of `DTensor`: finds out how results are split, by calls that nothing public tells from those of the model."""
unseen_by_modes = torch.utils._python_dispatch._disable_current_modes
"""While it lasts no mode sees anything, those of torch's own fake tensors included. No public name does so."""
split_as: Callable[[Any], Any] = attrgetter("_spec")
"""How a `DTensor` is split. The public ``from_local`` moves what it is given to the device of the mesh."""
FULLY_SHARD = ("torch.distributed.fsdp._fully_shard._fsdp_param_group", "_validate_no_meta_params")
"""Where `fully_shard` refuses the meta device. In public it is given data."""
GATHERED = "_unsharded_param"
"""Where it has a parameter that it has gathered."""


def sharded_parameters(module: Any) -> list[Any]:
    """What `fully_shard` keeps of each parameter that a module gathers. In public a module is told to gather."""
    state = module._get_fsdp_state()
    groups = state._fsdp_param_groups if hasattr(state, "_fsdp_param_groups") else [state._fsdp_param_group]
    return [each for group in groups if group is not None for each in group.fsdp_params]


what_sends: Callable[[Any], list[Any]] = attrgetter("_comm_hooks")
"""The hooks that decide what a `DistributedDataParallel` sends. In public they are registered, and not listed."""
AWAITED = ("torch.distributed._functional_collectives", "AsyncCollectiveTensor")
"""The class of the result of a collective that nobody has waited for. In public it is only seen by its name."""
