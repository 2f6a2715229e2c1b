"""What other tools print, worked out by hand from their rules, on models of a few numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import FxcountError, GraphCost, InputError, count_graph
from fxcount.analyses.other_tools import TOOLS


def counted(model: nn.Module, *inputs: Tensor, tracer: str = "auto") -> GraphCost:
    return count_graph(model.eval(), inputs, tracer=tracer)


def totals(cost: GraphCost) -> dict[str, int]:
    return {tool: int(cost.as_counted_by(tool)) for tool in TOOLS}


CONVOLUTION = counted(nn.Sequential(nn.Conv2d(2, 4, 3)), torch.randn(1, 2, 5, 5))
"""36 results, 4 channels of 3 by 3, of 18 taps each: 648 MACs, and 36 biases."""


def test_a_convolution_with_a_bias() -> None:
    assert totals(CONVOLUTION) == {
        "fvcore": 648,
        "ptflops": 648 + 36,
        "thop": 648,
        "torchinfo": 9 * (72 + 4),  # each of the 72 weights and the 4 biases for each of 9 places
        "calflops": 2 * 648 + 36,
        "torch": 2 * 648,
    }


def test_a_grouped_and_a_transposed_convolution() -> None:
    x = torch.randn(1, 4, 3, 3)
    grouped = counted(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2, bias=False)), x)
    assert set(totals(grouped).values()) == {72, 144}  # 4 results of 2 * 9 taps
    transposed = counted(nn.Sequential(nn.ConvTranspose2d(4, 2, 2, stride=2, bias=False)), x)
    assert transposed.macs == 36 * 2 * 4  # each of 36 elements to 2 channels of 2 by 2
    assert totals(transposed) == {
        "fvcore": 288,
        "ptflops": 288,
        "thop": 72 * 4 * 4,  # 72 results, each of 4 channels and of all 4 taps
        "torchinfo": 36 * 32,
        "calflops": 576,
        "torch": 576,
    }


def test_a_linear_layer() -> None:
    cost = counted(nn.Sequential(nn.Linear(3, 5)), torch.randn(2, 7, 3))
    assert totals(cost) == {
        "fvcore": 210,
        "ptflops": (210 + 70) // 2,  # for one of a batch of 2
        "thop": 210,
        "torchinfo": 2 * (15 + 5),  # for each of the 2 examples, but not of the 7 rows in each
        "calflops": 420,
        "torch": 420,
    }


def test_norms() -> None:
    x = torch.randn(2, 3, 4)
    batch, layer = (counted(nn.Sequential(each), x) for each in (nn.BatchNorm1d(3), nn.LayerNorm(4)))
    plain = counted(nn.Sequential(nn.LayerNorm(4, elementwise_affine=False)), x)
    assert totals(batch) == {
        "fvcore": 48, "ptflops": 24, "thop": 96, "torchinfo": 2 * 6, "calflops": 48, "torch": 0
    }  # fmt: skip
    assert totals(layer) == {
        "fvcore": 120, "ptflops": 12, "thop": 96, "torchinfo": 2 * 8, "calflops": 120, "torch": 0
    }  # fmt: skip
    assert totals(plain) == {"fvcore": 96, "ptflops": 12, "thop": 48, "torchinfo": 0, "calflops": 96, "torch": 0}


def test_a_batch_norm_of_the_batch() -> None:
    cost = count_graph(nn.Sequential(nn.BatchNorm1d(3)).train(), torch.randn(2, 3, 4))
    assert int(cost.as_counted_by("fvcore")) == 5 * 24  # it traces the model in the mode that it is in
    assert int(cost.as_counted_by("calflops")) == 2 * 24  # it calls eval() before


def test_activations_and_pools_count_twice_in_ptflops() -> None:
    x = torch.randn(1, 2, 4, 4)
    for layer in (nn.ReLU(), nn.GELU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)):
        assert int(counted(nn.Sequential(layer), x).as_counted_by("ptflops")) == 64
    assert int(counted(nn.Sequential(nn.SiLU()), x).as_counted_by("ptflops")) == 32  # no layer that it knows
    assert int(counted(nn.Sequential(nn.ReLU6()), x).as_counted_by("ptflops")) == 32  # which calls hardtanh
    assert int(counted(nn.Sequential(nn.Hardswish()), x).as_counted_by("ptflops")) == 0


def test_an_average_pool_in_thop() -> None:
    cost = counted(nn.Sequential(nn.AdaptiveAvgPool2d((2, 1))), torch.randn(1, 3, 4, 4))
    assert int(cost.as_counted_by("thop")) == 6 * (8 + 1)
    assert int(cost.as_counted_by("fvcore")) == 48


class SelfAttention(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


def test_attention() -> None:
    """3 steps of a batch of 1, 2 heads of 2 features: 12 * 12 + 12 * 4 MACs of projections, 2 * 2 * 18 of scores."""
    cost = counted(SelfAttention(False), torch.randn(3, 1, 4))
    assert cost.macs == 144 + 48 + 72
    assert totals(cost) == {
        "fvcore": 144 + 48,
        # scaling 12, projections 144 and their biases 36, per head 9 * (2 + 1 + 2), and 3 * 4 * (4 + 1); its batch is 3
        "ptflops": (12 + 144 + 36 + 2 * 45 + 60) // 3,
        "thop": 0,
        "torchinfo": 0,
        "calflops": 2 * (144 + 48),
        "torch": 2 * 264,
    }
    assert "prints 144 less" in str(cost.as_counted_by("torch"))
    weighted = counted(SelfAttention(True), torch.randn(3, 1, 4))
    assert int(weighted.as_counted_by("fvcore")) == 264
    assert int(weighted.as_counted_by("calflops")) == 2 * 192 + 18  # a softmax of 18 scores, but no bmm


def test_a_function_of_attention_is_not_seen() -> None:
    class Fused(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x)

    cost = counted(Fused(), torch.randn(1, 2, 3, 4))
    assert totals(cost) == {"fvcore": 0, "ptflops": 0, "thop": 0, "torchinfo": 0, "calflops": 0, "torch": 288}
    (part,) = cost.as_counted_by("fvcore").parts
    assert (part.operator, part.why, part.theirs, part.ours) == (
        "aten.scaled_dot_product_attention",
        "attention is not seen",
        0,
        144 + 18,  # and the scaling of 18 scores
    )


def test_an_lstm() -> None:
    """5 steps of a batch of 2, from 3 to 4 units: 4 * 4 rows of 3 + 4 weights, and two biases of 16."""
    cost = counted(nn.Sequential(nn.LSTM(3, 4)), torch.randn(5, 2, 3))
    assert cost.macs == 10 * 112
    assert totals(cost) == {
        "fvcore": 0,
        "ptflops": 10 * (112 + 10 * 4 + 32) // 5,  # its batch is the first axis, that of the steps
        "thop": 10 * (112 + 8 * 4 + 32),
        "torchinfo": 10 * (112 + 32),
        "calflops": 10 * (2 * (112 - 2 * 16 + 16) + 10 * 4 + 32),
        "torch": 2 * 10 * 112,
    }


def test_interpolation() -> None:
    class Larger(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, size=(6, 6), mode="bilinear")

    cost = counted(Larger(), torch.randn(2, 3, 3, 3))
    assert totals(cost) == {
        "fvcore": 4 * 216, "ptflops": 216, "thop": 0, "torchinfo": 0, "calflops": 36, "torch": 0
    }  # fmt: skip
    layer = counted(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear")), torch.randn(2, 3, 3, 3))
    assert int(layer.as_counted_by("thop")) == 11 * 216
    assert int(layer.as_counted_by("ptflops")) == 108 // 2 + 216  # one of the batch of 2, and the function in it
    assert int(layer.as_counted_by("calflops")) == 54  # the input


def test_a_padding_that_is_called_same() -> None:
    layers = [nn.Conv2d(2, 4, size, padding="same") for size in (3, 2)]
    odd, even = (counted(nn.Sequential(layer), torch.randn(1, 2, 5, 5)) for layer in layers)
    assert int(odd.as_counted_by("fvcore")) == int(even.as_counted_by("fvcore")) == 0  # another operator there
    assert int(odd.as_counted_by("calflops")) == 25 * (2 * 72 + 4)
    assert int(even.as_counted_by("calflops")) == 16 * (2 * 32 + 4)  # it pads both sides alike, and here by nothing


def test_a_transposed_convolution_with_a_bias_in_calflops() -> None:
    cost = counted(nn.Sequential(nn.ConvTranspose2d(4, 2, 2, stride=2)), torch.randn(1, 4, 3, 3))
    assert int(cost.as_counted_by("calflops")) == 576 + 2  # (3 - 2) // 2 + 1 places, one of 36, of 2 channels


class Spelled(nn.Module):
    """The same sum in three spellings, and the same product."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.add(x, x).add(x) + x
        return torch.matmul(x, x).matmul(x) @ x


@pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
def test_an_operator_of_python_is_not_the_function(tracer: str) -> None:
    cost = counted(Spelled(), torch.randn(3, 3), tracer=tracer)
    assert int(cost.as_counted_by("ptflops")) == 2 * 9 + 2 * 27
    assert int(cost.as_counted_by("calflops")) == 2 * 9 + 2 * 54
    assert int(cost.as_counted_by("fvcore")) == 3 * 27


class Added(nn.Module):
    """Sums that nobody calls by name."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        return sum([x, x]) + self.parameter * x


@pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
def test_what_python_adds_is_an_operator(tracer: str) -> None:
    assert int(counted(Added(), torch.randn(3), tracer=tracer).as_counted_by("ptflops")) == 0


def test_a_product_with_a_vector_in_torch() -> None:
    class Products(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.matmul(x, x[0]) + torch.matmul(x[0], x)

    assert int(counted(Products(), torch.randn(3, 3)).as_counted_by("torch")) == 18  # an mv has no formula


def test_an_einsum_is_rounded() -> None:
    class Sums(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bhij,bhkj->bhik", x, x)

    cost = counted(Sums(), torch.randn(3, 7, 11, 13))
    assert cost.macs == 21 * 11 * 11 * 13 == 33033
    assert int(cost.as_counted_by("calflops")) == 66070  # 66,067 to four digits
    assert int(cost.as_counted_by("fvcore")) == 33035
    assert int(cost.as_counted_by("torch")) == 66066


def test_the_parts_add_up() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5), nn.Softmax(1)
    )
    cost = counted(model, torch.randn(3, 2, 5, 5))
    for convention in ("multiplications", "arithmetic"):
        for tool in TOOLS:
            count = cost.under(convention).as_counted_by(tool)
            assert sum(part.theirs for part in count.parts) == count.total
            assert sum(part.ours for part in count.parts) == cost.under(convention).flops
            assert sum(part.difference for part in count.parts) == count.difference


def test_a_layer_that_is_the_model_and_one_with_a_hook() -> None:
    x = torch.randn(2, 3)
    alone, hooked = nn.Linear(3, 5), nn.Sequential(nn.Linear(3, 5))
    hooked[0].register_forward_hook(lambda module, args, result: None)
    assert totals(counted(alone, x)) == totals(counted(hooked, x)) == totals(counted(nn.Sequential(alone), x))


def test_a_class_of_the_same_name_is_another() -> None:
    class Linear(nn.Linear):
        pass

    cost = counted(nn.Sequential(Linear(3, 5)), torch.randn(2, 3))
    assert int(cost.as_counted_by("thop")) == int(cost.as_counted_by("ptflops")) == 0
    assert int(cost.as_counted_by("torchinfo")) == 2 * 20


def test_a_tied_weight_is_counted_where_it_is_used() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert int(counted(model, torch.randn(1, 4)).as_counted_by("torchinfo")) == 32


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="no rule is known of 'other'; those of fvcore, ptflops"):
        CONVOLUTION.as_counted_by("other")
    sizes = count_graph(nn.Linear(3, 5), torch.randn(2, 3), dynamic_shapes=({0: "batch"},))
    with pytest.raises(InputError, match=r"cost.at\(batch=...\)"):
        sizes.as_counted_by("torch")
    assert int(sizes.at(batch=4).as_counted_by("torch")) == 120
    encoder = counted(nn.Sequential(nn.TransformerEncoderLayer(4, 2)), torch.randn(3, 1, 4))
    with pytest.raises(InputError, match="TransformerEncoderLayer"):
        encoder.as_counted_by("thop")
    shared = nn.ReLU()
    twice = counted(nn.Sequential(nn.Sequential(shared), nn.Sequential(shared)), torch.randn(2, 3))
    for tool in ("thop", "ptflops", "torchinfo", "calflops"):
        with pytest.raises(InputError, match="several"):
            twice.as_counted_by(tool)


def test_a_module_that_the_model_does_not_hold_is_refused() -> None:
    class Outside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return LOOSE(x)

    with pytest.raises(InputError, match="none that it holds"):
        counted(Outside(), torch.randn(2, 3)).as_counted_by("ptflops")


LOOSE = nn.ReLU()


def test_a_restored_count_knows_operators_only() -> None:
    restored = GraphCost.from_json(CONVOLUTION.to_json())
    assert int(restored.as_counted_by("torch")) == 1296
    for tool in ("thop", "fvcore"):  # which asks a convolution how it is padded
        with pytest.raises(FxcountError, match="restored"):
            restored.as_counted_by(tool)


def test_the_table() -> None:
    text = str(CONVOLUTION.as_counted_by("ptflops").table(width=80))
    assert "aten.conv2d" in text
    assert "+36" in text
    assert "biases" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert repr(CONVOLUTION.as_counted_by("ptflops")).startswith("ToolCount(ptflops: 684")
    assert CONVOLUTION.as_counted_by("ptflops").to_dict()["difference"] == 36
