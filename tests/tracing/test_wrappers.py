"""Models in wrappers, in other forms and in other number formats count as the model itself."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from fxcount import Cost, InputError, count_graph
from tests.tracing.graphs import checked_count

X = torch.randn(2, 4)
AUTO = ("auto", "recorded", "executed")


class Network(nn.Module):
    """By hand, for two rows in eval(): two layers; norm: 1/sigma, gamma, mean, eps, beta; relu; residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.norm(self.first(x))) + x)


EVAL = Cost(macs=2 * 16 + 2 * 12, mul=8 + 8, add=8 + (8 + 4 + 8) + 8 + 6, cmp=8, special=4)
TRAIN = EVAL + Cost(div=8 + 2 * 4, add=3 * 8 - 2 * 4 - 8)  # three additions an element, less two a channel, not one
PARAMETERS = (16 + 4) + 8 + (12 + 3)


def network(training: bool = False) -> Network:
    return Network().train(training)


def test_the_network_itself() -> None:
    assert checked_count(network(), X).total == EVAL
    assert checked_count(network(training=True), X).total == TRAIN
    assert count_graph(network(), X).params == PARAMETERS


def compiled_inside() -> nn.Module:
    model = network()
    model.first = torch.compile(model.first)
    model.second.compile()
    return model


def compiled_in_place() -> nn.Module:
    model = network()
    model.compile(fullgraph=True)
    return model


def scripted_inside() -> nn.Module:
    model = network()
    model.first = torch.jit.script(model.first)
    return model


def with_forward(wrap: Callable[[Any], Any]) -> nn.Module:
    model = network()
    model.forward = wrap(model.forward)
    return model


def checkpointed() -> Callable[[Tensor], Tensor]:
    model = network()
    return lambda x: checkpoint(model, x, use_reentrant=False)


def checkpointed_inside() -> nn.Module:
    model = network()
    model.first.forward = functools.partial(checkpoint, model.first.forward, use_reentrant=True)
    return model


class Holder:
    """A callable that is no module."""

    def __init__(self) -> None:
        self.model = network()

    def __call__(self, x: Tensor) -> Tensor:
        return self.model(x)


WRAPPED: dict[str, Callable[[], Any]] = {
    "compiled": lambda: torch.compile(network()),
    "compiled, dynamic": lambda: torch.compile(network(), fullgraph=True, dynamic=True),
    "compiled in place": compiled_in_place,
    "compiled inside": compiled_inside,
    "compiled function": lambda: torch.compile(network().forward),
    "not to be compiled": lambda: with_forward(torch.compiler.disable),
    "data parallel": lambda: nn.DataParallel(network()),
    "scripted": lambda: torch.jit.script(network()),
    "scripted inside": scripted_inside,
    "traced": lambda: torch.jit.trace(network(), X),
    "checkpointed": checkpointed,
    "checkpointed inside": checkpointed_inside,
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(network()),
    "no gradients": lambda: with_forward(torch.no_grad()),
    "inference": lambda: with_forward(torch.inference_mode()),
    "copied": lambda: copy.deepcopy(network()),
    "partial": lambda: functools.partial(network()),
    "bound method": lambda: network().forward,
    "callable": Holder,
    "symbolically traced": lambda: torch.fx.symbolic_trace(network()),
    "counted before": lambda: count_graph(network(), X).graph,
    "recorded before": lambda: count_graph(network(), X, tracer="recorded").graph,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", AUTO)
@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped(name: str, tracer: str) -> None:
    model = WRAPPED[name]()
    cost = count_graph(model, X, tracer=tracer)
    assert cost.total == EVAL
    assert cost.params == PARAMETERS
    assert cost.uncounted == {}
    graph = cost.graph
    graph.graph.lint()
    with torch.no_grad():
        torch.testing.assert_close(graph(X), model(X))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", [*AUTO, "symbolic"])
@pytest.mark.parametrize("freeze", [torch.jit.freeze, torch.jit.optimize_for_inference])
def test_frozen(freeze: Callable[[Any], Any], tracer: str) -> None:
    """Its weights are constants of its code, which the first run would optimise; all of it is one node."""
    model = freeze(torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()))
    cost = checked_count(model, torch.randn(2, 4), tracer=tracer)
    assert cost.total == Cost(macs=2 * 3 * 4, add=2 * 3, cmp=2 * 3)
    assert cost.params == 0
    assert [node.op for node in cost.nodes] == ["placeholder", "call_module", "output"]


class CompiledWhileItRuns(Network):
    """Compiles a part of itself when it is first called."""

    def forward(self, x: Tensor) -> Tensor:
        self.first.compile()
        return super().forward(x)


@pytest.mark.parametrize("tracer", [*AUTO, "symbolic"])
@pytest.mark.parametrize("before", [False, True])
def test_compiled_while_it_runs(before: bool, tracer: str) -> None:
    """Its calls are seen as before, and a module is compiled afterwards if and only if it was."""
    model = CompiledWhileItRuns().eval()
    if before:
        model.first.compile()
    compiled = model.first._compiled_call_impl
    assert (compiled is not None) == before
    cost = count_graph(model, X, tracer=tracer)
    assert cost.total == EVAL
    assert cost.modules["first"].calls == 1
    assert model.first._compiled_call_impl is compiled


def test_another_thread_runs_what_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    """A count sees the calls of its own thread; those of others are made as ever."""
    other = nn.Linear(4, 4)
    other._compiled_call_impl = lambda x: print("called")
    assert count_graph(WithThread(other), X, tracer="symbolic").macs == 2 * 16
    assert capsys.readouterr().out == "called\n"


class WithThread(nn.Module):
    """Has another thread call a module while it runs."""

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(4, 4), other

    def forward(self, x: Tensor) -> Tensor:
        thread = threading.Thread(target=self.other, args=(torch.ones(2, 4),))
        thread.start()
        thread.join()
        return self.own(x)


class CallsInItsOwnWay(nn.Linear):
    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


class TracesItself(nn.Module):
    """A tracer of torch.fx sees the calls of a module that is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.traced, self.called = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        torch.fx.symbolic_trace(self.traced)
        return self.called(x)


@pytest.mark.parametrize("tracer", AUTO)
def test_calls_of_modules_that_others_change(tracer: str) -> None:
    own = nn.Sequential(CallsInItsOwnWay(4, 3), nn.ReLU())
    assert count_graph(own, X, tracer=tracer).modules["0"].calls == 1
    cost = count_graph(TracesItself(), X, tracer=tracer)
    assert cost.macs == 2 * 16
    assert {path: module.calls for path, module in cost.modules.items() if module.calls} == {"": 1, "called": 1}


def test_what_is_compiled_meanwhile_is_not_watched_afterwards() -> None:
    other = nn.Linear(4, 4)

    def forward(x: Tensor) -> Tensor:
        other.compile()
        return other(x)

    assert count_graph(forward, X).macs == 2 * 16
    with torch.compiler.set_stance("force_eager"):
        assert torch.equal(other(X), torch.nn.functional.linear(X, other.weight, other.bias))


@pytest.fixture
def _process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize("tracer", AUTO)
@pytest.mark.parametrize("training", [False, True])
def test_distributed_data_parallel(training: bool, tracer: str) -> None:
    model = nn.parallel.DistributedDataParallel(Network()).train(training)
    cost = count_graph(model, X, tracer=tracer)
    assert cost.total == (TRAIN if training else EVAL)
    assert cost.params == PARAMETERS
    assert cost.uncounted == {}
    cost.graph.graph.lint()
    with torch.no_grad():
        torch.testing.assert_close(cost.graph(X), model(X))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize("tracer", AUTO)
def test_fully_sharded(tracer: str) -> None:
    """Its parameters are gathered while it runs; they cost and number what they do unsharded."""
    model, mesh = network(), torch.distributed.init_device_mesh("cpu", (1,))
    expected = model(X)
    for part in (model.first, model.second, model):
        fully_shard(part, mesh=mesh)
    cost = count_graph(model, X, tracer=tracer)
    assert cost.total == EVAL
    assert cost.params == PARAMETERS
    assert cost.uncounted == {}
    torch.testing.assert_close(model(X), expected)


def test_module_paths_of_wrapped_models() -> None:
    for model, prefix in ((nn.DataParallel(network()), "module"), (torch.compile(network()), "_orig_mod")):
        assert f"{prefix}.second" in count_graph(model, X).by_module()


def exported(model: nn.Module, **options: Any) -> torch.export.ExportedProgram:
    return torch.export.export(model, (X,), **options)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (lambda: exported(network()), EVAL),
        (lambda: exported(network()).module(), EVAL),
        (lambda: exported(network(training=True)), TRAIN),
        (lambda: exported(network(), dynamic_shapes=({0: torch.export.Dim("rows")},)), EVAL),
        (lambda: exported(network()).run_decompositions(), EVAL),
        (lambda: make_fx(network())(X), EVAL),
        (lambda: make_fx(network(), tracing_mode="symbolic", _allow_non_fake_inputs=True)(X), EVAL),
    ],
)
def test_graphs_of_operators(program: Callable[[], Any], expected: Cost) -> None:
    model = program()
    cost = count_graph(model, X)
    assert cost.total == expected
    assert cost.uncounted == {}
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    torch.testing.assert_close(cost.graph(X), model(X))


def changed(change: Callable[[Network], Any], training: bool = False) -> Network:
    model = network(training)
    change(model)
    return model


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).transpose(-1, -2)


# weight norm: w = v * (g / |v|) for 4 rows of 4; spectral norm: sigma = u . (W v), W / sigma, and in train() first one
# step v = W^T u / |.|, u = W v / |.| (the bound on the norm from below is the comparison).
WEIGHT_NORM = Cost(mul=16 + 16, add=4 * 3, special=4, div=4)
SPECTRAL_NORM = Cost(macs=16 + 4, div=16)
POWER_STEP = Cost(macs=16 + 16, mul=2 * 4, add=2 * 3, special=2, cmp=2, div=2 * 4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: changed(lambda m: nn.utils.weight_norm(m.first)), EVAL + WEIGHT_NORM),
        (lambda: changed(lambda m: parametrizations.weight_norm(m.first)), EVAL + WEIGHT_NORM),
        (lambda: changed(lambda m: nn.utils.spectral_norm(m.first)), EVAL + SPECTRAL_NORM),
        (lambda: changed(lambda m: parametrizations.spectral_norm(m.first)), EVAL + SPECTRAL_NORM),
        (lambda: changed(lambda m: nn.utils.spectral_norm(m.first), True), TRAIN + SPECTRAL_NORM + POWER_STEP),
        (lambda: changed(lambda m: parametrizations.spectral_norm(m.first), True), TRAIN + SPECTRAL_NORM + POWER_STEP),
        (
            lambda: changed(lambda m: parametrize.register_parametrization(m.first, "weight", Symmetric())),
            EVAL + Cost(add=16),
        ),
        (lambda: changed(lambda m: prune.l1_unstructured(m.first, "weight", amount=0.5)), EVAL + Cost(mul=16)),
        (
            lambda: changed(lambda m: m.first.register_forward_hook(lambda module, inputs, output: output * 2)),
            EVAL + Cost(mul=8),
        ),
    ],
)
def test_weights_that_are_computed(model: Callable[[], nn.Module], expected: Cost, tracer: str) -> None:
    cost = count_graph(model(), X, tracer=tracer)
    assert cost.total == expected
    assert cost.uncounted == {}


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats(dtype: torch.dtype, tracer: str) -> None:
    cost = checked_count(network().to(dtype), X.to(dtype), tracer=tracer)
    assert cost.total == EVAL
    assert cost.graph.graph.output_node().args[0].meta["tensor_meta"].dtype == dtype


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
def test_eight_bits(tracer: str) -> None:
    """A cast is free, and a product counts whatever its format."""
    wide, scale = torch.randn(16, 16), torch.tensor(0.5)
    weight8 = wide.to(torch.float8_e4m3fn).t()

    def float8(x: Tensor) -> Tensor:
        return torch._scaled_mm(x.to(torch.float8_e4m3fn), weight8, scale, scale, out_dtype=torch.bfloat16)

    macs = count_graph(float8, wide, tracer=tracer).macs
    assert macs == 16**3

    weights = torch.randint(-128, 127, (16, 16), dtype=torch.int8)

    def int8(x: Tensor) -> Tensor:
        return torch._int_mm(x, weights).float() * 0.1

    x = torch.randint(-128, 127, (32, 16), dtype=torch.int8)
    assert count_graph(int8, x, tracer=tracer).total == Cost(macs=32 * 16 * 16, mul=32 * 16)


def test_dynamically_quantised() -> None:
    quantised = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear}, dtype=torch.qint8)
    cost = count_graph(quantised, X)
    assert cost.macs == EVAL.macs
    assert cost.uncounted == {}


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
def test_autocast(tracer: str) -> None:
    model = network()

    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = model(x)
            with torch.autocast("cpu", enabled=False):
                return y.float() * 2

    assert count_graph(forward, X, tracer=tracer).total == EVAL + Cost(mul=6)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2 * ctx.saved_tensors[0]


@pytest.mark.parametrize("tracer", AUTO)
def test_functions_with_their_own_gradient(tracer: str) -> None:
    assert checked_count(lambda x: Square.apply(x) + 1, X, tracer=tracer).total == Cost(mul=8, add=8)


@pytest.mark.parametrize("tracer", AUTO)
def test_checkpointed_parts(tracer: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    cost = count_graph(lambda x: checkpoint_sequential(model, 2, x, use_reentrant=False), X, tracer=tracer)
    assert cost.total == Cost(macs=2 * 28, add=2 * 7, cmp=8)


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
def test_lazy_modules_say_what_to_do(tracer: str) -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(InputError, match=r"0\.weight is not initialised yet: run the model once"):
        count_graph(model, X, tracer=tracer)
    model(X)
    assert count_graph(model, X, tracer=tracer).total == Cost(macs=24, add=6)


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
def test_a_model_that_returns_nothing(tracer: str) -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> None:
            x.exp()

    cost = count_graph(Nothing(), X, tracer=tracer)
    assert cost.total == Cost(special=8)
    assert cost.graph(X) is None


@pytest.mark.parametrize("tracer", ["symbolic", *AUTO])
def test_the_model_is_one_leaf(tracer: str) -> None:
    cost = checked_count(nn.Linear(4, 3), X, tracer=tracer)
    assert cost.total == Cost(macs=24, add=6)
    assert cost.params == 15
    assert count_graph(nn.Identity(), X, tracer=tracer).total == Cost()


def test_a_function_of_several_modules_names_them() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 3)
    for tracer in ("symbolic", *AUTO):
        cost = checked_count(lambda x: second(first(first(x))), X, tracer=tracer)
        assert cost.total == Cost(macs=2 * 32 + 24, add=2 * 8 + 6)
        assert len({node.target for node in cost.nodes if node.op == "call_module"}) == 2


@pytest.mark.parametrize("tracer", AUTO)
def test_parameters_replaced_for_one_call(tracer: str) -> None:
    layer = nn.Linear(4, 3)

    def forward(x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": layer.weight * 2}, (x,))

    cost = count_graph(forward, X, tracer=tracer)
    assert cost.total == Cost(macs=24, add=6, mul=12)
    with torch.no_grad():
        torch.testing.assert_close(cost.graph(X), forward(X))


@pytest.mark.parametrize("tracer", AUTO)
def test_a_parameter_that_the_model_makes_while_it_runs_is_none_of_its_own(tracer: str) -> None:
    class Makes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            scale = nn.Parameter(torch.empty(4))
            nn.init.ones_(scale)
            return self.layer(x * scale)

    cost = count_graph(Makes(), X, tracer=tracer)
    assert cost.params == 20
    assert cost.unregistered == ()


@pytest.mark.parametrize("tracer", AUTO)
@pytest.mark.parametrize(
    "mapped",
    [
        lambda layer: torch.vmap(layer),
        lambda layer: torch.vmap(nn.Sequential(layer, nn.ReLU())),
        lambda layer: torch.vmap(layer, in_dims=1, out_dims=1),
        lambda layer: torch.vmap(torch.vmap(layer)),
    ],
)
def test_a_layer_inside_of_vmap(mapped: Callable[[nn.Module], Callable[[Tensor], Tensor]], tracer: str) -> None:
    """The graph computes what the model computes, also of another input."""
    layer = nn.Linear(4, 3)
    function, x, other = mapped(layer), torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    cost = count_graph(lambda x: function(x), x, tracer=tracer)
    assert cost.macs == 2 * 5 * 4 * 3
    torch.testing.assert_close(cost.graph(other), function(other))


def test_a_layer_and_a_property_inside_of_a_gradient() -> None:
    class Gradients(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.relu = nn.Parameter(torch.randn(5, 4, 3)), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            def loss(weight: Tensor, x: Tensor) -> Tensor:
                return self.relu(x @ weight.T).sum()

            return torch.vmap(torch.func.grad(loss))(self.weight, x)

    model, x, other = Gradients(), torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    cost = count_graph(model, x, tracer="executed")
    assert cost.macs == 2 * (5 * 2 * 3 * 4)  # the product, and the gradient of the weight
    torch.testing.assert_close(cost.graph(other), model(other))
    assert count_graph(model.to("meta"), x.to("meta")).macs == cost.macs
