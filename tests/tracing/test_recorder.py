"""The recorder: one run on shapes, as Python executes it; what depends on no parameter keeps its values."""

from __future__ import annotations

import collections
import dataclasses
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from fxcount import Cost, DataNeededError, count_graph
from tests.tracing.graphs import TRACERS, checked_count

X = torch.randn(2, 4)
Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass
class Output:
    state: Tensor
    parts: Any = None
    count: int = 0


class Plain:
    """An object of no kind that torch knows."""

    def __init__(self, state: Tensor) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and torch.equal(self.state, other.state)

    __hash__ = None


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda x: x * 2,
    "input": lambda x: x,
    "number": lambda x: (x * 2).shape[0],
    "tuple": lambda x: (x * 2, x),
    "empty": lambda x: ((), [], {}),
    "list": lambda x: [x * 2, None, 3, "text", 1.5, True],
    "dict": lambda x: {"a": x * 2, "b": [{"c": (x, None)}], 3: x},
    "ordered dict": lambda x: collections.OrderedDict(b=x * 2, a=x),
    "named tuple": lambda x: Pair(x * 2, Pair(x, None)),
    "dataclass": lambda x: Output(x * 2, [x, (x + 1, None)], 3),
    "object": lambda x: Plain(x * 2),
    "model output": lambda x: BaseModelOutput(last_hidden_state=x * 2, hidden_states=(x, x + 1)),
    "nested model output": lambda x: {"out": CausalLMOutput(logits=x * 2), "loss": None},
    "sizes": lambda x: (x * 2, x.shape, x.dtype, x.device),
    "torch's named tuple": lambda x: (x * 2).max(1),
    "parts": lambda x: [part * 2 for part in x.split([1, 3], 1)],
    "same twice": lambda x: [y := x * 2, y],
}


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_every_kind(name: str, tracer: str) -> None:
    checked_count(OUTPUTS[name], X, tracer=tracer)


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_packed_sequences(tracer: str) -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.RNN(4, 3)

        def forward(self, x: Tensor, lengths: Tensor) -> Any:
            packed, last = self.layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
            return pad_packed_sequence(packed), packed, last

    cost = checked_count(Packs(), (torch.randn(5, 2, 4), torch.tensor([3, 5])), tracer=tracer)
    # Eight steps in all, each of 3 states from 4 inputs and 3 states, two biases, a sum of both products.
    assert cost.total == Cost(macs=8 * 3 * (4 + 3), add=8 * 3 * 3, special=8 * 3)


def test_nodes_and_the_modules_that_make_them() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            return y + x if len(x) else y

    cost = checked_count(nn.Sequential(Block(), nn.Sequential(Block())), X, tracer="auto")
    assert cost.tracer == "recorded"
    assert [(node.target, node.module, node.name) for node in cost.nodes] == [
        ("input", "", "input_1"),
        ("0.layer", "0", "_0_layer"),
        ("add", "0", "add"),
        ("1.0.layer", "1.0", "_1_0_layer"),
        ("add", "1.0", "add_1"),
        ("output", "", "output"),
    ]
    assert [node.name for node in cost.nodes if node.op == "call_module"] == ["_0_layer", "_1_0_layer"]
    assert {path: module.kind for path, module in cost.by_module().items()} == {
        "": "Sequential", "0": "Block", "0.layer": "Linear", "1": "Sequential", "1.0": "Block", "1.0.layer": "Linear",
    }  # fmt: skip
    add = next(node for node in cost.graph.graph.nodes if node.name == "add")
    assert (add.meta["tensor_meta"].shape, add.meta["tensor_meta"].dtype) == ((2, 4), torch.float32)
    assert add.meta["cost"] == Cost(add=8)


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_the_same_nodes_as_a_symbolic_trace(tracer: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.scale = nn.Parameter(torch.ones(4, 1, 1))
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.norm(self.stem(x))) * self.scale
            return self.head(x.mean((2, 3)))

    def described(tracer: str) -> list[tuple[Any, ...]]:
        # All but the kind of node: for torch, + and the method add are the same function.
        nodes = checked_count(Model().eval(), torch.randn(2, 3, 6, 6), tracer=tracer).nodes
        return [(node.name, node.target, node.module, node.output_shapes, node.params, node.cost) for node in nodes]

    assert described(tracer) == described("symbolic")


def in_place(x: Tensor) -> Tensor:
    y = x.clone()
    y.add_(1)  # add 8
    y += x  # add 8
    y[:, 0] = x[:, 1] * 2  # mul 2
    y[0] *= 3  # mul 4
    y[:, 1:3].mul_(x[:, :2])  # mul 4
    y.t()[0].exp_()  # special 2
    F.relu(y, inplace=True)  # cmp 8
    torch.sqrt(y, out=y)  # special 8
    y[y.shape[0] - 1, 2:] = 0.0
    y.clamp_(min=0.5)  # cmp 8
    return y


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_in_place_operators_and_item_assignment(tracer: str) -> None:
    expected = Cost(add=8 + 8, mul=2 + 4 + 4, special=2 + 8, cmp=8 + 8)
    assert checked_count(in_place, X, tracer=tracer).total == expected


def test_operators_of_python_are_nodes_as_in_a_symbolic_trace() -> None:
    def run(x: Tensor) -> Tensor:
        y = (3 - x) // 2
        return ((x == 1) & ~(y == 1) | (x == 2)) ^ (y == 2)

    for tracer in ("symbolic", "recorded"):
        nodes = [*count_graph(run, X, tracer=tracer).graph.graph.nodes]
        assert nodes[1].args == (3, nodes[0])
        names = "sub floordiv eq eq_1 invert and_ eq_2 or_ eq_3 xor"
        assert " ".join(node.name for node in nodes[1:-1]) == names
        assert {node.op for node in nodes[1:-1]} == {"call_function"}


class Shapes(nn.Module):
    """Control flow on shapes and types, in every way that a proxy refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(x, Tensor)
        assert x.dtype == torch.float32
        batch, features = x.shape
        if x.dim() > 3:
            raise ValueError("too many dimensions")
        for layer, _ in zip(self.layers, range(batch), strict=False):
            x = layer(x)
        match tuple(x.shape):
            case (2, n):
                x = x.view(2, 2, n // 2).flatten(1)
            case _:
                x = x.exp()
        return torch.stack([row * len(row) for row in x]) if features == int(4.0) else x


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_control_flow_on_shapes(tracer: str) -> None:
    assert checked_count(Shapes(), X, tracer=tracer).total == Cost(macs=2 * 2 * 16, mul=8)


def test_a_model_without_weights_records_as_well() -> None:
    with torch.device("meta"):
        model = Shapes()
    for x in (X, X.to("meta")):
        assert count_graph(model, x).total == Cost(macs=2 * 2 * 16, mul=8)


class Tokens(nn.Module):
    """Asks for values that depend on token ids and masks alone."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        if (ids >= 10).any():
            raise ValueError("no such token")
        longest = int(mask.sum(1).max())  # 3
        lengths = mask.sum(1).tolist()  # [3, 2]
        positions = torch.arange(ids.shape[1])[None] * mask
        x = self.embed(ids)[:, : positions.max().item() + 1]
        assert x.shape[1] == longest
        for length in lengths:
            x = self.layer(x[:, :length])
        return x.exp() if bool(mask.all()) else x * 2


IDS = torch.tensor([[3, 1, 4, 0, 0], [1, 5, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("tracer", ["auto", "recorded"])
def test_what_depends_on_tokens_alone_is_known(tracer: str, device: str) -> None:
    with torch.device(device):
        model = Tokens()
    cost = count_graph(model, {"ids": IDS, "mask": MASK}, tracer=tracer)
    assert cost.tracer == "recorded"
    assert cost.total == Cost(macs=2 * 3 * 16 + 2 * 2 * 16, mul=2 * 2 * 4)


def assigned(mask: Tensor, value: Any) -> Tensor:
    """``mask``, written to by a view of it."""
    view = mask[:1]
    view += value
    mask[1:] = view * 2
    return mask


KNOWN: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "item": lambda ids, x: x[ids.max().item() :],
    "int": lambda ids, x: x[int(ids.sum()) :],
    "float": lambda ids, x: x * float(ids.float().mean()),
    "index": lambda ids, x: x[ids[0] : ids[1]],
    "range": lambda ids, x: [x * 2 for _ in range(ids[0])],
    "bool": lambda ids, x: x * 2 if ids.any() else x,
    "tolist": lambda ids, x: x.split(ids.tolist()),
    "unique": lambda ids, x: x[: len(ids.unique())],
    "nonzero": lambda ids, x: x[: len(ids.nonzero())],
    "mask": lambda ids, x: x[ids > 0],
    "masked_select": lambda ids, x: x.masked_select((ids > 0)[:, None]),
    "masked assignment": lambda ids, x: x.index_put((ids > 0,), torch.zeros(2, 4)),
    "repeat_interleave": lambda ids, x: x.repeat_interleave(ids, 0),
    "equal": lambda ids, x: x * 2 if torch.equal(ids, ids.clone()) else x,
    "numpy": lambda ids, x: x[: ids.numpy().max()],
    "rotary table": lambda ids, x: x * 2 if (torch.arange(4) / 4.0).cos().max() > 0.9 else x,
    "bincount": lambda ids, x: x[: len(torch.bincount(ids))],
    "mask of fractions": lambda ids, x: x[torch.linspace(0, 1, 2) * ids.float() > 0.5],
    "repeats of fractions": lambda ids, x: x.repeat_interleave((ids / 1.0).long(), 0),
    "written fractions": lambda ids, x: x[torch.zeros(2).index_fill_(0, ids[:1] - ids[:1], 1.0).add_(0.5) > 1],
    "assigned fractions": lambda ids, x: x[assigned(torch.zeros(2), 1.0) > 0.5],
    "narrow": lambda ids, x: x.narrow(0, ids[0], 1),
    "tensor_split": lambda ids, x: x.tensor_split(ids),
    "one_hot": lambda ids, x: x @ F.one_hot(ids).float().new_ones(4, 2),
}


@pytest.mark.parametrize("name", KNOWN)
def test_questions_about_known_values(name: str) -> None:
    """Two ids, 1 and 2 or 0 and 2, and floating-point numbers that are not there."""
    question = KNOWN[name]
    ids = torch.tensor([0, 2]) if name == "mask" else torch.tensor([1, 1 if name == "tolist" else 2])
    x = torch.randn(2, 4)
    executed = count_graph(question, (ids, x), tracer="executed")
    for example in (x, x.to("meta")):
        recorded = count_graph(question, (ids, example), tracer="recorded")
        assert recorded.total == executed.total
        assert recorded.nodes[-1].output_shapes == executed.nodes[-1].output_shapes


@pytest.mark.parametrize("name", KNOWN)
def test_known_values_in_a_backward_pass(name: str) -> None:
    question = KNOWN[name]
    ids = torch.tensor([0, 2]) if name == "mask" else torch.tensor([1, 1 if name == "tolist" else 2])
    x = torch.randn(2, 4, requires_grad=True)
    executed = count_graph(question, (ids, x), tracer="executed", backward=True)
    for example in (x, x.detach().to("meta").requires_grad_()):
        recorded = count_graph(question, (ids, example), tracer="recorded", backward=True)
        assert (recorded.total, recorded.backward) == (executed.total, executed.backward)


@pytest.mark.parametrize("backward", [False, True])
def test_what_is_written_to_a_known_tensor_may_be_unknown(backward: bool) -> None:
    x = torch.randn(2, 4, requires_grad=True)
    with pytest.raises(DataNeededError):
        count_graph(lambda x: x[assigned(torch.zeros(2), x[0, 0]) > 0.5], x, tracer="recorded", backward=backward)


class AsksForData(nn.Module):
    def __init__(self, ask: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.ask = ask

    def forward(self, x: Tensor) -> Any:
        return self.ask(self.layer(x))


@pytest.mark.parametrize(
    "ask",
    [
        lambda y: y.exp() if y.sum() > 0 else y,
        lambda y: y * y.max().item(),
        lambda y: y[: int(y.argmax())],
        lambda y: y[y > 0],
        lambda y: y.nonzero(),
        lambda y: torch.unique(y),
        lambda y: y.tolist(),
        lambda y: y.numpy(),
        lambda y: pickle.dumps(y),
        lambda y: [y for _ in range(y.argmax())],
    ],
)
def test_an_error_says_that_data_is_needed_and_where(ask: Callable[[Tensor], Any]) -> None:
    with torch.device("meta"):
        model = nn.Sequential(AsksForData(ask))
    for options in ({}, {"tracer": "recorded"}):
        with pytest.raises(DataNeededError, match="values") as raised:
            count_graph(model, X, **options)
        text = "\n".join((str(raised.value), *raised.value.__notes__))
        assert "called in 0" in text  # the module
        assert "test_recorder.py" in text  # the file of the model, with the line
        assert "data" in text  # what to do: count the model where it has data


def test_a_wrong_input_is_the_models_own_error() -> None:
    class Checks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 2:
                raise ValueError("at most two rows")
            return self.layer(x)

    with pytest.raises(ValueError, match="at most two rows"):
        count_graph(nn.Sequential(Checks()), torch.randn(3, 4))
    with pytest.raises(RuntimeError) as raised:
        count_graph(nn.Sequential(Checks()), torch.randn(2, 5))
    [note] = raised.value.__notes__
    assert note.startswith("at call_module 0.layer on ")
    assert " [2, 5], called in 0, " in note
    assert __file__ in note


def test_a_loop_over_steps() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(x.size(1), 3)
            states = []
            for step in x:
                state = self.cell(step, state)
                states.append(state)
            return torch.stack(states)

    one = count_graph(nn.GRUCell(4, 3), (torch.randn(2, 4), torch.randn(2, 3))).total
    cost = checked_count(Loop(), torch.randn(50, 2, 4))
    assert cost.total == 50 * one
    assert one.macs == 2 * 3 * (3 * 4 + 3 * 3)


def test_caches_and_hooks_run() -> None:
    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table: dict[int, Tensor] = {}
            self.layer = nn.Linear(4, 4, bias=False)
            self.layer.register_forward_hook(lambda module, inputs, output: output * 2)
            self.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))

        def cached(self, length: int) -> Tensor:
            if length not in self.table:
                self.table[length] = torch.arange(float(length)).sin()
            return self.table[length]

        def forward(self, x: Tensor) -> Tensor:
            x = x * self.cached(x.shape[-1]) * self.cached(x.shape[-1])
            return self.layer(x)

    for tracer in ("auto", "recorded", "executed"):
        model = Cached()
        cost = count_graph(model, X, tracer=tracer)
        assert cost.total == Cost(add=8, mul=8 + 8 + 8, special=4, macs=32)
        assert model.table == {}


@pytest.mark.parametrize("tracer", TRACERS)
def test_random_numbers_are_free_and_dropout_multiplies(tracer: str) -> None:
    def forward(x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True) + torch.randn_like(x) * torch.rand(4)

    assert checked_count(forward, X, tracer=tracer).total == Cost(mul=8 + 8, add=8)


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_functions_of_functions(tracer: str) -> None:
    weight = torch.randn(4, 3)
    assert count_graph(lambda x: torch.vmap(lambda row: row @ weight)(x), X, tracer=tracer).total == Cost(macs=24)
    # t * t and its sum; backwards the gradient times t, twice, and the sum of both.
    expected = Cost(mul=8 + 2 * 8, add=7 + 8)
    assert count_graph(torch.func.grad(lambda t: (t * t).sum()), X, tracer=tracer).total == expected

    def gradient(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad((x * x).sum(), x)[0]

    assert count_graph(gradient, X, tracer=tracer).total == expected


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_attention_that_is_differentiated_is_whole_forward_and_four_products_backward(tracer: str) -> None:
    def gradients(q: Tensor, k: Tensor, v: Tensor) -> Any:
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v)
        return torch.autograd.grad(attended, (q, k, v), torch.ones_like(attended))

    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    rows, scores = 2 * 3 * 5, 2 * 3 * 5 * 7
    scaled = q.numel() + k.numel()  # torch's definition multiplies both with the root of the scale
    forward = Cost(
        macs=2 * scores * 8, mul=scores, cmp=scores - rows, add=scores + scores - rows, special=scores, div=scores
    )
    # Four products; through the softmax P * dP, its sum in each row, and P times it off the result.
    backward = Cost(macs=4 * scores * 8, mul=2 * scores + scaled, add=scores - rows + scores)
    assert count_graph(gradients, (q, k, v), tracer=tracer).total == forward + backward


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_the_gradient_of_a_gradient_through_attention(tracer: str) -> None:
    def gradients(q: Tensor, k: Tensor, v: Tensor) -> Any:
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v)
        (gradient,) = torch.autograd.grad(attended, q, torch.ones_like(attended), create_graph=True)
        return torch.autograd.grad(gradient, (q, k, v), torch.ones_like(gradient))

    # S = Q K', P V; dP = dO V', dQ = dS K; then with G for the gradient of dQ: G K' and dS' G, its share of dP into V,
    # and the gradient of S through the softmax into Q and K.
    products = 2 + 2 + 2 + 1 + 2
    q, k, v = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)
    assert count_graph(gradients, (q, k, v), tracer=tracer).macs == products * 2 * 3 * 5 * 4
    assert torch.backends.cuda.flash_sdp_enabled()


def test_a_model_on_the_meta_device_does_what_it_does_on_the_cpu() -> None:
    def forward(x: Tensor) -> Tensor:
        if x.is_meta or not x.is_cpu or x.device.type != "cpu" or "meta" in x.type():
            raise NotImplementedError
        positions = torch.arange(4, device=x.device)
        if positions.device != x.device:
            raise NotImplementedError
        return x * positions + torch.ones(4, device=x.device)

    for x in (X, X.to("meta")):
        cost = count_graph(forward, x, tracer="recorded")
        assert cost.total == Cost(mul=8, add=8)
        assert cost.graph(x).device == x.device  # the graph is for where the model is


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_nothing_of_a_run_outlives_its_count(tracer: str) -> None:
    """Whatever the collector of garbage is told: a count of a large model would keep all its results until it comes."""
    layer, results = nn.Linear(4, 4), []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        results.append(weakref.ref(out))

    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            hook(self, (), y := self.layer(x).exp())
            return y.sum()

    model, alive = Calls(), []
    gc.disable()
    try:
        cost = count_graph(model, X, tracer=tracer)
        alive.append(weakref.ref(model))
        assert [each for each in results if each() is not None] == [] or tracer == "symbolic"  # which has proxies
        del cost, model
        assert alive[0]() is None
    finally:
        gc.enable()
