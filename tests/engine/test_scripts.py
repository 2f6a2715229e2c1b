"""What a script computes beside the dispatcher is named as uncounted, and nothing else of a script is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost, UncountedError, count_graph
from fxcount.engine.scripts import beside_the_dispatcher

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE = torch.randn(1, 3, 8, 8)


def optimised(*layers: nn.Module) -> torch.jit.ScriptModule:
    return torch.jit.optimize_for_inference(torch.jit.script(nn.Sequential(*layers).eval()))


@pytest.mark.parametrize("tracer", ["auto", "executed"])
@pytest.mark.parametrize(
    ("layers", "uncounted"),
    [
        ((nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), {"prim.mkldnn_convolution": 2}),
        (
            (nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 3), nn.ReLU6()),
            {"prim.mkldnn_convolution": 2, "prim.MKLDNNHardSwish_": 1, "prim.MKLDNNHardTanh_": 1},
        ),
        (
            (nn.Conv2d(3, 4, 3, groups=1), nn.BatchNorm2d(4), nn.Hardsigmoid(), nn.AdaptiveAvgPool2d(1)),
            {"prim.mkldnn_convolution": 1, "prim.MKLDNNHardSigmoid_": 1},
        ),
    ],
)
def test_what_an_optimiser_puts_in_the_place_of_operators(
    layers: tuple[nn.Module, ...], uncounted: dict[str, int], tracer: str
) -> None:
    script = optimised(*layers)
    assert count_graph(script, IMAGE, tracer=tracer).uncounted == uncounted
    with pytest.raises(UncountedError, match=r"prim\.mkldnn_convolution"):
        count_graph(script, IMAGE, tracer=tracer, strict=True)


def test_a_part_of_a_model() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), optimised(nn.Conv2d(3, 4, 3)), nn.Conv2d(4, 2, 1))
    cost = count_graph(model, IMAGE)
    assert cost.macs == 64 * 9 + 36 * 8
    assert cost.uncounted == {"prim.mkldnn_convolution": 1}
    assert "prim.mkldnn_convolution\n  not counted: a script computes it" in cost.explain("1")


class Branches(nn.Module):
    """A branch, a loop, containers, Python's abs, and a task of its own: all of them are seen or cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor, deep: bool) -> dict[str, Tensor]:
        task = torch.jit.fork(self.layer, x)
        if deep:
            for _ in range(2):
                x = self.layer(x)
        parts = [abs(x), torch.jit.wait(task)]
        return {"y": torch.cat(parts), "length": torch.tensor(len(parts))}


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_all_else_of_a_script_is_seen(tracer: str) -> None:
    script = torch.jit.script(Branches())
    assert beside_the_dispatcher(script) == ()
    cost = count_graph(script, (torch.randn(3, 4), True), tracer=tracer, strict=True)
    assert cost.total == Cost(macs=3 * 48, add=3 * 12, cmp=12)


def test_memory_that_a_script_lends_is_not_put_back() -> None:
    """It is freed by then: a copy into it would end the process, soon or late."""
    for _ in range(40):
        count_graph(optimised(nn.Conv2d(3, 4, 3), nn.ReLU6()), IMAGE, tracer="executed")


def test_what_such_a_script_overwrites_is_put_back() -> None:
    script, x = optimised(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)), torch.randn(1, 3, 8, 8)
    before = x.clone()
    count_graph(script, x, tracer="executed")
    assert torch.equal(x, before)
