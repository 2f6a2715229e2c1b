"""Costs in symbolic sizes, against costs by hand, and against counts in numbers."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sympy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, FxcountError, GraphCost, count_graph
from fxcount.cli.worked_example import worked_example, worked_example_input
from fxcount.errors import InputError, SizeError
from fxcount.sizes.expressions import read
from tests.tracing.test_decoding import HEAD, INNER, KEY_HEADS, LAYERS, VOCABULARY, WIDTH, decoder, filled_cache


def cost(**fields: str) -> Cost:
    """A cost whose fields are written as expressions."""
    return Cost(**{name: sympy.expand(read(text)) for name, text in fields.items()})


IMAGE = {0: "b", 2: "h", 3: "w"}


@pytest.mark.parametrize(
    ("model", "example", "shapes", "expected"),
    [
        (
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
            torch.ones(3, 8),
            ({0: "b"},),
            cost(macs="192*b", add="20*b", cmp="16*b"),
        ),
        (  # outputs of a stride of 2 with a padding of 1: ceil(h / 2)
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            torch.ones(2, 3, 17, 20),
            (IMAGE,),
            cost(macs="216*b*ceiling(h/2)*ceiling(w/2)", add="8*b*ceiling(h/2)*ceiling(w/2)"),
        ),
        (  # floor((h - 3 + 1) / 2) + 1 = floor(h / 2) with ceil_mode, 9 taps each
            nn.MaxPool2d(3, 2, ceil_mode=True),
            torch.ones(2, 3, 17, 20),
            (IMAGE,),
            cost(cmp="24*b*floor(h/2)*floor(w/2)"),
        ),
        (  # a gate of 16 units has 8 + 16 inputs, and there are four in each step
            nn.LSTM(8, 16, batch_first=True),
            torch.ones(2, 5, 8),
            ({0: "b", 1: "n"},),
            cost(macs="1536*b*n", mul="48*b*n", add="256*b*n", div="48*b*n", special="80*b*n"),
        ),
    ],
    ids=["mlp", "conv", "pool", "lstm"],
)
def test_by_hand(model: nn.Module, example: Tensor, shapes: Any, expected: Cost) -> None:
    assert count_graph(model, example, dynamic_shapes=shapes).total == expected


def test_the_worked_example_in_height_and_width_by_hand() -> None:
    """32 channels of (h - 4) // 2 + 1 by (w - 10) // 8 + 1 outputs, each of 40 macs and two multiplications."""
    counted = count_graph(worked_example(), worked_example_input(), dynamic_shapes=({2: "h", 3: "w"},))
    assert counted.flops == sympy.expand(42 * 32 * (read("floor(h/2)") - 1) * read("floor((w - 2)/8)"))
    assert counted.params == 1344
    assert counted.at(h=130, w=40).flops == 344_064


def test_attention_by_hand() -> None:
    """Of H heads of width E: 2 L S E macs, one scaling, maximum, subtraction, exponential, sum and division a score."""

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    q, k = torch.ones(2, 3, 5, 8), torch.ones(2, 3, 6, 8)
    shapes = ({0: "b", 2: "l"}, {0: "b", 2: "s"}, {0: "b", 2: "s"})
    counted = count_graph(attention, (q, k, k), dynamic_shapes=shapes)
    scores = "3*b*l*s"
    assert counted.total == cost(
        macs="48*b*l*s", mul=scores, add=f"{scores}*2 - 3*b*l", cmp=f"{scores} - 3*b*l", special=scores, div=scores
    )


PROJECTIONS = WIDTH * (2 * WIDTH + 2 * KEY_HEADS * HEAD) + 3 * WIDTH * INNER
"""The macs of a token in the linear layers of one block."""


def test_a_decoder_in_batch_and_length_by_hand() -> None:
    tokens = torch.ones(1, 7, dtype=torch.int64)
    shapes = {"input_ids": {0: "batch", 1: "length"}}
    counted = count_graph(decoder("meta"), {"input_ids": tokens}, dynamic_shapes=shapes)
    token = LAYERS * PROJECTIONS + VOCABULARY * WIDTH
    assert counted.macs == read(f"{token}*batch*length + {2 * LAYERS * WIDTH}*batch*length**2")
    assert counted.sizes == {"batch": 1, "length": 7}


def test_a_step_of_a_decoder_with_a_cache_by_hand() -> None:
    cache = filled_cache(9, "cpu")
    example = {"input_ids": torch.ones(1, 1, dtype=torch.int64), "past_key_values": cache}
    shapes = {"input_ids": {0: "batch"}, "past_key_values": {0: "batch", 2: "past"}}
    counted = count_graph(decoder("meta"), example, dynamic_shapes=shapes)
    token = LAYERS * PROJECTIONS + VOCABULARY * WIDTH
    assert counted.macs == read(f"{token}*batch + {2 * LAYERS * WIDTH}*batch*(past + 1)").expand()
    assert cache.get_seq_length() == 9

    n, p = 6, 20
    steps = counted.sum_over("past", "prompt", "tokens")
    by_hand = sum(token * 3 + 2 * LAYERS * WIDTH * 3 * (past + 1) for past in range(p, p + n))
    assert steps.macs.subs(
        {name: {"batch": 3, "prompt": p, "tokens": n}[name.name] for name in steps.macs.free_symbols}
    ) == (by_hand)


def equal_count(symbolic: GraphCost, counted: GraphCost) -> None:
    """Field by field, and node by node."""
    assert symbolic.total == counted.total
    assert symbolic.backward == counted.backward
    assert symbolic.traffic == counted.traffic
    assert symbolic.backward_traffic == counted.backward_traffic
    for one, other in zip(symbolic.nodes, counted.nodes, strict=True):
        assert (one.name, one.cost, one.backward, one.params) == (other.name, other.cost, other.backward, other.params)
        assert (one.input_shapes, one.output_shapes) == (other.input_shapes, other.output_shapes)
        assert (one.traffic, one.backward_traffic) == (other.traffic, other.backward_traffic)


def _pair(x: Tensor, y: Tensor) -> Tensor:
    both = torch.cat([x, y], 1)
    return both @ both.mT


def _triangle(x: Tensor) -> Tensor:
    seen = torch.tril(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool))
    return x.masked_fill(~seen, -1.0)


def _table(x: Tensor, table: Tensor = torch.ones(32, 16)) -> Tensor:  # noqa: B008
    return x + table[: x.shape[1]]


def _positions(x: Tensor) -> Tensor:
    return x + torch.arange(x.shape[1])[:, None]


Make = Callable[..., tuple[Tensor, ...]]

TEXT = {0: "b", 1: "n"}
CASES: Mapping[str, tuple[Any, Make, Any]] = {
    "linear": (nn.Linear(8, 4), lambda b: (torch.ones(b, 8),), ({0: "b"},)),
    "convolution": (nn.Conv2d(3, 4, 3, 2, 1), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, 2, 1), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
    "average": (nn.AvgPool2d(2, ceil_mode=True), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
    "adaptive": (nn.AdaptiveAvgPool2d((3, 2)), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
    "unfold": (nn.Unfold(3, padding=1), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
    "norms": (
        nn.Sequential(nn.GroupNorm(2, 4), nn.BatchNorm2d(4)),
        lambda b, h, w: (torch.ones(b, 4, h, w),),
        (IMAGE,),
    ),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), lambda b, n: (torch.ones(b, n, 8),), (TEXT,)),
    "attention": (nn.MultiheadAttention(8, 2, batch_first=True), lambda b, n: (torch.ones(b, n, 8),) * 3, (TEXT,) * 3),
    "embedding": (nn.Embedding(9, 4), lambda b, n: (torch.ones(b, n, dtype=torch.int64),), (TEXT,)),
    "loss": (F.cross_entropy, lambda b: (torch.ones(b, 9), torch.ones(b, dtype=torch.int64)), ({0: "b"},) * 2),
    "two lengths": (_pair, lambda n, m: (torch.ones(2, n, 4), torch.ones(2, m, 4)), ({1: "n"}, {1: "m"})),
    "triangle": (_triangle, lambda n: (torch.ones(3, n, n),), ({1: "n", 2: "n"},)),
    "positions": (_positions, lambda b, n: (torch.ones(b, n, 4),), (TEXT,)),
    "table": (_table, lambda b, n: (torch.ones(b, n, 16),), (TEXT,)),
    "sort": (lambda x: x.sort(-1)[0], lambda n: (torch.ones(3, n),), ({1: "n"},)),
    "svd": (lambda x: torch.linalg.svd(x)[1], lambda n, m: (torch.ones(2, n, m),), ({1: "n", 2: "m"},)),
    "fft": (torch.fft.rfft, lambda n: (torch.ones(2, n),), ({1: "n"},)),
    "pool of a line": (lambda x: F.max_pool1d(x, 3, 2, 1), lambda b, n: (torch.ones(b, 4, n),), ({0: "b", 2: "n"},)),
    "resize": (lambda x: F.interpolate(x, scale_factor=2.0), lambda b, h, w: (torch.ones(b, 3, h, w),), (IMAGE,)),
}
FORWARD_ALONE = {"svd", "fft", "pool of a line"}
"""Those whose gradients torch has no rules for symbols for, or that return complex numbers."""
SIZES = ((7, 11, 13), (1, 5, 9), (2, 8, 6), (3, 7, 7), (4, 23, 16))


@pytest.mark.parametrize(
    ("name", "backward"),
    [(name, each) for name in CASES for each in (False, True) if not (each and name in FORWARD_ALONE)],
)
def test_at_sizes_it_is_the_count_there(name: str, backward: bool) -> None:
    model, make, shapes = CASES[name]
    names = list(dict.fromkeys(each for axes in shapes for each in axes.values()))
    example = make(**{each: 6 + 3 * place for place, each in enumerate(names)})
    symbolic = count_graph(model, example, dynamic_shapes=shapes, backward=backward)
    for sizes in SIZES:
        given = dict(zip(names, sizes, strict=False))
        equal_count(symbolic.at(**given), count_graph(model, make(**given), backward=backward))


def test_an_example_of_size_one_says_nothing_of_others() -> None:
    model = nn.Linear(8, 4)
    counted = count_graph(model, torch.ones(1, 8), dynamic_shapes=({0: "b"},))
    assert counted.macs == read("32*b")
    assert counted.sizes == {"b": 1}


def test_sizes_put_in_one_after_the_other() -> None:
    counted = count_graph(nn.Conv2d(3, 4, 3), torch.ones(2, 3, 9, 9), dynamic_shapes=(IMAGE,))
    partly = counted.at(b=1)
    assert partly.sizes == {"h": 9, "w": 9}
    equal_count(partly.at(h=7, w=8), count_graph(nn.Conv2d(3, 4, 3), torch.ones(1, 3, 7, 8)))


def branching(x: Tensor) -> Tensor:
    if x.shape[0] < 10:
        return x * 2
    return x.exp()


def test_a_branch_is_a_condition_with_its_place() -> None:
    counted = count_graph(branching, torch.ones(6, 4), dynamic_shapes=({0: "b"},))
    assert counted.total == cost(mul="4*b")
    (condition,) = counted.conditions
    assert str(condition).startswith("b <= 9 (")
    assert __file__ in condition.place
    assert counted.at(b=9).total == Cost(mul=36)
    with pytest.raises(InputError, match=r"do not hold at b=10: they were found for b <= 9 \("):
        counted.at(b=10)


def test_a_table_is_a_condition() -> None:
    counted = count_graph(_table, torch.ones(2, 6, 16), dynamic_shapes=(TEXT,))
    assert [str(each.relation) for each in counted.conditions] == ["n <= 32"]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: sum(x[place] for place in range(x.shape[0])),
        lambda x: x.view(int(x.shape[0]), -1),
        lambda x: x + torch.ones(6, 1),
        lambda x: x[[0] * len([*x])],
    ],
)
def test_a_size_that_is_settled_is_an_error_with_its_line_and_number(model: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(SizeError, match=r"b is settled to be 6, and is no symbol then, .*test_symbolic_sizes\.py:\d+"):
        count_graph(model, torch.ones(6, 4), dynamic_shapes=({0: "b"},))


def test_a_value_that_settles_a_size_is_an_error() -> None:
    def up_to_the_largest(x: Tensor) -> Tensor:
        return x[:, : int(torch.arange(x.shape[1]).max())].exp()

    with pytest.raises(
        SizeError, match=r"not those that are counted at .*asks for values .*test_symbolic_sizes\.py:\d+"
    ):
        count_graph(up_to_the_largest, torch.ones(6, 10), dynamic_shapes=({1: "n"},))


def test_a_size_as_a_key_of_the_models_own_is_an_error() -> None:
    known: dict[int, float] = {}

    def keyed(x: Tensor) -> Tensor:
        return x * known.setdefault(x.shape[0], 2.0)

    with pytest.raises(SizeError, match=r"unhashable.*test_symbolic_sizes\.py:\d+"):
        count_graph(keyed, torch.ones(6, 10), dynamic_shapes=({0: "b"},))


def test_an_exception_is_counted_anew() -> None:
    def without_ones(x: Tensor) -> Tensor:
        return x.squeeze().sum(-1)

    counted = count_graph(without_ones, torch.ones(6, 1, 5), dynamic_shapes=({0: "b"},))
    assert [str(each.relation) for each in counted.conditions] == ["b >= 2"]
    equal_count(counted.at(b=1), count_graph(without_ones, torch.ones(1, 1, 5)))


def test_the_example_itself_may_be_an_exception() -> None:
    counted = count_graph(lambda x: x.squeeze().sum(-1), torch.ones(1, 3, 5), dynamic_shapes=({0: "b"},))
    assert counted.macs == 0
    assert counted.total == cost(add="12*b")


def test_what_runs_on_data_has_no_symbols() -> None:
    with pytest.raises(InputError, match="a run on data has the sizes of its data"):
        count_graph(nn.Linear(2, 2), torch.ones(2, 2), tracer="executed", dynamic_shapes=({0: "b"},))


def test_an_error_of_the_model_is_its_own() -> None:
    def failing(x: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        count_graph(failing, torch.ones(2, 2), dynamic_shapes=({0: "b"},))


def test_sizes_that_a_count_does_not_have() -> None:
    counted = count_graph(nn.Linear(2, 2), torch.ones(2, 2), dynamic_shapes=({0: "b"},))
    with pytest.raises(InputError, match="no size 'c'; its sizes are b"):
        counted.at(c=2)
    with pytest.raises(InputError, match="positive integer, and b is 0"):
        counted.at(b=0)
    with pytest.raises(FxcountError, match="its sizes are none"):
        count_graph(nn.Linear(2, 2), torch.ones(2, 2)).at(b=2)


@pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
def test_the_graph_is_that_of_the_example(tracer: str) -> None:
    model = nn.Linear(8, 4)
    counted = count_graph(model, torch.ones(6, 8), tracer=tracer, dynamic_shapes=({0: "b"},))
    assert counted.graph(torch.ones(6, 8)).shape == (6, 4)
    assert [node.meta["val"].shape for node in counted.graph.graph.nodes if "val" in node.meta][-1] == (6, 4)


def test_everything_is_as_before() -> None:
    before = torch.ops.aten.dropout.default.py_kernels.copy()
    model, x = nn.Linear(8, 4), torch.ones(6, 8)
    count_graph(model, x, dynamic_shapes=({0: "b"},))
    assert torch.ops.aten.dropout.default.py_kernels == before
    assert model(x).shape == (6, 4)
    assert x.shape == (6, 8)


def _layer(function: Callable[..., Any]) -> Callable[..., Any]:
    layer = nn.Linear(8, 8)
    return lambda *inputs: function(layer, *inputs)


LOSSES: Mapping[str, tuple[Callable[..., Any], Make]] = {
    "cross entropy": (
        _layer(lambda layer, x, y: F.cross_entropy(layer(x), y)),
        lambda b: (torch.ones(b, 8), torch.zeros(b, dtype=torch.int64)),
    ),
    "squares": (_layer(lambda layer, x, y: F.mse_loss(layer(x), y)), lambda b: (torch.ones(b, 8),) * 2),
    "variance": (_layer(lambda layer, x: layer(x).var(0)), lambda b: (torch.ones(b, 8),)),
    "deviation": (_layer(lambda layer, x: layer(x).std(0)), lambda b: (torch.ones(b, 8),)),
    "the first token": (_layer(lambda layer, x: layer(x)[:, 0]), lambda b: (torch.ones(b, 5, 8),)),
    "all but the last": (_layer(lambda layer, x: layer(x)[:, :-1]), lambda b: (torch.ones(b, 5, 8),)),
    "a new axis": (_layer(lambda layer, x: layer(x)[:, None] * x[None]), lambda b: (torch.ones(b, 8),)),
    "a larger picture": (
        _layer(lambda layer, x: F.interpolate(layer(x), scale_factor=2)),
        lambda b: (torch.ones(b, 4, 8),),
    ),
    "dropout in training": (nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), lambda b: (torch.ones(b, 8),)),
    "pooled": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(4)), lambda b: (torch.ones(b, 3, 17, 17),)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("example", [1, 4])
def test_gradients_in_symbols(name: str, example: int) -> None:
    model, make = LOSSES[name]
    given = make(example)
    shapes = ({0: "b"},) * len(given)
    symbolic = count_graph(model, given, dynamic_shapes=shapes, backward=True)
    for size in (1, 3, 6):
        equal_count(symbolic.at(b=size), count_graph(model, make(size), backward=True))


def test_an_lstm_with_gradients_in_its_batch() -> None:
    model = nn.LSTM(8, 16, batch_first=True)
    symbolic = count_graph(model, torch.ones(4, 5, 8), dynamic_shapes=({0: "b"},), backward=True)
    equal_count(symbolic.at(b=3), count_graph(model, torch.ones(3, 5, 8), backward=True))
    with pytest.raises(SizeError, match="n is settled to be 5"):
        count_graph(model, torch.ones(4, 5, 8), dynamic_shapes=({1: "n"},), backward=True)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cost: pickle.loads(pickle.dumps(cost))])
def test_a_copy_counts_anew_as_the_original(copied: Callable[[GraphCost], GraphCost]) -> None:
    model = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    symbolic = count_graph(model, torch.ones(2, 6, 8), dynamic_shapes=({0: "b", 1: "n"},))
    assert copied(symbolic).at(b=1, n=3).total == symbolic.at(b=1, n=3).total


def test_a_restored_count_cannot_count_anew() -> None:
    symbolic = count_graph(nn.Linear(8, 4), torch.ones(2, 8), dynamic_shapes=({0: "b"},))
    with pytest.raises(InputError, match="a count that was restored has none"):
        GraphCost.from_json(symbolic.to_json()).at(b=1)


def even_rows(x: Tensor) -> Tensor:
    return x[torch.arange(x.shape[0]) % 2 == 0].exp()


def test_values_that_depend_on_sizes_are_the_examples_and_at_counts_anew() -> None:
    """Of 16 rows and of 15 there are 8 even ones; of 81, which is tried too, 41."""
    with pytest.raises(SizeError, match=r"not those that are counted at .*asks for values .*test_symbolic_sizes\.py"):
        count_graph(even_rows, torch.ones(16, 8), dynamic_shapes=({0: "b"},))

    def few_rows(x: Tensor) -> Tensor:
        return x.exp() if torch.arange(x.shape[0]).max() < 1000 else x

    counted = count_graph(few_rows, torch.ones(16, 8), dynamic_shapes=({0: "b"},))
    assert str(counted.conditions[0]).startswith("a value that depends on sizes is as in the example (")
    assert counted.at(b=999).total == cost(special="7992")
    assert counted.at(b=2000).total == Cost()
    assert counted.sum_over("b", 999, 3) == cost(special="15992")  # 8 * (999 + 1000), and 1001 rows take the other way
    with pytest.warns(UserWarning, match="without the model it is not known whether a value that depends on sizes"):
        GraphCost.from_json(counted.to_json()).at(b=7)


def test_sizes_that_are_one_are_checked_together() -> None:
    def third(x: Tensor, y: Tensor) -> Tensor:
        return (x + y)[torch.arange(x.shape[0]) % 3 == 0].exp()

    with pytest.raises(SizeError, match="not those that are counted at b="):
        count_graph(third, (torch.ones(6, 8), torch.ones(6, 8)), dynamic_shapes=({0: "b"}, {0: "c"}))


@pytest.mark.parametrize("factor", [0.1, 0.7])
def test_floating_point_that_rounds_has_no_expression(factor: float) -> None:
    with pytest.raises(SizeError, match="in floating point, which rounds"):
        count_graph(lambda x: x[: math.ceil(x.shape[0] * factor)].exp(), torch.ones(16, 8), dynamic_shapes=({0: "b"},))


def test_floating_point_that_is_exact() -> None:
    counted = count_graph(
        lambda x: x[: math.ceil(x.shape[0] * 0.75)].exp(), torch.ones(16, 8), dynamic_shapes=({0: "b"},)
    )
    assert counted.at(b=7).total == cost(special="48")


def test_what_a_sum_needs() -> None:
    counted = count_graph(_table, torch.ones(2, 6, 16), dynamic_shapes=({1: "n"},))
    assert counted.sum_over("n", 2, 3).add == 2 * 16 * (2 + 3 + 4)
    with pytest.raises(InputError, match="do not hold at n=33"):
        counted.sum_over("n", 30, 5)
    for start, count in ((0, 3), (1, -1), (1, 2.5), (None, 2), (1, True)):
        with pytest.raises(InputError, match="is a whole number of at least"):
            counted.sum_over("n", start, count)  # type: ignore[arg-type]

    def without_ones(x: Tensor) -> Tensor:
        return x.squeeze().sum(-1)

    squeezed = count_graph(without_ones, torch.ones(6, 1, 5), dynamic_shapes=({0: "b"},))
    assert squeezed.sum_over("b", 1, 3).add == sum(squeezed.at(b=size).total.add for size in (1, 2, 3))


def test_bytes_of_a_tensor_beside_its_transpose() -> None:
    def product(x: Tensor) -> Tensor:
        return x @ x.transpose(1, 2)

    counted = count_graph(product, torch.ones(2, 6, 8), dynamic_shapes=({0: "b", 1: "n"},))
    assert counted.read == read("32*b*n")
    equal_count(counted.at(b=3, n=5), count_graph(product, torch.ones(3, 5, 8)))


def test_bytes_of_views_that_overlap_have_a_name() -> None:
    def differences(x: Tensor) -> Tensor:
        return x[:, 1:] - x[:, :-1]

    counted = count_graph(differences, torch.ones(2, 6), dynamic_shapes=({1: "n"},))
    assert "bytes_of_overlaps" in str(counted.read)
    assert "2*n - 2" in counted.table(columns=["name", "add"])
    equal_count(counted.at(n=9), count_graph(differences, torch.ones(2, 9)))


def test_an_axis_of_one_that_is_broadcast() -> None:
    with pytest.raises(SizeError, match="the model takes no other m than one"):
        count_graph(lambda x, y: x + y, (torch.ones(2, 16), torch.ones(2, 1)), dynamic_shapes=({1: "n"}, {1: "m"}))


def test_errors_name_sizes_as_people_do() -> None:
    def failing(x: Tensor) -> Tensor:
        return x.view(int(x.shape[0]), -1)

    with pytest.raises(SizeError) as raised:
        count_graph(failing, torch.ones(6, 4), dynamic_shapes=({0: "rows", 1: "columns"},))
    text = " ".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
    assert "rows is settled to be 6" in text
    assert not re.search(r"\bs\d+\b", text)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: F.interpolate(x[None, None], size=(4, 4), mode="bilinear", antialias=True),
        lambda x: torch.zeros(round(x.shape[0] * 0.3)),
    ],
)
def test_what_has_no_expression_is_an_error_of_sizes(model: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(SizeError):
        count_graph(model, torch.ones(8, 8), dynamic_shapes=({0: "b"},))


def test_advice_that_helps() -> None:
    model = nn.Linear(8, 8)
    with pytest.raises(FxcountError) as raised:
        count_graph(lambda x: x if model(x).sum() > 0 else -x, torch.ones(2, 8), dynamic_shapes=({0: "b"},))
    assert any("give numbers for its sizes" in note for note in raised.value.__notes__)
