"""Private names of torch stand in one file, and each means what the package takes it to mean."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.graph_drawer import FxGraphDrawer
from torch.fx.passes.shape_prop import ShapeProp
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import fxcount
from fxcount import _torch

PACKAGE = Path(fxcount.__file__).parent
NAMES = PACKAGE / "_torch.py"

COUNTERS = [PACKAGE / "engine" / name for name in ("counter.py", "without_data.py")]
"""The classes in these files are bases of others in the same folder."""

OF_PYTHON = {"sys._getframe"}
OF_NAMED_TUPLES = {"_replace"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


OF_MODULES_AND_GRAPHS = {name for each in (nn.Module(), fx.Graph()) for name in dir(each) if is_private(name)}
"""Those that are also used as texts, as in ``getattr(module, "_buffers")``."""


def private_names(text: str, inherited: Iterable[str] = ()) -> list[str]:
    """The names in a file that are private, and not those of its own classes."""
    found = []
    nodes = list(ast.walk(ast.parse(text)))
    own = {*names_of_own_classes(nodes), *inherited}
    used = {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if any(map(is_private, each.name.split(".")))]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("fxcount"):
            paths = [f"{node.module}.{each.name}" for each in node.names]
            found += [path for path in paths if any(map(is_private, path.split(".")))]
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in OF_NAMED_TUPLES:
            path = ast.unparse(node)
            itself = ast.unparse(node.value) in ("self", "super()")
            is_own = node.attr in own and (itself or node.attr not in OF_MODULES_AND_GRAPHS)
            if path not in OF_PYTHON and not is_own:
                found.append(path)
        elif isinstance(node, ast.Constant) and node.value in OF_MODULES_AND_GRAPHS:
            found.append(repr(node.value))
        elif isinstance(node, ast.ClassDef):  # what the class itself never uses, a class of torch calls
            methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            found += [f"{node.name}.{name}" for name in methods if is_private(name) and name not in used]
    return found


def names_of_own_classes(nodes: list[ast.AST]) -> Iterator[str]:
    """What the classes of a file have: what is set on ``self``, and what stands in their bodies."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                yield from [each.name] if isinstance(each, ast.FunctionDef) else []
                yield from [ast.unparse(each.target)] if isinstance(each, ast.AnnAssign) else []
                yield from map(ast.unparse, each.targets) if isinstance(each, ast.Assign) else ()


@pytest.mark.parametrize(
    "text",
    [
        "import torch._dynamo",
        "import torch.utils._pytree as pytree",
        "from torch.utils import _pytree as pytree",
        "from torch._ops import OpOverload",
        "def f(operator: torch._ops.OpOverload): ...",
        "torch._C.DisableTorchFunction()",
        "x._nnz()",
        "module._buffers.items()",
        "vars(module)['_buffers']",
        "class A:\n    _buffers: dict\n    def f(self, module):\n        module._buffers",
        "class A(Namespace):\n    def f(self):\n        self._used_names",
        "class A(FxGraphDrawer):\n    def _get_node_label(self): ...",
    ],
)
def test_a_private_name_is_found(text: str) -> None:
    assert private_names(text)


@pytest.mark.parametrize(
    "text",
    [
        "torch.ops.aten.add.Tensor",
        "class A:\n    def __init__(self):\n        self._parts = []\n    def f(self, other):\n        other._parts",
        "class A:\n    _part: int\n    def f(self):\n        self._part",
        "class A:\n    def _g(self): ...\n    def f(self):\n        self._g()",
        "class A:\n    def _repr_html_(self): ...",
        "from fxcount._torch import Operator",
        "sys._getframe(1)",
        "cost._replace(convention=None)",
        "formula('_euclidean_dist')",
    ],
)
def test_no_other_name_is_found(text: str) -> None:
    assert not private_names(text)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_stand_in_one_file(path: Path) -> None:
    if path != NAMES:
        nodes = [node for base in COUNTERS for node in ast.walk(ast.parse(base.read_text()))]
        inherited = [*names_of_own_classes(nodes)]
        assert private_names(path.read_text(), inherited if path.parent == COUNTERS[0].parent else ()) == []


def test_that_file_needs_no_other_and_loads_nothing_large() -> None:
    lines = ["import runpy, sys", "import torch", "before = set(sys.modules)", f"runpy.run_path({str(NAMES)!r})"]
    lines += ["print(*{name.partition('.')[0] for name in set(sys.modules) - before})", "print(*sys.modules)"]
    command = [sys.executable, "-c", "\n".join(lines)]
    new, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(new.split()) <= {"torch", *sys.stdlib_module_names}
    assert "torch._dynamo" not in loaded.split()


def defined_names() -> set[str]:
    body = ast.parse(NAMES.read_text()).body
    assigned = [each.targets[0] for each in body if isinstance(each, ast.Assign)]
    assigned += [each.target for each in body if isinstance(each, ast.AnnAssign)]
    defined = [each.name for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    return {*map(ast.unparse, assigned), *defined}


def test_each_name_is_tested() -> None:
    nodes = ast.walk(ast.parse(Path(__file__).read_text()))
    tested = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "_torch"}
    assert tested == defined_names()


def test_each_name_is_used() -> None:
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {each.name for node in imports if node.module == "fxcount._torch" for each in node.names}
    assert used == defined_names()


# Operators


class Operators(_torch.DispatchMode):
    """Notes the operators that it sees."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    """Notes the functions that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


def test_the_classes_of_operators() -> None:
    add, loop = torch.ops.aten.add, torch.ops.higher_order.while_loop
    assert isinstance(add, _torch.OperatorPacket)
    assert type(add.Tensor) is _torch.Operator  # a key may hold instances of this class and no other
    assert add.Tensor.overloadpacket is add
    assert isinstance(loop, _torch.HigherOrderOperator)
    assert not isinstance(loop, _torch.Operator)
    assert loop.name() == "while_loop"


def test_a_custom_operator_registers_an_operator() -> None:
    @torch.library.custom_op("fxcount_test_torch::twice", mutates_args=())
    def twice(x: Tensor) -> Tensor:
        return x * 2

    assert isinstance(twice, _torch.CustomOperator)
    assert _torch.registered_operator(twice) is torch.ops.fxcount_test_torch.twice.default


def test_the_schema_of_an_operator() -> None:
    add = _torch.schema_of(torch.ops.aten.add.Tensor)
    assert [(each.name, each.kwarg_only) for each in add.arguments] == [
        ("self", False),
        ("other", False),
        ("alpha", True),
    ]
    assert add.arguments[2].default_value == 1
    in_place = _torch.schema_of(torch.ops.aten.add_.Tensor)
    assert (add.is_mutable, in_place.is_mutable) == (False, True)
    assert [each.is_write for each in in_place.arguments] == [True, False, False]
    assert [each.alias_info is None for each in (*add.returns, *in_place.returns)] == [True, False]
    assert _torch.schema_of(torch.ops.aten.t.default).returns[0].alias_info is not None


# The dispatcher

X = torch.randn(2, 4)


def test_below_autograd_composite_operators_are_whole() -> None:
    weight = torch.randn(3, 4, requires_grad=True)
    with Operators() as above:
        assert nn.functional.linear(X, weight).requires_grad
    with _torch.below_autograd(), Operators() as below:
        result = nn.functional.linear(X, weight)
    assert torch.ops.aten.linear.default not in above.seen
    assert below.seen == [torch.ops.aten.linear.default]
    assert not result.requires_grad
    assert not result.is_inference()


def test_autograd_comes_back_inside_of_what_leaves_it_out() -> None:
    weight, excluded = torch.ones(3, requires_grad=True), _torch.excluded_keys()
    with _torch.below_autograd():
        assert not (weight * 2).requires_grad
        with _torch.forced_keys(_torch.included_keys(), excluded):
            assert (weight * 2).requires_grad
        assert not (weight * 2).requires_grad


class Told(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        assert type(ctx) is _torch.context_of(Told)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def test_the_class_of_what_a_function_with_a_gradient_gets() -> None:
    Told.apply(torch.ones(3))


def test_what_is_seen_of_autograd() -> None:
    with Functions() as mode:
        with torch.no_grad():
            pass
        with torch.autograd.forward_ad.dual_level():
            torch.autograd.forward_ad.make_dual(torch.ones(3), torch.ones(3))
    assert mode.seen.count(_torch.grad_mode_setter) == 2
    assert _torch.make_dual in mode.seen


def test_autograd_numbers_what_it_notes() -> None:
    x = torch.ones(3, requires_grad=True)
    first = _torch.next_sequence_number()
    twice, more = x * 2, x + 1
    assert [_torch.sequence_number_of(each.grad_fn) for each in (twice, more)] == [first, first + 1]
    assert _torch.next_sequence_number() == first + 2
    assert _torch.sequence_number_of(x.view_as(x).grad_fn.next_functions[0][0]) == _torch.NUMBER_OF_LEAVES


@pytest.mark.parametrize("early", [True, False])
def test_whether_a_checkpoint_stops_early(early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    enter = torch.autograd.graph.saved_tensors_hooks.__enter__

    def entered(hooks: torch.autograd.graph.saved_tensors_hooks) -> None:
        seen.append(_torch.stops_early(hooks))
        enter(hooks)

    monkeypatch.setattr(torch.autograd.graph.saved_tensors_hooks, "__enter__", entered)
    with torch.utils.checkpoint.set_checkpoint_early_stop(early):
        torch.utils.checkpoint.checkpoint(torch.exp, torch.ones(3, requires_grad=True), use_reentrant=False)
    assert seen == [early]


def test_hooks_of_a_gradient() -> None:
    x = torch.ones(3, requires_grad=True)
    assert not _torch.hooks_on_gradient(x)
    assert not _torch.hooks_after_gradient(x)

    def on(gradient: Tensor) -> None: ...

    def after(leaf: Tensor) -> None: ...

    x.register_hook(on)
    x.register_post_accumulate_grad_hook(after)
    assert [*(_torch.hooks_on_gradient(x) or {}).values()] == [on]
    assert [*(_torch.hooks_after_gradient(x) or {}).values()] == [after]


class AtWork(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(_torch.autograd_node_at_work())
        return func(*args, **(kwargs or {}))


def test_the_node_of_autograd_that_is_at_work() -> None:
    x = torch.ones(3, requires_grad=True)
    out = x.exp()
    assert _torch.autograd_node_at_work() is None
    with AtWork() as mode:
        out.backward(torch.ones(3))
    assert out.grad_fn in mode.seen


def test_no_dispatch_mode_sees_an_operator() -> None:
    with Operators() as mode:
        with _torch.no_dispatch_modes():
            X + 1
        assert mode.seen == []
        X + 1
    assert mode.seen == [torch.ops.aten.add.Tensor]


def test_modes_are_counted() -> None:
    operators, functions = _torch.dispatch_mode_count(), _torch.function_mode_count()
    with Operators():
        assert (_torch.dispatch_mode_count(), _torch.function_mode_count()) == (operators + 1, functions)
        with Operators(), Functions():
            assert (_torch.dispatch_mode_count(), _torch.function_mode_count()) == (operators + 2, functions + 1)
    assert (_torch.dispatch_mode_count(), _torch.function_mode_count()) == (operators, functions)


def test_functions_are_seen_again() -> None:
    with Functions() as mode, torch.DisableTorchFunction():
        torch.add(X, 1)
        assert mode.seen == []
        with _torch.enable_torch_function():
            torch.add(X, 1)
        assert mode.seen == [torch.add]
        torch.add(X, 1)
    assert mode.seen == [torch.add]


def test_a_subclass_whose_results_are_plain() -> None:
    class Ordinary(Tensor):
        pass

    class Disabled(Tensor):
        __torch_function__ = _torch.disabled_torch_function

    assert type(X.as_subclass(Ordinary) + 1) is Ordinary
    assert type(X.as_subclass(Disabled) + 1) is Tensor
    with Functions() as mode:
        torch.add(X.as_subclass(Disabled), 1)
    assert mode.seen[-1] is torch.add  # the modes go on to see its calls


def test_whether_autocast_is_at_work() -> None:
    assert not _torch.any_autocast()
    with torch.autocast("cpu", torch.bfloat16):
        assert _torch.any_autocast()
        with torch.autocast("cpu", enabled=False):
            assert not _torch.any_autocast()
    assert not _torch.any_autocast()


# What torch.func transforms


def test_tensors_of_a_transform() -> None:
    seen: dict[str, tuple[Any, ...]] = {}

    def noted(name: str, x: Tensor) -> Tensor:
        seen[name] = (_torch.transform_level(), _torch.is_transformed(x), _torch.is_gradient_tracked(x))
        seen[f"outside {name}"] = (_torch.is_transformed(X), _torch.is_gradient_tracked(X))
        return x.sum()

    torch.vmap(lambda x: noted("vmap", x))(X)
    torch.func.grad(lambda x: noted("grad", x))(X)
    torch.vmap(torch.func.grad(lambda x: noted("both", x)))(X)
    assert seen["vmap"] == (1, True, False)
    assert seen["grad"] == (1, True, True)
    assert seen["both"] == (2, True, True)
    assert {seen[f"outside {name}"] for name in ("vmap", "grad", "both")} == {(False, False)}
    assert _torch.transform_level() is None


# Tensors


def test_a_detached_tensor_that_no_mode_sees() -> None:
    x = torch.randn(4, 2, requires_grad=True).t()
    with Operators() as operators, Functions() as functions:
        made = _torch.make_subclass(Tensor, x)
    assert (operators.seen, functions.seen) == ([], [])
    assert type(made) is Tensor
    assert made is not x
    assert not made.requires_grad
    assert (made.data_ptr(), made.shape, made.stride()) == (x.data_ptr(), x.shape, x.stride())


def test_a_tensor_without_memory_on_a_device() -> None:
    class Shown(Tensor):
        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return NotImplemented

    made = _torch.make_wrapper_subclass(Shown, (2, 3), (1, 2), 5, dtype=torch.half, device="cuda")
    assert type(made) is Shown
    assert (made.shape, made.stride(), made.storage_offset(), made.dtype) == ((2, 3), (1, 2), 5, torch.half)
    assert made.device.type == "cuda"
    with pytest.raises(RuntimeError, match="data pointer"):
        made.untyped_storage().data_ptr()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_which_memory_a_tensor_lies_in(device: str) -> None:
    x, other = torch.randn(4, 2, device=device), torch.randn(4, 2, device=device)
    views = (x.t(), x[1:], x.detach(), nn.Parameter(x))
    assert all(_torch.is_alias_of(x, view) for view in views)
    assert not _torch.is_alias_of(x, other)
    place, storage = _torch.storage_identity(x)
    assert storage.nbytes() == 32
    assert {_torch.storage_identity(view)[0] for view in views} == {place}
    assert _torch.storage_identity(other)[0] != place
    sparse = torch.eye(2).to_sparse()
    assert _torch.storage_identity(sparse) == (id(sparse), sparse)


def test_a_new_tensor_that_somebody_holds_is_copied() -> None:
    """Which is why `StorageNumbers` holds the storages of results, and not the results."""

    class Holds(Operators):
        def __init__(self) -> None:
            super().__init__()
            self.held: list[Tensor] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = super().__torch_dispatch__(func, types, args, kwargs)
            self.held.append(out)
            return out

    with Operators() as without:
        torch.arange(3)
    with Holds() as holding:
        torch.arange(3)
    assert [str(each) for each in without.seen] == ["aten.arange.default"]
    assert [str(each) for each in holding.seen] == ["aten.arange.default", "aten.detach.default"]


def test_what_a_sparse_tensor_stores() -> None:
    """Two entries for one place are two as long as nobody adds them up."""
    x = torch.sparse_coo_tensor([[0, 0, 2]], [1.0, 2.0, 4.0], (3,))
    assert _torch.entry_count(x) == 3
    assert _torch.entry_indices(x).tolist() == [[0, 0, 2]]
    assert _torch.entry_values(x).tolist() == [1.0, 2.0, 4.0]
    assert _torch.entry_count(x.coalesce()) == 2
    assert _torch.entry_count(torch.eye(3).to_sparse_csr()) == 3
    with pytest.raises(RuntimeError, match="coalesce"):
        x.indices()


def test_the_assertion_is_seen_as_a_function() -> None:
    graph = fx.Graph()
    torch._assert(fx.Proxy(graph.placeholder("condition")), "why")
    assert [node.target for node in graph.nodes] == ["condition", _torch.assertion]


# Containers


class Pair(NamedTuple):
    first: Any
    second: Any


def test_nested_containers() -> None:
    nested = {"a": [1, (2, None)], "b": Pair(3, {"c": 4})}
    leaves, spec = _torch.pytree.tree_flatten(nested)
    assert leaves == [1, 2, None, 3, 4]
    assert _torch.pytree.tree_unflatten([10, 20, 0, 30, 40], spec) == {"a": [10, (20, 0)], "b": Pair(30, {"c": 40})}
    assert _torch.pytree.tree_map(str, nested) == {"a": ["1", ("2", "None")], "b": Pair("3", {"c": "4"})}
    assert _torch.pytree.tree_flatten(object)[0] == [object]  # what is no container is its own leaf


def test_the_paths_of_leaves() -> None:
    paths: dict[int, list[Any]] = {}

    def note(path: tuple[Any, ...], leaf: int) -> int:
        paths[leaf] = [
            next(getattr(key, name) for name in ("name", "idx", "key") if hasattr(key, name)) for key in path
        ]
        return -leaf

    assert _torch.pytree.tree_map_with_path(note, {"a": [1], "b": Pair(2, 3)}) == {"a": [-1], "b": Pair(-2, -3)}
    assert paths == {1: ["a", 0], 2: ["b", "first"], 3: ["b", "second"]}


# Modules


def test_what_a_module_itself_holds() -> None:
    """In the module's own dicts, absent ones as None, and nothing of the modules inside it."""
    norm = nn.BatchNorm2d(3, affine=False)
    assert _torch.parameters_of(norm) == {"weight": None, "bias": None}
    assert list(_torch.buffers_of(norm)) == ["running_mean", "running_var", "num_batches_tracked"]
    assert _torch.buffers_of(norm)["running_mean"] is norm.running_mean
    around = nn.Sequential(norm)
    assert (_torch.parameters_of(around), _torch.buffers_of(around)) == ({}, {})


def test_the_parametrized_weights_that_are_kept() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    with nn.utils.parametrize.cached():
        weight = layer.weight
        assert [*_torch.parametrized_weights().values()] == [weight]
    assert _torch.parametrized_weights() == {}


def test_the_hooks_of_a_module() -> None:
    def before(module: nn.Module, args: Any) -> None: ...

    def after(module: nn.Module, args: Any, result: Any) -> None: ...

    module = nn.ReLU()
    assert not _torch.forward_pre_hooks_of(module)
    assert not _torch.forward_hooks_of(module)
    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
    assert list(_torch.forward_pre_hooks_of(module).values()) == [before]
    assert list(_torch.forward_hooks_of(module).values()) == [after]


@pytest.mark.parametrize(
    "register",
    [
        nn.modules.module.register_module_forward_pre_hook,
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_full_backward_pre_hook,
        nn.modules.module.register_module_full_backward_hook,
    ],
)
def test_hooks_of_all_modules(register: Any) -> None:
    assert not _torch.any_global_hook()
    handle = register(lambda *args: None)
    try:
        assert _torch.any_global_hook()
    finally:
        handle.remove()
    assert not _torch.any_global_hook()


def test_what_the_call_of_a_module_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        called.append(module)
        return original(module, *args, **kwargs)

    original = getattr(nn.Module, _torch.CALL_OF_MODULE)
    monkeypatch.setattr(nn.Module, _torch.CALL_OF_MODULE, call)
    module = nn.ReLU()
    assert torch.equal(module(X), X.relu())
    assert called == [module]


def test_a_compiled_module_calls_something_else() -> None:
    module = nn.ReLU()
    assert _torch.compiled_call_of(module) is None
    module.compile(backend="eager")
    assert callable(_torch.compiled_call_of(module))


# Graphs


@fx.wrap
def wrapped(x: Any) -> Any:
    return x + 1


def test_functions_that_fx_wraps() -> None:
    graph = fx.Graph()
    proxy = fx.Proxy(graph.placeholder("x"))
    with _torch.wrapped_functions():
        wrapped(proxy)
    wrapped(proxy)
    assert [node.name for node in graph.nodes] == ["x", "wrapped", "add"]
    assert wrapped(1) == 2


def test_the_metadata_of_a_tensor_is_that_of_shape_propagation() -> None:
    dense = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    for x in (dense, torch.eye(3).to_sparse()):
        traced = fx.symbolic_trace(nn.Identity())
        ShapeProp(traced).propagate(x)
        found = next(iter(traced.graph.nodes)).meta["tensor_meta"]
        assert _torch.tensor_metadata(x) == found
        assert (found.shape, found.dtype) == (x.shape, x.dtype)


def test_a_namespace_numbers_what_is_taken() -> None:
    names = _torch.Namespace()
    assert [names.create_name(name, None) for name in ("add", "add", "add", "x")] == ["add", "add_1", "add_2", "x"]
    assert _torch.used_names(names) == {"add", "add_1", "add_2", "x"}
    assert _torch.name_counts(names) == {"add": 2, "x": 0}
    assert {"for", "len", "None"} <= set(_torch.ILLEGAL_NAMES)
    assert names.create_name("len", None) == "len_1"
    _torch.used_names(names).add("mul")
    _torch.name_counts(names)["mul"] = 7
    assert names.create_name("mul", None) == "mul_8"


def test_the_guards_of_an_exported_program() -> None:
    program = torch.export.export(nn.ReLU(), (X,))
    for checks in (True, False):
        graph = program.module(check_guards=checks).graph
        called = [node.target for node in graph.nodes if node.op == "call_module"]
        assert called == ([_torch.GUARDS] if checks else [])


def test_a_graph_takes_its_names_from_a_namespace() -> None:
    names = _torch.Namespace()
    names.create_name("x", None)
    graph = fx.Graph()
    _torch.set_namespace(graph, names)
    assert graph.placeholder("x").name == "x_1"


def test_a_node_that_is_inserted_is_as_one_that_is_created() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    made = fx.Node(graph, "abs_1", "call_method", "abs", (x,), {})
    _torch.insert_node(graph, made)
    created = graph.call_method("neg", (made,))
    assert list(graph.nodes) == [x, made, created]
    assert len(graph.nodes) == 3
    assert list(graph.find_nodes(op="call_method", target="abs")) == []
    _torch.register_node(graph, made)
    assert list(graph.find_nodes(op="call_method", target="abs")) == [made]
    assert graph._graph_namespace._obj_to_name[made] == "abs_1"
    graph.output(created)
    graph.lint()
    assert torch.equal(fx.GraphModule(nn.Module(), graph)(X), -X.abs())


@pytest.mark.parametrize(
    ("op", "target"), [("call_function", torch.add), ("call_method", "__add__"), ("call_module", "layers.0")]
)
def test_what_a_node_is_named_after(op: str, target: Any) -> None:
    graph = fx.Graph()
    stem = _torch.target_name(graph, target)
    assert graph.create_node(op, target).name == _torch.Namespace().create_name(stem, None)


def test_the_text_of_a_drawn_node() -> None:
    drawer: Any = type("Drawer", (FxGraphDrawer,), {_torch.METHOD_OF_LABEL: lambda self, module, node, *_: node.op})
    drawing = drawer(fx.symbolic_trace(nn.Identity()), "model").get_dot_graph()
    assert [box.get_label() for box in drawing.get_nodes()] == ["placeholder", "output"]


# Compiling and scripts


def test_what_a_stance_of_the_compiler_loads() -> None:
    lines = ["import sys, torch", f"print({_torch.COMPILER!r} in sys.modules)"]
    lines += ["torch.compiler.set_stance('force_eager')", lines[1]]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_asks_the_compiler_to_leave_a_function_out() -> None:
    lines = [
        "import sys, torch",
        "class Finder:",
        "    def find_spec(self, name, path, target=None):",
        f"        if name == {_torch.COMPILER!r}:",
        "            frame = sys._getframe(1)",
        "            while frame.f_globals['__name__'].startswith('importlib'):",
        "                frame = frame.f_back",
        "            print(frame.f_globals['__name__'])",
        "sys.meta_path.insert(0, Finder())",
        "def double(x):",
        "    return 2 * x",
        f"print(torch._disable_dynamo(double)(2), hasattr(double, {_torch.ANSWER_OF_COMPILER!r}))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [_torch.ASKS_COMPILER, "4", "True"]


def test_the_attributes_of_a_script() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.state, self.names = nn.Linear(2, 2), torch.zeros(3), ["a"]

        def forward(self, x: Tensor) -> Tensor:
            self.names.append("b")
            return self.inner(x) + self.state.sum() + len(self.names)

    script = torch.jit.script(Net())
    attributes = _torch.attributes_of_script(script)
    assert {"state", "names", "training"} <= attributes.keys()
    assert "weight" not in attributes
    assert attributes["state"] is script.state
    script(torch.ones(1, 2))
    assert attributes["names"] == ["a"]
    assert _torch.attributes_of_script(script)["names"] == ["a", "b"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_scripts_run_as_they_are_written() -> None:
    """Torch compares the weights of a frozen script, its constants, when it rewrites the script on its first run."""
    for optimized in (True, False):
        frozen = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()))
        with _torch.optimized_execution(optimized), _torch.below_autograd(), Operators() as mode:
            frozen(X)
        assert (torch.ops.aten.equal.default in mode.seen) is optimized
        assert mode.seen[-2:] == [torch.ops.aten.linear.default, torch.ops.aten.relu.default]


# Sizes that are symbols


def environment_with(*examples: int) -> tuple[Any, list[Any]]:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    environment = ShapeEnv(specialize_zero_one=False, duck_shape=False)
    return environment, [_torch.new_size(environment, f"size{place}", size) for place, size in enumerate(examples)]


def test_a_new_size_is_a_symbol_of_its_own() -> None:
    environment, (a, b, c) = environment_with(4, 4, 1)
    assert len({size.node.expr for size in (a, b, c)}) == 3
    assert (2 * a).node.expr == 2 * a.node.expr
    assert (2 * a).node.hint == 8
    assert environment.guards == []
    assert a + b == 8
    assert len(environment.guards) == 1


def test_sizes_that_are_general() -> None:
    from torch.fx.experimental.symbolic_shapes import guard_or_false

    environment, (a,) = environment_with(4)
    with _torch.sizes_are_general():
        assert not guard_or_false(a == 4)
    assert environment.guards == []
    assert guard_or_false(a == 4)
    assert len(environment.guards) == 1


def test_composite_operators_are_taken_apart_by_rules_for_symbols() -> None:
    _, (a,) = environment_with(4)
    x = torch.empty(a, 2, 3, device="meta")
    with _torch.python_rules(), _torch.sizes_are_general(), _torch.below_autograd():
        made: Any = torch.matmul(x, torch.empty(3, 5, device="meta"))
    assert made.shape[0].node.expr == a.node.expr


def test_how_an_operator_has_run() -> None:
    operator = torch.ops.aten.relu.default
    _torch.kernels_met(operator).clear()
    with _torch.python_rules(), Operators():
        torch.relu(torch.ones(2))
    assert _torch.kernels_met(operator)


def test_the_kernels_of_an_operator() -> None:
    assert _torch.has_kernel(torch.ops.aten.matmul.default, "CompositeImplicitAutograd")
    assert not _torch.has_kernel(torch.ops.aten.mm.default, "CompositeImplicitAutograd")


# Several ranks


@pytest.fixture
def split() -> Iterator[Any]:
    """Eight numbers, of which this one of four ranks has two."""
    from torch.distributed.tensor import Shard, distribute_tensor

    with fxcount.fake_mesh((4,), ("tp",)) as mesh:
        yield distribute_tensor(torch.arange(8.0), mesh, [Shard(0)])


def test_a_group_is_found_by_its_name(split: Any) -> None:
    group = split.device_mesh.get_group("tp")
    assert _torch.group_resolver(torch)(group.group_name) is group


def test_another_tensor_that_is_split_alike(split: Any) -> None:
    other = type(split)(torch.empty(2, device="meta"), _torch.split_as(split), requires_grad=False)
    assert (other.shape, other.placements, other.is_meta) == (split.shape, split.placements, True)


def test_how_results_are_split_is_found_out_by_what_no_mode_sees(split: Any) -> None:
    propagator, seen, asked = _torch.sharding_propagator(type(split)), Operators(), []
    names = ("propagate_op_sharding", "propagate_op_sharding_non_cached")
    before = {name: getattr(propagator, name) for name in names}

    def unseen(name: str) -> Any:
        def run(*args: Any) -> Any:
            asked.append(name)
            with _torch.unseen_by_modes():
                return before[name](*args)

        return run

    for name in names:
        setattr(propagator, name, unseen(name))
    try:
        with seen:
            split.cosh()
    finally:
        for name in names:
            setattr(propagator, name, before[name])
    assert asked
    assert seen.seen == [torch.ops.aten.cosh.default]


def test_where_fully_shard_asks_for_data() -> None:
    import importlib

    module, refusal = _torch.FULLY_SHARD
    assert callable(getattr(importlib.import_module(module).FSDPParamGroup, refusal))


def test_where_fully_shard_has_what_it_has_gathered(split: Any) -> None:
    layer = torch.distributed.fsdp.fully_shard(nn.Linear(4, 4, bias=False), mesh=split.device_mesh)
    (weight,) = _torch.sharded_parameters(layer)
    assert weight.sharded_state.name == "SHARDED"
    layer(torch.ones(2, 4))
    assert weight.sharded_state.name == "UNSHARDED"
    assert getattr(weight, _torch.GATHERED).shape == (4, 4)
    assert [each.numel() for each in weight.all_gather_outputs] == [16]


def test_hooks_that_decide_what_is_sent(split: Any) -> None:
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
    assert not _torch.what_sends(model)
    model.register_comm_hook(None, lambda state, bucket: None)
    assert _torch.what_sends(model)


def test_the_result_of_a_collective_that_nobody_has_waited_for(split: Any) -> None:
    import importlib

    module, name = _torch.AWAITED
    functions = importlib.import_module(module)
    result = functions.all_reduce(split.to_local(), "sum", split.device_mesh)
    assert isinstance(result, getattr(functions, name))
    assert type(result.elem) is torch.Tensor
    result.wait()


def test_memory_by_the_number_of_its_storage() -> None:
    x, y = torch.empty(4, device="meta"), torch.empty(4, device="meta")
    assert _torch.place_of(x.untyped_storage()) == _torch.place_of(x[1:].untyped_storage())
    assert _torch.place_of(x.untyped_storage()) != _torch.place_of(y.untyped_storage())
