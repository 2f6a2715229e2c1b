"""Times at best, by hand and by what must hold of every device."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.tensor.parallel import parallelize_module

from fxcount import Device, GraphCost, InputError, count_graph, fake_mesh
from fxcount.views.roofline_table import time_text
from tests.tracing.on_ranks import PLAN, network
from tests.views.test_plot import drawn, texts
from tests.views.tower import body

SLOW = Device("slow", {torch.float32: 1e9}, bandwidth=1e9)
"""An operation and a byte take a nanosecond."""


def test_a_layer_by_hand() -> None:
    """2 * 4 * 8 * 16 operations and 4 * 16 additions of biases; 4 * (4 * 8 + 8 * 16 + 16 + 4 * 16) bytes."""
    roof = count_graph(nn.Linear(8, 16), torch.ones(4, 8)).roofline(SLOW)
    assert (roof.total.operations, roof.total.bytes) == (1088, 960)
    assert roof.seconds == pytest.approx(1088e-9)
    assert roof.bound == "compute"
    assert roof.total.intensity == pytest.approx(1088 / 960)
    faster = Device("faster", {torch.float32: 4e9}, bandwidth=1e9)
    assert count_graph(nn.Linear(8, 16), torch.ones(4, 8)).roofline(faster).seconds == pytest.approx(960e-9)


def test_views_and_comparisons_take_no_operations() -> None:
    roof = count_graph(lambda x: x.t().relu(), torch.ones(4, 8)).roofline(SLOW)
    assert roof.total.operations == 0
    assert roof.total.bytes == 2 * 4 * 32
    assert roof.bound == "memory"
    assert [call.operator for call in roof.calls if call.time.seconds] == ["aten.relu"]


def test_calls_are_added_up_and_fused_ones_are_not() -> None:
    """Call by call each relu reads and writes 128 bytes; fused, only the first tensor is read."""
    roof = count_graph(lambda x: x.relu().relu().relu(), torch.ones(4, 8)).roofline(SLOW)
    assert roof.seconds == pytest.approx(3 * 256e-9)
    assert roof.fused_seconds == pytest.approx(128e-9)


def test_a_table_of_which_little_is_selected() -> None:
    """Two rows of 4 numbers, and two places, are read; not the table of 100 rows."""
    roof = count_graph(nn.Embedding(100, 4), torch.tensor([3, 7])).roofline(SLOW)
    assert roof.fused_seconds == pytest.approx((2 * 4 * 4 + 2 * 8) * 1e-9)


def test_products_with_padding_do_not_count() -> None:
    """Along an axis of 5 a window of 3 with a padding of 1 has 13 of its 15 products with the input."""
    conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    cost = count_graph(conv, torch.randn(1, 2, 5, 5), backward=True)
    assert cost.macs == 4 * 2 * 15 * 15
    roof = cost.roofline(SLOW)
    assert roof.by_phase()["forward"].operations == 2 * 4 * 2 * 13 * 13
    assert roof.by_phase()["backward"].operations == 2 * 4 * 2 * 13 * 13  # of the weight alone


def test_products_with_padding_do_not_count_where_sizes_are_symbols() -> None:
    conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    cost = count_graph(conv, torch.randn(1, 2, 8, 8), dynamic_shapes={"input": {2: "h", 3: "w"}})
    assert cost.at(h=5, w=5).roofline(SLOW).total.operations == 2 * 4 * 2 * 13 * 13


def test_causal_attention_leaves_out_what_is_masked() -> None:
    def attention(q: Tensor, k: Tensor, causal: bool = True) -> Tensor:
        return F.scaled_dot_product_attention(q, k, k, is_causal=causal)

    q, k = torch.ones(1, 2, 6, 4), torch.ones(1, 2, 6, 4)
    causal = count_graph(attention, (q, k)).roofline(SLOW).total.operations
    whole = count_graph(attention, (q, k, False)).roofline(SLOW).total.operations
    assert causal == pytest.approx(whole * 21 / 36)


def test_the_dtype_chooses_the_peak() -> None:
    device = Device("mixed", {torch.float32: 1e6, torch.bfloat16: 4e6}, 1e15)
    times = [
        count_graph(nn.Linear(8, 8, dtype=dtype), torch.ones(8, 8, dtype=dtype)).roofline(device).seconds
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert times[0] == pytest.approx(4 * times[1])


@cache
def trained() -> GraphCost:
    model = nn.Sequential(nn.Linear(8, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 16)), nn.LayerNorm(16))
    return count_graph(model, torch.ones(4, 8), backward=True, optimizer=torch.optim.AdamW)


def test_phases() -> None:
    """A step of AdamW reads parameters, gradients and two moments and writes all but the gradients: 7 times 4 bytes."""
    roof = trained().roofline(SLOW)
    phases = roof.by_phase()
    assert list(phases) == ["forward", "backward", "optimizer"]
    assert phases["optimizer"].bytes == 7 * 4 * trained().params
    assert sum(each.seconds for each in phases.values()) == pytest.approx(roof.seconds)


rates = st.floats(1e3, 1e15)


@settings(max_examples=30, deadline=None)
@given(rates, rates, st.floats(1, 1000), st.floats(1, 1000))
def test_a_faster_device_never_takes_longer(peak: float, bandwidth: float, more: float, wider: float) -> None:
    here = trained().roofline(Device("here", {torch.float32: peak}, bandwidth))
    there = trained().roofline(Device("there", {torch.float32: peak * more}, bandwidth * wider))
    assert there.seconds <= here.seconds * (1 + 1e-9)
    assert there.fused_seconds <= here.fused_seconds * (1 + 1e-9)
    wide = trained().roofline(Device("wide", {torch.float32: peak}, 2 * bandwidth))
    assert wide.seconds <= here.seconds * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(rates, rates)
def test_parts_are_the_whole(peak: float, bandwidth: float) -> None:
    roof = trained().roofline(Device("any", {torch.float32: peak}, bandwidth))
    assert roof.fused_seconds <= roof.seconds * (1 + 1e-9)
    for parts in (roof.own_by_module(), roof.by_operator(), roof.by_phase()):
        assert sum(each.seconds for each in parts.values()) == pytest.approx(roof.seconds)
    assert roof.by_module()[""].seconds == pytest.approx(roof.seconds)


def test_a_gradient_that_one_kernel_computes_holds_no_scores() -> None:
    """Attention's gradient is four products of 2 * 64 * 64 * 8 operations and what the softmax adds; it reads query,
    key, value and the gradient of the output, and no matrix of scores."""
    given = [torch.ones(1, 2, 64, 8, requires_grad=True) for _ in range(3)]
    cost = count_graph(nn.functional.scaled_dot_product_attention, tuple(given), backward=True)
    fast = Device("fast", {torch.float32: 1e30}, 1e9)
    calls = [each for each in cost.roofline(fast).calls if each.phase == "backward"]
    (call,) = (each for each in calls if each.operator == "aten.scaled_dot_product_attention (gradient)")
    assert call.time.seconds == pytest.approx(4 * 4 * 2 * 64 * 8 / 1e9)
    assert call.time.operations >= 4 * 2 * 2 * 64 * 64 * 8
    assert cost.backward is not None
    assert sum(each.time.operations for each in calls) == cost.backward.under("arithmetic")


def test_the_gradient_of_causal_attention_has_the_dtype_and_the_mask_of_the_call() -> None:
    """Torch takes it apart in float32, a kernel does not: it takes about twice as long as the call at the same peak."""
    given = [torch.empty(1, 2, 1024, 64, dtype=torch.bfloat16, device="meta", requires_grad=True) for _ in range(3)]
    attention = functools.partial(nn.functional.scaled_dot_product_attention, is_causal=True)
    device = Device("d", {torch.float32: 1e9, torch.bfloat16: 1e12}, 1e30)
    cost = count_graph(attention, tuple(given), backward=True)
    times = {each.operator: each.time.seconds for each in cost.roofline(device).calls}
    ratio = times["aten.scaled_dot_product_attention (gradient)"] / times["aten.scaled_dot_product_attention"]
    assert 1.8 < ratio < 2.1
    products = 2 * 2 * 1024 * 1024 * 64 * 2  # of queries with keys, and of scores with values, for two heads
    assert cost.mfu(1.0, device) == pytest.approx(3 * products / 1e12)


def test_the_share_of_the_peak() -> None:
    """2 * 4 * 8 * 16 operations of the forward, twice as many of the backward pass."""
    cost = count_graph(nn.Linear(8, 16), torch.ones(4, 8, requires_grad=True), backward=True)
    assert cost.mfu(seconds=3 * 1024 * 1e-9, device=SLOW) == pytest.approx(1)
    with pytest.raises(InputError, match="a measured time is positive"):
        cost.mfu(0, SLOW)


def test_costs_in_symbols_have_no_time() -> None:
    cost = count_graph(nn.Linear(8, 16), torch.ones(4, 8), dynamic_shapes=({0: "batch"},))
    for ask in (lambda: cost.roofline(SLOW), lambda: cost.mfu(1.0, SLOW)):
        with pytest.raises(InputError, match=r"put them in with cost\.at\(batch=\.\.\.\)"):
            ask()
    assert (
        cost.at(batch=4).roofline(SLOW).seconds
        == count_graph(nn.Linear(8, 16), torch.ones(4, 8)).roofline(SLOW).seconds
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.50 s"), (0.00237, "2.37 ms"), (1.5e-6, "1.50 µs"), (3e-10, "0.30 ns"), (0.0, "0")]
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_the_tree_adds_up_and_says_what_binds() -> None:
    text = trained().roofline(SLOW).table(width=100)
    lines = body(text).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split()[:3] == ["module", "class", "time"]
    assert lines[2].split()[0] == "(model)"
    assert "(optimizer)" in " ".join(lines)
    with pytest.raises(InputError, match="unknown view 'node'; times are shown by module, operator, phase"):
        trained().roofline(SLOW).table("node")


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("module", {"(model)": 2192, "0": 960, "(3 more)": 512 + 592 + 128}),
        ("operator", {"aten.linear": 960 + 592, "(2 more)": 512 + 128}),
    ],
)
def test_the_longest_are_shown_and_the_rest_is_one_row(by: str, rows: dict[str, int]) -> None:
    """Bytes: 4 * (32 + 8 * 16 + 16 + 64), 4 * 2 * 64, 4 * (64 + 16 * 4 + 4 + 16) and 4 * 2 * 16."""
    layers = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4), nn.Softmax(-1))
    roof = count_graph(layers, torch.ones(4, 8)).roofline(SLOW)
    lines = body(roof.table(by, top=1, format="tsv")).split("\n\n")[0].splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    assert {row[0].strip(): int(row[-1].replace(",", "")) for row in cells} == rows
    with pytest.raises(InputError, match="top must not be negative: -1"):
        roof.table(by, top=-1)


def test_several_devices_side_by_side() -> None:
    text = str(trained().roofline(["H100 SXM", "A100 80", SLOW]))
    assert [line.split()[0] for line in body(text).splitlines()[2:5]] == ["H100", "A100", "slow"]


def test_no_device_at_all() -> None:
    assert str(trained().roofline([])).startswith("device")


def test_json() -> None:
    roof = trained().roofline(SLOW)
    saved = json.loads(roof.to_json())
    assert saved["seconds"] == roof.seconds
    assert [each["name"] for each in saved["phases"]] == ["forward", "backward", "optimizer"]
    assert saved["device"] == "slow"


def test_the_picture_has_a_roof_and_a_point_for_each_module() -> None:
    roof = trained().roofline(SLOW)
    svg = drawn(roof.plot())
    assert texts(svg, "roof") == ["float32: 1.00 G operations a second"]
    reduced = drawn(trained().roofline(replace(SLOW, reduced_float32=4e9)).plot())
    assert texts(reduced, "roof")[1] == "float32 with fewer bits: 4.00 G operations a second"
    assert trained().roofline([SLOW])._repr_html_().startswith("<div")
    points = texts(svg, "point")
    with_operations = [path for path, each in roof.own_by_module().items() if each.operations and each.bytes]
    assert {each.split(" ")[0] for each in points} == {path or "(model)" for path in with_operations}
    assert all(", bound by " in each for each in points)


def test_what_a_rank_sends_takes_the_time_of_its_link() -> None:
    """A quarter of 2 x 8 x 16,384 macs, and 3,072 bytes at a thousand a second."""
    linked = replace(SLOW, links={"tp": 1e3})
    with fake_mesh((4,), ("tp",)) as mesh:
        model = parallelize_module(network(), mesh, PLAN)
        cost = count_graph(model, torch.empty(8, 64, device="meta"))
    roof, without = cost.roofline(linked), cost.roofline(SLOW)
    assert roof.total.linking == pytest.approx(3.072)
    assert roof.seconds == pytest.approx(without.seconds + 3.072)
    assert (roof.bound, without.bound) == ("links", without.bound)
    assert roof.fused_seconds == pytest.approx(3.072)
    assert "One rank sends for 3.07 s over tp" in str(roof)
    assert "What it sends over tp is not in it" in str(without)


def test_a_link_has_a_rate() -> None:
    with pytest.raises(InputError, match="the link over tp must be positive, not 0"):
        replace(SLOW, links={"tp": 0.0})
