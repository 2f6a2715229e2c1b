"""What a generation is held to: all its steps counted, and a real run of ``generate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fxcount import GraphCost, count_generation, count_graph
from fxcount.generation import CachedCalls, GenerationCost
from tests.serving.families import VOCABULARY, model_of

PROMPT, GENERATE, BATCH = 9, 14, 2


class Loop(nn.Module):
    """The prefill and all steps, one after the other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.calls = CachedCalls(model)

    def forward(self, prompt: torch.Tensor, token: torch.Tensor) -> Any:
        cache = self.calls.prefill(prompt, {})
        for _ in range(GENERATE - 1):
            cache = self.calls.step(token, cache)
        return cache


def counted_steps(model: nn.Module) -> GraphCost:
    """The costs of all steps, each counted."""
    return count_graph(Loop(model), CachedCalls.example(BATCH, PROMPT))


def real_macs(model: Any) -> int:
    """What torch's own counter sees of ``generate`` of transformers, on data, with experts as they are chosen there."""
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    prompt = torch.randint(3, VOCABULARY, (BATCH, PROMPT))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=GENERATE,
            min_new_tokens=GENERATE,
            do_sample=False,
            pad_token_id=0,
        )
    return counter.get_total_flops() // 2


def in_closed_form(model: nn.Module) -> GenerationCost:
    return count_generation(model, PROMPT, GENERATE, batch=BATCH)


@dataclass(frozen=True)
class Held:
    """One family, held to both."""

    family: str
    counted: GenerationCost
    loop: GraphCost
    real: int

    @property
    def is_sum(self) -> bool:
        """Whether every field, and the bytes, are those of the counted steps."""
        whole = self.counted.whole
        return whole.cost == self.loop.total and whole.traffic == self.loop.traffic


def held(family: str) -> Held:
    model = model_of(family)
    return Held(family, in_closed_form(model), counted_steps(model), real_macs(model))
