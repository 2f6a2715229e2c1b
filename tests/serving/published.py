"""What is published of large language models, and what is counted of them from their configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import nn

from fxcount import GraphCost, count_generation, count_graph

LENGTH = 4096
"""The length of the sequences for which figures of training are published."""

LLAMA: dict[str, Any] = {"num_key_value_heads": 8}
LLAMA_2_70B = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64}
LLAMA_3_8B = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
LLAMA_3_405B = {"hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126, "num_attention_heads": 128}

MODELS: Mapping[str, Callable[[], Any]] = {
    "Llama-2-70B": lambda: transformers.LlamaConfig(**LLAMA, **LLAMA_2_70B, vocab_size=32000),
    "Llama-3.1-8B": lambda: transformers.LlamaConfig(**LLAMA, **LLAMA_3_8B, vocab_size=128256),
    "Llama-3.1-405B": lambda: transformers.LlamaConfig(**LLAMA, **LLAMA_3_405B, vocab_size=128256),
    "Mixtral 8x7B": lambda: transformers.MixtralConfig(),  # whose defaults are this model's
    "DeepSeek-V3": lambda: transformers.DeepseekV3Config(),
}


@dataclass(frozen=True)
class Published:
    """A figure, in the digits that are published."""

    model: str
    quantity: str
    figure: str
    source: str
    note: str = ""
    """What the difference is."""


PARAMETERS, ACTIVE, CACHE, TRAINING, STEP = (
    "parameters",
    "active parameters for each token",
    "bytes of cache for each token, bfloat16",
    "FLOPs of training for each token, attention half",
    "FLOPs of training for each token, no attention",
)

LLAMA_PAPER = "Dubey et al., 2024, The Llama 3 herd of models"
INSIGHTS = "Zhao et al., 2025, Insights into DeepSeek-V3, tables 1 and 2"
REPORT = "DeepSeek-AI, 2024, DeepSeek-V3 technical report"
MISTRAL = "Mistral AI, December 2023, Mixtral of experts"

FIGURES = (
    Published("Llama-2-70B", PARAMETERS, "70 B", "Touvron et al., 2023, Llama 2", "a name: it has 69.0 B"),
    Published("Llama-3.1-8B", PARAMETERS, "8.03 B", "the model's card"),
    Published("Llama-3.1-405B", PARAMETERS, "405 B", LLAMA_PAPER, "405.9, cut and not rounded"),
    Published("Llama-3.1-405B", CACHE, "516.096 K", INSIGHTS),
    Published(
        "Llama-3.1-405B", TRAINING, "2448 G", INSIGHTS,
        "published is what the weights cost and a quarter of all scores, 25.4 G, where half of them are 50.7 G",
    ),
    Published(
        "Llama-3.1-405B", STEP, "2436 G", LLAMA_PAPER,
        "3.8 · 10²⁵ over 15.6 · 10¹² tokens: six for each parameter, those of the embedding, which is looked up, too",
    ),
    Published("Mixtral 8x7B", PARAMETERS, "46.7 B", MISTRAL),
    Published("Mixtral 8x7B", ACTIVE, "12.9 B", MISTRAL),
    Published("DeepSeek-V3", PARAMETERS, "671 B", REPORT),
    Published("DeepSeek-V3", ACTIVE, "37 B", REPORT, "37.6, cut and not rounded"),
    Published("DeepSeek-V3", CACHE, "70.272 K", INSIGHTS),
    Published("DeepSeek-V3", TRAINING, "250 G", INSIGHTS),
)  # fmt: skip

UNITS = {"K": 10**3, "G": 10**9, "B": 10**9}


class Counted:
    """What is counted of one of these models."""

    def __init__(self, name: str) -> None:
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(MODELS[name](), dtype=torch.bfloat16)
        assert isinstance(model, nn.Module)
        self.model = model.eval()

    @cached_property
    def training(self) -> GraphCost:
        """A forward and a backward pass of one sequence."""
        given = {"input_ids": torch.ones(1, LENGTH, dtype=torch.int64), "use_cache": False}
        return count_graph(self.model, (), given, backward=True)

    def of(self, quantity: str) -> float:
        """The number of a quantity."""
        return {PARAMETERS: self.parameters, ACTIVE: self.active, CACHE: self.cache}.get(
            quantity, self.trained(quantity)
        )()

    def parameters(self) -> float:
        return sum(each.numel() for each in self.model.parameters())

    def active(self) -> float:
        """The weights that a token meets in products, the table that it is looked up in, and all vectors."""
        met = self._forward("aten.linear", "aten._grouped_mm") / LENGTH
        table: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        return met + table.weight.numel() + sum(each.numel() for each in self.model.parameters() if each.dim() == 1)

    def cache(self) -> float:
        counted = count_generation(self.model, 16, 3)
        assert counted.first is not None
        assert counted.last is not None
        return counted.last.cache - counted.first.cache

    def trained(self, quantity: str) -> Callable[[], float]:
        """Two for each multiply-accumulate of both passes, with the scores of which no token comes after another one,
        or without any."""
        return lambda: 2 * (self._both() - self._scores() * (1 if quantity == STEP else 0.5)) / LENGTH

    def _both(self) -> float:
        assert self.training.backward is not None
        return self.training.macs + self.training.backward.macs

    def _scores(self) -> float:
        """What attention costs in both passes; its gradient is as many products again, twice."""
        return 3 * self._forward("aten.scaled_dot_product_attention")

    def _forward(self, *names: str) -> int:
        return sum(each.operator.cost.macs for each in self.training.operator_calls if each.operator.name in names)


def is_exact(figure: str, number: float) -> bool:
    """Whether a number is the figure, in the digits that it has."""
    digits, unit = figure.split()
    places = len(digits.partition(".")[2])
    return f"{number / UNITS[unit]:.{places}f}" == digits
