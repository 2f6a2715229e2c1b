"""An operator that ran before on the same shapes does not run again, and no total depends on it."""

import gc
import weakref
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import LlamaConfig, LlamaForCausalLM

from fxcount import Cost, DataNeededError, GraphCost, count_graph
from fxcount.engine.repeated_calls import Repeats
from tests.benchmarks.limits import Recurrent


def facts(cost: GraphCost) -> list[Any]:
    return [
        (node.name, node.target, node.input_shapes, node.output_shapes, node.params, node.operators)
        for node in cost.nodes
    ]


def llama() -> nn.Module:
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, vocab_size=100)
    ).eval()


MODELS = {
    "resnet50": lambda: (torchvision.models.resnet50(), torch.rand(2, 3, 64, 64)),
    "swin_t": lambda: (torchvision.models.swin_t().eval(), torch.rand(1, 3, 64, 64)),
    "mobilenetv3": lambda: (timm.create_model("mobilenetv3_large_100"), torch.rand(2, 3, 64, 64)),
    "coat": lambda: (timm.create_model("coat_tiny", img_size=64).eval(), torch.rand(1, 3, 64, 64)),
    "recurrent": lambda: (Recurrent(), torch.rand(20, 2, 32)),
    "llama": lambda: (llama(), torch.ones(1, 8, dtype=torch.long)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tracer", ["auto", "recorded"])
def test_every_node_is_the_same_without_repeats(name: str, tracer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = MODELS[name]()
    found = []
    find = Repeats.find
    monkeypatch.setattr(Repeats, "find", lambda *call: found.append(find(*call)) or found[-1])
    with_repeats = count_graph(model, x, tracer=tracer)
    assert any(found)
    monkeypatch.setattr(Repeats, "find", lambda *call: None)
    without = count_graph(model, x, tracer=tracer)
    assert facts(with_repeats) == facts(without)
    assert with_repeats.total == without.total
    assert with_repeats.params == without.params


def test_a_formula_for_one_count_is_for_no_other() -> None:
    x = torch.rand(3, 5)
    assert count_graph(torch.tanh, x).total == Cost(special=15)
    assert count_graph(torch.tanh, x, formulas={torch.ops.aten.tanh: lambda x: x.numel()}).total == Cost(macs=15)
    assert count_graph(torch.tanh, x).total == Cost(special=15)


def test_the_default_dtype_of_a_later_count() -> None:
    ids = torch.empty(2**11, 2**10, dtype=torch.long, device="meta")
    dtypes = []
    for default in (torch.float32, torch.float64):
        before = torch.get_default_dtype()
        torch.set_default_dtype(default)
        try:
            graph = count_graph(lambda ids: ids / 2, ids).graph.graph
        finally:
            torch.set_default_dtype(before)
        dtypes.append([node.meta["tensor_meta"].dtype for node in graph.nodes if "tensor_meta" in node.meta][1])
    assert dtypes == [torch.float32, torch.float64]


def test_what_is_remembered_does_not_grow_without_end() -> None:
    repeats = Repeats()
    for number in range(repeats.LIMIT + 10):
        repeats.add(number, (), {}, None, ())
    assert repeats.find(9, ()) is None
    assert repeats.find(10, ()) == (None, ())


class Steps(nn.Module):
    """A number that is known, is used as an index, and is added to in place."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 4)

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids + 1
        rows = self.embedding(ids)
        for _ in range(3):
            ids += 1
        return rows.new_zeros(int(ids.max())).exp()


def test_known_integers_are_added_to_each_time() -> None:
    """0 + 1 + 3 elements, one exponential each."""
    ids = torch.zeros(1, 3, dtype=torch.long)
    for tracer in ("recorded", "executed"):
        assert count_graph(Steps(), ids, tracer=tracer).total == Cost(special=4)


def test_a_change_of_shape_is_made_each_time() -> None:
    def model(x: Tensor) -> Tensor:
        for _ in range(3):
            x.exp_().unsqueeze_(0)
        return x.exp()

    for tracer in ("symbolic", "recorded"):
        cost = count_graph(model, torch.rand(2, 3), tracer=tracer)
        assert cost.nodes[-1].input_shapes == ((1, 1, 1, 2, 3),)


def test_a_function_that_is_not_torchs_runs_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noted(x: Tensor) -> Tensor:
        print("called")
        return x.exp()

    def model(x: Tensor) -> Tensor:
        return wrapped(x) + wrapped(x)

    monkeypatch.setitem(globals(), "wrapped", noted)
    count_graph(model, torch.rand(3), formulas={noted: lambda x: x.numel()}, tracer="recorded")
    assert capsys.readouterr().out == "called\n" * 2


def test_what_is_remembered_keeps_no_model() -> None:
    layer = nn.Linear(4, 4)
    kept = [weakref.ref(layer), weakref.ref(layer.weight)]
    count_graph(nn.Sequential(layer, layer), torch.rand(2, 4))
    del layer
    gc.collect()
    assert [each() for each in kept] == [None, None]


def test_a_result_keeps_its_class() -> None:
    for _ in range(2):
        graph = count_graph(lambda x: x.max(1), torch.rand(2, 3), tracer="recorded").graph.graph
        assert [*graph.nodes][1].meta["type"] is torch.return_types.max


def totals(*models: Any, x: Tensor, tracers: tuple[str, ...] = ("symbolic", "recorded", "executed")) -> list[Cost]:
    """The costs of all models under all tracers, one after another in this process, and once more."""
    return [count_graph(model, x, tracer=tracer).total for _ in range(2) for tracer in tracers for model in models]


def test_a_list_of_indices_is_no_tuple() -> None:
    """Two rows of 4 x 6 of the first axis, and one row of 6."""
    x = torch.rand(4, 4, 6)
    costs = totals(lambda x: x[[0, 1]].sin(), lambda x: x[0, 1].sin(), x=x)
    assert costs == 6 * [Cost(special=2 * 4 * 6), Cost(special=6)]


def test_what_is_mapped_over_a_batch_is_another_call() -> None:
    """Dropout scales 6 elements, or 4 times 6 where each example has its own."""
    weight = nn.Parameter(torch.rand(6))

    def each(x: Tensor) -> Tensor:
        return torch.vmap(lambda row: row + torch.dropout(weight, 0.5, True).exp(), randomness="different")(x)

    def once(x: Tensor) -> Tensor:
        return x + torch.dropout(weight, 0.5, True).exp()

    costs = totals(each, once, x=torch.rand(4, 6), tracers=("recorded", "executed"))
    assert [cost.special for cost in costs] == 4 * [4 * 6, 6]


class Squares(TorchFunctionMode):
    """A sigmoid is a square here."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] * args[0] if func is torch.sigmoid else func(*args, **(kwargs or {}))


def test_a_mode_of_somebody_else_is_for_its_counts_alone() -> None:
    x = torch.rand(4, 6)
    for tracer in ("symbolic", "recorded"):
        with Squares():
            assert count_graph(lambda x: torch.sigmoid(x), x, tracer=tracer).total == Cost(mul=24)
        assert count_graph(lambda x: torch.sigmoid(x), x, tracer=tracer).total == Cost(special=24, add=24, div=24)


def test_a_method_that_somebody_gives_to_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(4, 6)
    for method, cost in ((torch.Tensor.exp, Cost(special=24)), (lambda x: x * x, Cost(mul=24))):
        monkeypatch.setattr(torch.Tensor, "somebodys", method, raising=False)
        monkeypatch.setattr(torch.Tensor, "property_of_somebody", property(method), raising=False)
        assert totals(lambda x: x.somebodys(), lambda x: x.property_of_somebody, x=x) == 12 * [cost]


def test_a_result_in_a_named_argument_is_that_argument() -> None:
    """Twice 4 x 6 additions, and the product of the transpose, 6 x 4, with itself, 6 x 6 of 4."""

    def model(x: Tensor) -> Tensor:
        total = x.sum()
        for _ in range(2):
            place = torch.empty_like(x)
            torch.add(x, 1, out=place).t_()
            total = total + (place @ place.t()).sum()
        return total

    assert [cost.macs for cost in totals(model, x=torch.rand(4, 6))] == 6 * [2 * 6 * 6 * 4]


def test_an_argument_that_is_resized_is_resized_each_time() -> None:
    def model(x: Tensor) -> Tensor:
        for _ in range(2):
            place = x.new_empty(0)
            torch.add(x, 1, out=place)
            x = place @ place.t()
        return x

    costs = totals(model, x=torch.rand(4, 6), tracers=("recorded", "executed"))
    assert [cost.macs for cost in costs] == 4 * [4 * 4 * 6 + 4 * 4 * 4]


def test_modules_that_differ_in_anything() -> None:
    """Outputs of 5 x 5, 3 x 3 and 5 x 5 again, nine taps each; a dropout scales what it keeps, in training."""
    x = torch.rand(1, 1, 7, 7)
    layers = (nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3, bias=False))
    assert totals(*map(nn.Sequential, layers), x=x) == 6 * [
        Cost(macs=225, add=25),
        Cost(macs=81, add=9),
        Cost(macs=225),
    ]
    drops = [nn.Sequential(nn.Dropout()).train(training) for training in (True, False)]
    assert [cost.mul > 0 for cost in totals(*drops, x=x)] == 6 * [True, False]


def test_a_module_that_is_hooked_or_given_another_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(2, 4)
    plain, hooked, own, all_hooked = (nn.Sequential(nn.Tanh()) for _ in range(4))
    hooked[0].register_forward_hook(lambda module, args, out: out.exp())
    own[0].forward = lambda x: x * x
    assert totals(plain, hooked, own, x=x) == 6 * [Cost(special=8), Cost(special=16), Cost(mul=8)]
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, args, out: out.exp() if isinstance(module, nn.Tanh) else None
    )
    try:
        assert totals(all_hooked, x=x) == 6 * [Cost(special=16)]
    finally:
        handle.remove()
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, x: x + x)
    assert totals(plain, x=x) == 6 * [Cost(add=8)]


def wrapped(x: Tensor) -> Tensor:
    raise AssertionError("another function takes its place")


def test_masks_of_one_shape_select_each_what_they_select() -> None:
    """Two and three rows of 4, one exponential each; a mask that is only added costs an addition for each element."""

    def model(x: Tensor) -> list[Tensor]:
        masks = [torch.tensor([True, False, True]), torch.tensor([True, True, True])]
        return [x[mask].exp() for mask in masks] + [x + mask.float()[:, None] for mask in masks]

    for _ in range(2):
        cost = count_graph(model, torch.rand(3, 4), tracer="recorded")
        assert cost.total == Cost(special=(2 + 3) * 4, add=2 * 3 * 4)


def test_what_is_added_to_a_known_tensor_makes_it_unknown_each_time() -> None:
    def model(x: Tensor) -> Tensor:
        for _ in range(2):
            known = torch.zeros(3)
            known += x
        return x.exp() if known.sum() > 0 else x

    for _ in range(2):
        with pytest.raises(DataNeededError):
            count_graph(model, torch.ones(3), tracer="recorded")


def test_an_operator_that_ran_beside_a_known_tensor_is_called_by_name() -> None:
    x = torch.rand(5, 7, 3)
    assert count_graph(lambda x: x + torch.zeros(7, 1), x, tracer="recorded").total == Cost(add=105)
    cost = count_graph(torch.ops.aten.add.Tensor, (x, torch.rand(7, 1)), tracer="recorded")
    assert (cost.total, cost.nodes[-1].output_shapes) == (Cost(add=105), ((5, 7, 3),))


def test_a_sparse_tensor_beside_known_indices_is_none_of_its_shape() -> None:
    """8 values on a diagonal, each times one column; 64 if all were stored."""

    def model(values: Tensor, column: Tensor) -> Tensor:
        diagonal = torch.arange(8)
        return torch.sparse_coo_tensor(torch.stack([diagonal, diagonal]), values, (8, 8)) @ column

    for _ in range(2):
        assert count_graph(model, (torch.rand(8), torch.rand(8, 1))).total == Cost(macs=8)
