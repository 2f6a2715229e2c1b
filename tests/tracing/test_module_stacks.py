"""Programs that `torch.export` made, and graphs of `torch.fx`, have the modules of the model that they were made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import transformers
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from fxcount import GraphCost, count_graph
from fxcount.cost import Cost

X = torch.ones(2, 4)


class Block(nn.Module):
    """A linear layer of 2 rows of 4: 32 macs and 8 add, 8 cmp, and 8 add beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.linear(x)) + x
        return out


BLOCK = Cost(macs=32, add=16, cmp=8)


class Network(nn.Module):
    """Has a list, a sequence, and a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.seq = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.GELU())
        self.twice = Block()

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        x = self.twice(self.twice(self.seq(x)))
        return x.sum() * x


def llama() -> nn.Module:
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=31,
        use_cache=False,
    )
    return transformers.LlamaForCausalLM(config)


MODELS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "network": (Network, X),
    "resnet18": (torchvision.models.resnet18, torch.ones(1, 3, 64, 64)),
    "vit_b_16": (torchvision.models.vit_b_16, torch.ones(1, 3, 224, 224)),
    "llama": (llama, torch.ones(1, 5, dtype=torch.int64)),
}


def saved_and_loaded(program: torch.export.ExportedProgram, file: Path) -> torch.export.ExportedProgram:
    torch.export.save(program, file)
    return torch.export.load(file)


def calls(cost: GraphCost) -> dict[str, tuple[str, int]]:
    """The class and the number of calls of all modules that were called."""
    return {path: (module.kind, module.calls) for path, module in cost.by_module().items() if module.calls}


def costs(cost: GraphCost, of: GraphCost) -> dict[str, tuple[Cost, Cost | None, int, int]]:
    """Costs and parameters of the modules that ``of`` has."""
    modules = cost.by_module()
    counted = {path: modules[path] for path in of.by_module()}
    return {path: (each.cost, each.backward, each.params, each.trainable) for path, each in counted.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [False, True])
def test_the_tree_is_that_of_the_model(name: str, training: bool, tmp_path: Path) -> None:
    make, example = MODELS[name]
    model = make().train(training)
    program = torch.export.export(model, (example,))
    original = count_graph(model, example)
    for form in (program, program.module(), saved_and_loaded(program, tmp_path / "program.pt2")):
        cost = count_graph(form, example)
        assert calls(cost) == calls(original)
        assert costs(cost, original) == costs(original, original)


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_every_tracer_and_the_backward_pass(tracer: str) -> None:
    original = count_graph(Network(), X, backward=True)
    for form in (torch.export.export(Network(), (X,)), fx.symbolic_trace(Network())):
        cost = count_graph(form, X, tracer=tracer, backward=True)
        assert calls(cost) == calls(original)
        assert costs(cost, original) == costs(original, original)


@pytest.mark.parametrize("strict", [False, True])
def test_operations_are_those_that_torch_counts_in_each_module(strict: bool) -> None:
    model = torchvision.models.resnet18().eval()
    example = torch.ones(1, 3, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(example)
    cost = count_graph(torch.export.export(model, (example,), strict=strict), example, convention="torch").by_module()
    counted = {path.partition(".")[2]: sum(of.values()) for path, of in counter.get_flop_counts().items()}
    assert len(counted) > 20
    assert {path: cost[path].flops for path in counted if path} == {path: n for path, n in counted.items() if path}


def test_dynamic_and_taken_apart() -> None:
    model = Network().eval()
    original = count_graph(model, X)
    program = torch.export.export(model, (X,), dynamic_shapes=({0: torch.export.Dim("rows", max=64)},))
    assert calls(count_graph(program, X)) == calls(original)
    # A dropout that is off leaves no operator.
    without = {path: called for path, called in calls(original).items() if path != "seq.1"}
    assert calls(count_graph(program.run_decompositions({}), X)) == without


def test_unflattened() -> None:
    original = count_graph(Network(), X)
    cost = count_graph(torch.export.unflatten(torch.export.export(Network(), (X,))), X)
    assert costs(cost, original) == costs(original, original)


def test_guards_are_not_shown() -> None:
    program = torch.export.export(Network(), (X,), dynamic_shapes=({0: torch.export.Dim("rows", max=64)},))
    without = count_graph(program.module(check_guards=False), X, tracer="recorded")
    for tracer in ("symbolic", "recorded", "executed"):
        cost = count_graph(program, X, tracer=tracer)
        assert [node.name for node in cost.nodes] == [node.name for node in without.nodes]
        assert calls(cost) == calls(without)


def test_a_model_is_named_without_the_mode_that_its_operators_are_in() -> None:
    call = count_graph(torch.export.export(Network().eval(), (X,)), X).call
    assert call is not None
    assert (call.model, call.mode) == ("Network", "")


class Around(nn.Module):
    """Calls a program twice, as one of its modules."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.inner = program
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.inner(self.inner(x)))
        return out


def test_a_program_in_another_model() -> None:
    original = count_graph(Around(Block()), X)
    assert original.by_module()["inner"].cost == BLOCK + BLOCK
    for inner in (torch.export.export(Block(), (X,)).module(), fx.symbolic_trace(Block())):
        cost = count_graph(Around(inner), X)
        assert calls(cost) == calls(original)
        assert costs(cost, original) == costs(original, original)


class Regions(nn.Module):
    """Of what runs without gradients, and of what runs under autocast, an export makes graphs of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.still, self.cast = Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.still(x)
        with torch.autocast("cpu", enabled=False):
            out: Tensor = self.cast(y)
        return out * x


def test_regions_are_no_modules() -> None:
    original = count_graph(Regions(), X)
    cost = count_graph(torch.export.export(Regions(), (X,)), X)
    assert original.by_module()["still"].cost == original.by_module()["cast"].cost == BLOCK
    assert calls(cost) == calls(original)
    assert costs(cost, original) == costs(original, original)


class Shared(nn.Module):
    """One block under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.other = Block()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.other(self.one(x))
        return out


def test_a_module_of_two_names_is_each_of_them_as_often_as_it_was_called_so() -> None:
    modules = count_graph(torch.export.export(Shared(), (X,)), X).by_module()
    assert [(modules[path].calls, modules[path].cost) for path in ("one", "other")] == [(1, BLOCK), (1, BLOCK)]
    assert [modules[path].params for path in ("one", "other", "")] == [20, 0, 20]


def test_a_program_is_as_it_was() -> None:
    module = torch.export.export(Network(), (X,)).module()
    forward, code, nodes = type(module).forward, module.code, list(module.graph.nodes)
    count_graph(module, X)
    assert (type(module).forward, module.code, list(module.graph.nodes)) == (forward, code, nodes)


def test_arguments_keep_their_names_and_order() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor, pair: dict[str, Tensor], *, scale: Tensor) -> dict[str, Tensor]:
            return {"out": torch.mm(x, pair["a"]) @ pair["b"] * scale}

    pair = {"a": torch.ones(4, 3), "b": torch.ones(3, 5)}
    program = torch.export.export(Named(), (X, pair), {"scale": torch.ones(5)})
    cost = count_graph(program, (X, pair), {"scale": torch.ones(5)})
    assert cost.total == Cost(macs=2 * 4 * 3 + 2 * 3 * 5, mul=10)
    assert cost.graph(X, *pair.values(), torch.ones(5))["out"].shape == (2, 5)


def test_a_graph_that_was_changed_and_not_compiled_is_not_what_runs() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU())))
    linear = next(node for node in module.graph.nodes if node.op == "call_module")
    linear.replace_all_uses_with(linear.args[0])
    module.graph.erase_node(linear)
    assert count_graph(module, X).macs == 2 * 4 * 3
    module.recompile()
    assert count_graph(module, X).macs == 0


@pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
def test_a_program_is_not_counted_for_what_it_was_not_exported_for(tracer: str) -> None:
    """It was exported for that many rows alone, and would fail on others."""
    program = torch.export.export(nn.Linear(4, 3), (torch.randn(2, 4),))
    with pytest.raises(AssertionError, match="Guard failed"):
        count_graph(program, torch.randn(5, 4), tracer=tracer)
    assert count_graph(program, torch.randn(2, 4), tracer=tracer).macs == 24
    named = torch.export.export(nn.Linear(4, 3), (), {"input": torch.randn(2, 4)})
    assert count_graph(named, {"input": torch.randn(2, 4)}, tracer=tracer).macs == 24


def test_what_goes_into_a_module_is_no_parameter_of_its_own() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(4, 3)), (torch.randn(2, 4),))
    explained = count_graph(program, torch.randn(2, 4)).explain("0")
    assert "input: [2, 4] = 8 elements" in explained
