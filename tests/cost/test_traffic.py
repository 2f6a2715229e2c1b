"""The bytes that operators read and write, worked out by hand, on every tracer and without data as with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fxcount import GraphCost, TensorInfo, count_graph
from fxcount.cost.traffic import bytes_held
from tests.views.tower import body

F4 = 4  # the bytes of a float32
TRACERS = ("symbolic", "recorded", "executed")


def moved(model: Callable[..., Any], *given: Any, tracer: str = "auto") -> tuple[int, int]:
    cost = count_graph(model, given, tracer=tracer)
    return cost.read, cost.written


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(*shape, dtype=dtype)


Case = tuple[Callable[..., Any], tuple[Any, ...], int, int]
X, ROW, COLUMN, LONG = ones(3, 4), ones(4), ones(3, 1), torch.tensor([2, 0, 1])
CASES: dict[str, Case] = {
    "sum of two": (lambda x, y: x + y, (X, ones(3, 4)), F4 * 24, F4 * 12),
    "a tensor given twice": (lambda x: x * x, (X,), F4 * 12, F4 * 12),
    "a tensor and its transpose": (lambda x: x @ x.t(), (X,), F4 * 12, F4 * 9),
    "two rows of a tensor": (lambda x: x[0] * x[1], (X,), F4 * 8, F4 * 4),
    "a row twice": (lambda x: x[1] * x[1], (X,), F4 * 4, F4 * 4),
    "rows that overlap": (lambda x: x[:2] + x[1:], (X,), F4 * 12, F4 * 8),
    "broadcast": (lambda x, y: x + y, (X, ROW), F4 * 16, F4 * 12),
    "broadcast of both": (lambda x, y: x + y, (COLUMN, ROW), F4 * 7, F4 * 12),
    "expanded": (lambda x: x.expand(3, 4) * 2, (COLUMN,), F4 * 3, F4 * 12),
    "half precision": (lambda x: x + x, (X.half(),), 2 * 12, 2 * 12),
    "complex": (lambda x: x * 2, (X.cfloat(),), 8 * 12, 8 * 12),
    "a cast": (lambda x: x.half(), (X,), F4 * 12, 2 * 12),
    "views": (lambda x: x.view(4, 3).t()[1:].unsqueeze(0).detach(), (X,), 0, 0),
    "a contiguous copy": (lambda x: x.t().contiguous(), (X,), F4 * 12, F4 * 12),
    "what is contiguous": (lambda x: x.contiguous(), (X,), 0, 0),
    "reshape as a copy": (lambda x: x.t().reshape(12), (X,), F4 * 12, F4 * 12),
    "windows that overlap": (lambda x: x.unfold(0, 3, 1) * 1, (ones(6),), F4 * 6, F4 * 12),
    "comparison": (lambda x, y: x > y, (X, ones(3, 4)), F4 * 24, 12),
    "argmax": (lambda x: x.argmax(1), (X,), F4 * 12, 8 * 3),
    "sum": (lambda x: x.sum(), (X,), F4 * 12, F4),
    "in place": (lambda x: x.clone().add_(1), (X,), F4 * 24, F4 * 24),
    "filled": (lambda x: torch.empty(5).fill_(2), (X,), 0, F4 * 5),
    "zeros": (lambda x: torch.zeros(5), (X,), 0, F4 * 5),
    "empty": (lambda x: torch.empty(5), (X,), 0, 0),
    "zeros of a form": (lambda x: torch.zeros_like(x) + x.new_ones(3, 4), (X,), F4 * 24, F4 * 36),
    "detached in place": (lambda x: x.clone().detach_().unsqueeze_(0), (X,), F4 * 12, F4 * 12),
    "rows set to a number": (
        lambda x, i: x.clone().index_put_((i,), torch.tensor(0.0)), (X, LONG[:2]), F4 * 12 + 8 * 2 + F4, F4 * (12 + 8),
    ),
    "taken along an axis": (
        lambda x, i: torch.take_along_dim(x, i, 1), (X, LONG.view(3, 1)), 8 * 3 + F4 * 3, F4 * 3,
    ),
    "copied into a part": (lambda x, y: x.clone()[1].copy_(y), (X, ROW), F4 * 16, F4 * 16),
    "given as out": (lambda x, y: torch.add(x, x, out=torch.empty(3, 4)), (X, X), F4 * 12, F4 * 12),
    "embedding": (lambda i, w: F.embedding(i, w), (LONG, ones(100, 4)), 8 * 3 + F4 * 12, F4 * 12),
    "more than there is": (lambda i, w: F.embedding(i, w), (LONG % 2, ones(2, 4)), 8 * 3 + F4 * 8, F4 * 12),
    "index": (lambda x, i: x[i], (ones(100, 4), LONG), 8 * 3 + F4 * 12, F4 * 12),
    "index_select": (lambda x, i: x.index_select(0, i), (ones(100, 4), LONG), 8 * 3 + F4 * 12, F4 * 12),
    "gather": (lambda x, i: x.gather(0, i), (ones(100), LONG), 8 * 3 + F4 * 3, F4 * 3),
    "embedding bag": (
        lambda i, w: F.embedding_bag(i, w), (torch.arange(4).view(2, 2), ones(50, 4)),
        8 * (4 + 2) + F4 * 16, F4 * 8 + 8 * 2,
    ),
    "experts, more than rows": (
        lambda x, w: torch._grouped_mm(x, w, offs=torch.tensor([1, 1, 3, 3, 3, 3, 3, 3], dtype=torch.int32)),
        (ones(3, 16).bfloat16(), ones(8, 16, 24).bfloat16()), 2 * (3 * 16 + 3 * 16 * 24) + 4 * 8, 2 * 3 * 24,
    ),
    "experts, fewer than rows": (
        lambda x, w: torch._grouped_mm(x, w, offs=torch.tensor([1, 3], dtype=torch.int32)),
        (ones(3, 16).bfloat16(), ones(2, 16, 24).bfloat16()), 2 * (3 * 16 + 2 * 16 * 24) + 4 * 2, 2 * 3 * 24,
    ),
    "scatter": (lambda x, i, y: x.scatter(0, i, y), (ones(9), LONG, ones(3)), F4 * 9 + 8 * 3 + F4 * 3, F4 * 9),
    "scatter in place": (
        lambda x, i, y: x.clone().scatter_(0, i, y), (ones(9), LONG, ones(3)), F4 * 9 + 8 * 3 + F4 * 3, F4 * (9 + 3),
    ),
    "added at places": (
        lambda x, i, y: x.clone().index_add_(0, i, y), (ones(9), LONG, ones(3)), F4 * (9 + 3 + 3) + 8 * 3, F4 * (9 + 3),
    ),
    "put at places": (
        lambda x, i, y: x.clone().index_put_((i,), y), (ones(9), LONG, ones(3)), F4 * (9 + 3) + 8 * 3, F4 * (9 + 3),
    ),
    "linear": (lambda x: F.linear(x, ones(5, 4), ones(5)), (X,), F4 * (12 + 20 + 5), F4 * (15 + 25)),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        (ones(1, 2, 3, 8), ones(1, 2, 5, 8), ones(1, 2, 5, 8)), F4 * 2 * (3 + 5 + 5) * 8, F4 * 2 * 3 * 8,
    ),
    "parts of one product": (
        lambda x: F.scaled_dot_product_attention(*x.view(1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4)),
        (ones(1, 6, 48),), F4 * 6 * 48, F4 * 6 * 16,
    ),
    "cat": (lambda x, y: torch.cat([x, y]), (X, ones(2, 4)), F4 * 20, F4 * 20),
}  # fmt: skip


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
@pytest.mark.parametrize("case", CASES)
def test_by_hand(case: str, tracer: str) -> None:
    model, given, read, written = CASES[case]
    for _ in range(2):  # the second time all calls repeat
        assert moved(model, *given, tracer=tracer) == (read, written)


@pytest.mark.parametrize("tracer", TRACERS)
def test_layers(tracer: str) -> None:
    """A layer reads its input and its parameters, a norm in training also its statistics, which it writes anew."""
    held = 10 * 3 * 3 + 10
    convolution = moved(nn.Conv2d(3, 10, (3, 1)), ones(2, 3, 8, 8), tracer=tracer)
    assert convolution == (F4 * (held + 2 * 3 * 8 * 8), F4 * 2 * 10 * 6 * 8)
    norm, x = nn.Sequential(nn.BatchNorm2d(3)), ones(2, 3, 8, 8)
    elements = 2 * 3 * 8 * 8
    assert moved(norm.eval(), x, tracer=tracer) == (F4 * (elements + 4 * 3), F4 * elements)


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_a_recurrent_layer_moves_no_gates(tracer: str) -> None:
    lstm = nn.LSTM(4, 5)
    held = sum(each.numel() for each in lstm.parameters())
    zeros = 2 * 5  # the first states, which it makes itself
    read, written = moved(lstm, ones(7, 1, 4), tracer=tracer)
    assert (read, written) == (F4 * (7 * 4 + held + zeros), F4 * (7 * 5 + 2 * 5 + zeros))


def test_statistics_of_a_norm_in_training_are_written() -> None:
    cost = count_graph(nn.BatchNorm1d(3), ones(8, 3))
    norm = next(each for each in cost.operator_calls if each.operator.name == "aten.batch_norm")
    assert norm.operator.written == (3, 4)
    assert (cost.read, cost.written) == (F4 * (24 + 4 * 3) + 8, F4 * (24 + 2 * 3) + 8)  # and the number of batches


def test_on_meta_as_on_the_cpu() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8))
    assert moved(model, X.to("meta")) == moved(model.to_empty(device="cpu"), X)


def test_groups_add_up_and_come_back_from_json() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 2)))
    cost = count_graph(model, X, backward=True)
    modules = cost.by_module()
    assert sum(node.read for node in cost.nodes) == sum(each.read for each in cost.by_operator().values()) == cost.read
    assert modules["1"].written == modules["1.0"].written + modules["1.1"].written == F4 * (3 * 8 + 3 * 2)
    assert modules[""].backward_traffic == cost.backward_traffic
    assert cost.intensity == (2 * cost.macs + cost.total.add) / (cost.read + cost.written)
    restored = GraphCost.from_json(cost.to_json())
    assert (restored.traffic, restored.backward_traffic) == (cost.traffic, cost.backward_traffic)
    assert restored.by_operator()["aten.linear"].read == cost.by_operator()["aten.linear"].read


def test_the_backward_pass_of_a_product() -> None:
    """Both gradients read that of the result, which is a sum's and so one element, and the other operand."""
    cost = count_graph(lambda x, y: x @ y, (X.requires_grad_(), ones(4, 5).requires_grad_()), backward=True)
    assert cost.backward_traffic is not None
    assert cost.backward_traffic.read == F4 * (2 * 15 + 12 + 20)
    assert cost.backward_traffic.written == F4 * (12 + 20)


def test_it_is_shown() -> None:
    cost = count_graph(nn.Linear(256, 512, bias=False), ones(64, 256))
    text = cost.table("operator", columns=("name", "read", "written", "intensity"))
    assert body(text).split("\n")[2].split() == ["aten.linear", "576.0", "KiB", "128.0", "KiB", "23.27"]
    assert "moved: 589,824 bytes read, 131,072 written (704.0 KiB), 23.27 floating-point" in cost.explain("linear")


# Distinct elements


@st.composite
def tensors_in_one_memory(draw: st.DrawFn) -> list[Tensor]:
    memory = torch.arange(60)
    found = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        stride = draw(st.lists(st.integers(0, 6), min_size=len(shape), max_size=len(shape)))
        reach = sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) if 0 not in shape else 0
        found.append(memory.as_strided(shape, stride, draw(st.integers(0, 59 - reach))))
    return found


@given(tensors_in_one_memory())
def test_distinct_elements_of_any_tensors(some: list[Tensor]) -> None:
    infos = [TensorInfo(each.shape, each.dtype, each.stride(), 0, each.storage_offset()) for each in some]
    assert bytes_held(infos) == 8 * len({value for each in some for value in each.flatten().tolist()})


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 6))
def test_parts_of_a_tensor_along_an_axis(rows: int, parts: int, heads: int, size: int) -> None:
    whole = torch.arange(rows * parts * heads * size).view(rows, parts * heads, size)
    some = whole.chunk(parts, 1)
    infos = [TensorInfo(each.shape, each.dtype, each.stride(), 0, each.storage_offset()) for each in some]
    assert bytes_held(infos) == 8 * whole.numel()


def test_elements_of_other_types_in_the_same_memory() -> None:
    whole = TensorInfo((4,), torch.float32, (1,), 0)
    half = TensorInfo((4,), torch.float16, (1,), 0, 2)
    assert bytes_held([whole, half]) == 16
    assert bytes_held([whole, half._replace(offset=6)]) == 16 + 4
    assert bytes_held([whole, half._replace(offset=8)]) == 16 + 8
    assert bytes_held([whole, whole._replace(storage=1)]) == 32
