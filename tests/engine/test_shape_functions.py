"""What stands in for the results of operators that do not run on shapes has the shapes of their results."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from fxcount import Cost
from tests.costing import calls_of, cost_of


def shapes(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else [shapes(item) for item in value if item is not None]


def counted(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of a function while it is counted."""
    results: list[Any] = []
    calls_of(lambda: results.append(function(*args, **kwargs)))
    return results[0]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
@pytest.mark.parametrize("network", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_networks(network: type[nn.RNNBase], options: dict[str, Any]) -> None:
    m, x = network(5, 7, **options), torch.rand(4, 3, 5)
    assert shapes(counted(m, x)) == shapes(m(x))
    assert shapes(counted(m, x[0])) == shapes(m(x[0]))
    packed = pack_padded_sequence(x, torch.tensor([3, 1, 2, 3]), batch_first=True, enforce_sorted=False)
    if options:
        assert shapes(counted(m, packed)) == shapes(m(packed))


def test_projected_lstm() -> None:
    m, x = nn.LSTM(5, 7, proj_size=2, bidirectional=True), torch.rand(4, 3, 5)
    assert shapes(counted(m, x)) == shapes(m(x))


def test_a_network_does_not_run_step_by_step() -> None:
    m = nn.LSTM(5, 7)
    # A million steps would take hours.
    assert cost_of(m, torch.empty(10**6, 1, 5, device="meta")) == 10**6 * cost_of(
        m, torch.empty(1, 1, 5, device="meta")
    )


def test_packed_sequences() -> None:
    m, x, lengths = nn.LSTM(5, 7), torch.rand(4, 3, 5), torch.tensor([2, 4, 1])

    def packed_and_unpacked(x: Tensor) -> Tensor:
        steps, _ = m(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(steps)[0]

    assert cost_of(packed_and_unpacked, x) == cost_of(m, torch.rand(2 + 4 + 1, 5))
    assert counted(packed_and_unpacked, x).shape == (4, 3, 7)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_lengths_of_ctc_loss_in_tensors(reduction: str) -> None:
    log_probs, targets = torch.rand(7, 2, 5).log_softmax(-1), torch.ones(2, 3, dtype=torch.long)
    listed = (log_probs, targets, (7, 6), (3, 2))
    tensors = (log_probs, targets, torch.tensor((7, 6)), torch.tensor((3, 2)))
    expected = F.ctc_loss(*listed, reduction=reduction).shape
    assert counted(F.ctc_loss, *listed, reduction=reduction).shape == expected
    assert counted(F.ctc_loss, *tensors, reduction=reduction).shape == expected
    assert cost_of(F.ctc_loss, *tensors, reduction=reduction) == cost_of(F.ctc_loss, *listed, reduction=reduction)
    single = (log_probs[:, 0], targets[0], torch.tensor(7), torch.tensor(3))
    assert counted(F.ctc_loss, *single, reduction=reduction).shape == F.ctc_loss(*single, reduction=reduction).shape
    assert cost_of(F.ctc_loss, *single) != Cost()


def layout(tensor: Tensor) -> Any:
    return tensor.shape, tensor.dtype, tensor.is_contiguous(), tensor.stride() if tensor.numel() > 1 else ()


shape_lists = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(shape_lists, st.data())
def test_pointwise_reduction_and_concatenation(sizes: list[int], data: st.DataObject) -> None:
    x = torch.rand(sizes) + 1
    y = torch.rand([size if data.draw(st.booleans()) else 1 for size in sizes[data.draw(st.integers(0, 3)) :]] or [1])
    axis = data.draw(st.integers(-x.dim(), x.dim() - 1))
    functions: list[Callable[[], Tensor]] = [
        lambda: F.silu(x),
        lambda: x + y,
        lambda: y * x,
        lambda: x / 2,
        lambda: x.clone().mul_(y),
        lambda: F.relu_(x.clone()),
        lambda: x.mean(axis, keepdim=True),
        lambda: x.sum(axis),
        lambda: x.amax(),
        lambda: torch.cat([x, x + 1], axis),
    ]
    for function in functions:
        assert layout(counted(function)) == layout(function())


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.booleans())
def test_convolutions(axes: int, kernel: int, stride: int, padding: int, dilation: int, grouped: bool) -> None:
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    m = kinds[axes](4, 6, kernel, stride, padding, dilation, groups=2 if grouped else 1, bias=grouped)
    x = torch.rand(2, 4, *range(5, 5 + axes))
    assert layout(counted(m, x)) == layout(m(x))


def test_what_does_not_fit_is_torchs_error() -> None:
    x = torch.rand(2, 3)
    for call in (
        lambda: x + torch.rand(2, 4),
        lambda: x.clone().add_(torch.rand(4, 2, 3)),
        lambda: torch.cat([x, torch.rand(2, 4)]),
        lambda: x.mean((0, 0)),
        lambda: F.conv1d(torch.rand(1, 3, 8), torch.rand(2, 4, 3)),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            call()
        with pytest.raises((RuntimeError, IndexError)):
            counted(call)


def test_a_result_that_is_given_is_written_to() -> None:
    x, out = torch.rand(2, 3), torch.empty(2, 3)
    assert counted(lambda: torch.add(x, 1, out=out)).shape == (2, 3)
    assert cost_of(lambda x: torch.add(x, 1, out=torch.empty_like(x)), x) == Cost(add=6)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_in_one_operator(need_weights: bool, average: bool) -> None:
    m, x = nn.MultiheadAttention(6, 3), torch.rand(2, 4, 6)
    weights = (m.in_proj_weight, m.in_proj_bias, m.out_proj.weight, m.out_proj.bias)
    call = (torch._native_multi_head_attention, x, x, x, 6, 3, *weights, None, need_weights, average)
    assert shapes(counted(*call)) == shapes(call[0](*call[1:]))


def test_an_encoder_layer_in_one_operator() -> None:
    m, x = nn.TransformerEncoderLayer(6, 3, 8, batch_first=True).eval(), torch.rand(2, 4, 6)
    attention = (m.self_attn.in_proj_weight, m.self_attn.in_proj_bias, *m.self_attn.out_proj.parameters())
    norms, linears = (*m.norm1.parameters(), *m.norm2.parameters()), (*m.linear1.parameters(), *m.linear2.parameters())
    call = (torch._transformer_encoder_layer_fwd, x, 6, 3, *attention, False, False, 1e-5, *norms, *linears)
    assert layout(counted(*call)) == layout(call[0](*call[1:]))


@pytest.mark.parametrize("narrow", [True, False])
def test_the_place_of_a_number_and_of_many(narrow: bool) -> None:
    x, boundaries = torch.rand(2, 3), torch.arange(4.0)
    for values in (0.5, x):
        found = torch.bucketize(values, boundaries, out_int32=narrow)
        assert layout(counted(torch.bucketize, values, boundaries, out_int32=narrow)) == layout(found)
