"""Models and single operators: their time at best, and the time that they take."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from fxcount import GraphCost, count_graph
from fxcount.analyses.device import Device

SECONDS = 2.5
"""Each is run for about so long, and the best run counts."""


@dataclass(frozen=True)
class Measured:
    """One thing that was run."""

    name: str
    phase: str
    """``forward`` or ``backward``, which is both passes."""
    bound: float
    fused: float
    seconds: float
    binds: str
    """What binds the larger share of the bound: compute or memory."""

    @property
    def ratio(self) -> float:
        """The bound over the measured time; at most one, if it is a bound."""
        return self.bound / self.seconds


Maker = Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]


def _torchvision(name: str, side: int = 224, batch: int = 1) -> Maker:
    def make() -> tuple[nn.Module, tuple[Any, ...]]:
        import torchvision

        return getattr(torchvision.models, name)(), (torch.randn(batch, 3, side, side),)

    return make


def _timm(name: str, batch: int = 1) -> Maker:
    def make() -> tuple[nn.Module, tuple[Any, ...]]:
        import timm

        return timm.create_model(name), (torch.randn(batch, 3, 224, 224),)

    return make


class Logits(nn.Module):
    """A model of transformers on token ids alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids, use_cache=False)[0] if hasattr(self.model.config, "use_cache") else self.model(ids)[0]


def _transformers(kind: str, tokens: int, **options: Any) -> Maker:
    def make() -> tuple[nn.Module, tuple[Any, ...]]:
        import transformers

        config = getattr(transformers, f"{kind}Config")(**options)
        names = {"Bert": "BertModel", "GPT2": "GPT2LMHeadModel"}
        model = getattr(transformers, names.get(kind, f"{kind}ForCausalLM"))(config)
        return Logits(model), (torch.arange(tokens)[None] % 100,)

    return make


MODELS: dict[str, Maker] = {
    "resnet18": _torchvision("resnet18"),
    "resnet50": _torchvision("resnet50"),
    "resnet18, batch 8": _torchvision("resnet18", batch=8),
    "vgg11": _torchvision("vgg11"),
    "alexnet": _torchvision("alexnet"),
    "squeezenet1_1": _torchvision("squeezenet1_1"),
    "densenet121": _torchvision("densenet121"),
    "mobilenet_v3_large": _torchvision("mobilenet_v3_large"),
    "shufflenet_v2_x1_0": _torchvision("shufflenet_v2_x1_0"),
    "efficientnet_b0": _torchvision("efficientnet_b0"),
    "regnet_y_400mf": _torchvision("regnet_y_400mf"),
    "convnext_tiny": _torchvision("convnext_tiny"),
    "swin_t": _torchvision("swin_t"),
    "vit_b_16": _torchvision("vit_b_16"),
    "vit_tiny_patch16_224": _timm("vit_tiny_patch16_224"),
    "mixer_s32_224": _timm("mixer_s32_224"),
    "resnet18, 512 pixels": _torchvision("resnet18", side=512),
    "BERT base, 128 tokens": _transformers("Bert", 128),
    "a Llama of 8 layers, 256 tokens": _transformers(
        "Llama", 256, hidden_size=512, intermediate_size=1376, num_hidden_layers=8, num_attention_heads=8
    ),
    "GPT-2, 64 tokens": _transformers("GPT2", 64),
    "an LSTM of 512, 100 steps": lambda: (nn.LSTM(256, 512), (torch.randn(100, 4, 256),)),
}


def _of(function: Callable[..., Any], *shapes: Sequence[int]) -> Maker:
    return lambda: (function, tuple(torch.randn(*shape, requires_grad=True) for shape in shapes))


OPERATORS: dict[str, Maker] = {
    "a product of 1,024": _of(torch.mm, (1024, 1024), (1024, 1024)),
    "a convolution": _of(lambda x, w: F.conv2d(x, w, padding=1), (4, 64, 56, 56), (64, 64, 3, 3)),
    "attention": _of(F.scaled_dot_product_attention, *[(1, 8, 512, 64)] * 3),
    "a sum of two tensors": _of(torch.add, (4096, 4096), (4096, 4096)),
    "a layer norm": _of(lambda x: F.layer_norm(x, x.shape[-1:]), (4096, 1024)),
    "a softmax": _of(lambda x: x.softmax(-1), (4096, 1024)),
}


@dataclass(frozen=True)
class Run:
    """What was run, and counted."""

    name: str
    cost: GraphCost
    forward: float
    """The seconds of the fastest run without gradients."""
    trained: float
    """Those of both passes."""

    def on(self, device: Device) -> Iterator[Measured]:
        """The measured times beside the bounds on that device."""
        nodes = tuple(node._replace(backward_operators=None) for node in self.cost.nodes)
        alone = replace(self.cost, has_backward=False, nodes=nodes).roofline(device)
        whole = self.cost.roofline(device)
        yield Measured(self.name, "forward", alone.seconds, alone.fused_seconds, self.forward, alone.bound)
        yield Measured(self.name, "backward", whole.seconds, whole.fused_seconds, self.trained, whole.bound)


def measured(match: str = "") -> Iterator[Run]:
    """Every model and operator, without gradients and with the backward pass."""
    for name, make in {**MODELS, **OPERATORS}.items():
        if match not in name:
            continue
        torch.manual_seed(0)
        model, inputs = make()
        if isinstance(model, nn.Module):
            model.eval()
        cost = count_graph(model, inputs, backward=True)
        yield Run(name, cost, best(_forward(model, inputs)), best(_trained(model, inputs)))
        gc.collect()


def fastest(one: Device, other: Device) -> Device:
    """The higher rates of two measurements of the same machine."""
    peak = {dtype: max(rate, other.peak[dtype]) for dtype, rate in one.peak.items()}
    return replace(one, peak=peak, bandwidth=max(one.bandwidth, other.bandwidth))


def _forward(model: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return model(*inputs)

    return run


def _trained(model: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[[], object]:
    def run() -> object:
        out = model(*inputs)
        outputs = [
            each for each in ([out] if isinstance(out, torch.Tensor) else [out[0], *out[1]]) if each.requires_grad
        ]
        torch.autograd.backward(outputs, [torch.ones_like(each) for each in outputs])
        return None

    return run


def best(run: Callable[[], object]) -> float:
    """The seconds of the fastest run."""
    run()
    fastest, end = float("inf"), time.perf_counter() + SECONDS
    runs = 0
    while runs < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - started)
        runs += 1
    return fastest


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: that of the ranks, none of which are shared here."""
    ranks = [{value: place for place, value in enumerate(sorted(each))} for each in (one, other)]
    squares = sum((ranks[0][a] - ranks[1][b]) ** 2 for a, b in zip(one, other, strict=True))
    return 1 - 6 * squares / (len(one) * (len(one) ** 2 - 1))
