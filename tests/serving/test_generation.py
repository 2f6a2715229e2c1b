"""What a generation costs: the closed form, the cache, memory, time, and what cannot be counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fxcount import Device, InputError, count_generation, count_memory
from fxcount.analyses.generation import Step, StepCall, stretches
from fxcount.cost import FIELDS
from fxcount.generation import CachedCall
from tests.serving.families import CONFIGURATIONS, VOCABULARY, model_of
from tests.serving.held import BATCH, GENERATE, PROMPT, counted_steps, in_closed_form, real_macs
from tests.views.tower import mystery

LAYERS, KEY_HEADS, WIDTH, INNER = 2, 2, 32, 48


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_the_closed_form_is_the_sum_of_counted_steps(family: str) -> None:
    model = model_of(family)
    whole, loop = in_closed_form(model).whole, counted_steps(model)
    assert whole.cost == loop.total
    assert whole.traffic == loop.traffic


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_generate_of_transformers_computes_as_much(family: str) -> None:
    model = model_of(family)
    assert in_closed_form(model).whole.cost.macs == real_macs(model)


def test_a_decoder_by_hand() -> None:
    """A token costs so much in the layers and in the head of logits, and so much for each key; of the prompt only the
    last token has logits, and all pairs of tokens are scored."""
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama())).eval()
    counted = count_generation(model, 10, 4, batch=3)
    layers = LAYERS * (2 * WIDTH * WIDTH + 2 * WIDTH * WIDTH // 2 + 3 * WIDTH * INNER)
    head, pair = WIDTH * VOCABULARY, LAYERS * 2 * WIDTH
    assert counted.prefill.cost.macs == 3 * (10 * layers + 100 * pair + head)
    steps = [3 * (layers + (past + 1) * pair + head) for past in (10, 11, 12)]
    assert counted.first is not None
    assert counted.last is not None
    assert (counted.first.cost.macs, counted.last.cost.macs) == (steps[0], steps[-1])
    assert counted.whole.cost.macs == counted.prefill.cost.macs + sum(steps)
    assert (counted.steps, counted.whole.calls, counted.whole.tokens) == (3, 4, 4)
    (stretch,) = counted.stretches
    assert stretch.lines["macs"] == (3 * (layers + pair + head), 3 * pair)
    text = (
        f"With n tokens in the cache, from 10 to 12, a step takes {3 * (layers + pair + head):,} + {3 * pair} n MACs."
    )
    assert text in counted.table()
    assert counted.to_dict()["stretches"][0]["macs"] == [3 * (layers + pair + head), 3 * pair]


def llama(**others: Any) -> dict[str, Any]:
    return {
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": KEY_HEADS,
        "vocab_size": VOCABULARY,
        **others,
    }


F4 = 4


@pytest.mark.parametrize(
    ("family", "sizes"),
    {
        # two vectors for each of two layers and two groups of heads of eight features
        "llama": [BATCH * F4 * 2 * 2 * 2 * 8 * tokens for tokens in (9, 10, 22)],
        # no more than the window, whose length each layer holds too
        "mistral": [2 * (BATCH * F4 * 2 * 2 * 8 * min(tokens, 16) + 8) for tokens in (9, 10, 22)],
        # one layer that sees all, and one that sees a window
        "gemma2": [BATCH * F4 * 2 * 2 * 8 * (tokens + min(tokens, 16)) + 8 for tokens in (9, 10, 22)],
        # a latent vector of 12, and a key of 4 for all heads
        "deepseek_v3": [BATCH * F4 * 2 * (12 + 4) * tokens for tokens in (9, 10, 22)],
        # the last four inputs of each of 64 channels, and a state of eight for each
        "mamba": [BATCH * F4 * 2 * 64 * (4 + 8)] * 3,
    }.items(),
)
def test_the_cache_by_hand(family: str, sizes: list[int]) -> None:
    counted = in_closed_form(model_of(family))
    assert [part.cache for part in counted.parts.values()] == [*sizes, sizes[-1]]


def test_memory_is_that_of_the_calls_alone() -> None:
    """A step holds the ids of the prompt beside what it is given, and a prefill the token after it."""
    model: Any = model_of("llama")
    counted = in_closed_form(model)
    assert counted.last is not None
    prompt = torch.ones(BATCH, PROMPT, dtype=torch.int64)
    prefill = count_memory(model, (), {"input_ids": prompt, "use_cache": True, "logits_to_keep": 1})
    assert counted.prefill.memory == prefill.peak + 8 * BATCH
    with torch.no_grad():
        cache = CachedCall(model)(torch.ones(BATCH, PROMPT + GENERATE - 2, dtype=torch.int64), {})
    token = torch.ones(BATCH, 1, dtype=torch.int64)
    step = count_memory(model, (), {"input_ids": token, "use_cache": True, **cache})
    assert counted.last.memory == step.peak + 8 * BATCH * (PROMPT + GENERATE - 3)
    assert counted.whole.memory == max(counted.prefill.memory, counted.last.memory)
    assert counted.parameters == sum(each.nbytes for each in (*model.parameters(), *model.buffers()))


SLOW = Device("slow", {torch.float32: 1e9}, bandwidth=1e9, memory=10**6)


def test_times_and_rates() -> None:
    """A step on a device whose memory is the bottleneck takes its bytes over the bandwidth."""
    counted = count_generation(model_of("llama"), PROMPT, GENERATE, batch=BATCH, device=SLOW)
    for part in counted.parts.values():
        assert part.time is not None
        assert part.fused is not None
        assert part.fused.seconds <= part.time.seconds * (1 + 1e-9)
        assert part.time.seconds * 1e9 >= part.traffic.total * (1 - 1e-9)
    bound = Device("no arithmetic", {torch.float32: 1e30}, bandwidth=1e9)
    counted = count_generation(model_of("llama"), PROMPT, GENERATE, batch=BATCH, device=bound)
    seconds = counted.whole.traffic.total / 1e9
    assert counted.whole.time is not None
    assert counted.whole.time.seconds == pytest.approx(seconds)
    assert counted.tokens_per_second() == pytest.approx(BATCH * GENERATE / seconds)
    assert counted.tokens_per_second("prefill") == pytest.approx(BATCH * PROMPT / counted.prefill.traffic.total * 1e9)


def test_what_does_not_fit_has_no_rate() -> None:
    model = model_of("llama")
    peak = in_closed_form(model).whole.memory
    fits, small = (Device("d", {torch.float32: 1e9}, 1e9, memory=size) for size in (peak, peak - 2048))
    counted = count_generation(model, PROMPT, GENERATE, batch=BATCH, device=fits)
    assert counted.missing == 0
    assert "tokens/s" in str(counted)
    counted = count_generation(model, PROMPT, GENERATE, batch=BATCH, device=small)
    assert counted.missing == 2048
    assert counted.tokens_per_second() is None
    assert "tokens/s" not in str(counted)
    assert "2.0 KiB too little, so no rate is given." in counted.table()
    assert counted.to_dict()["parts"]["whole"]["tokens_per_second"] is None


def test_one_token_needs_no_step() -> None:
    counted = count_generation(model_of("gpt2"), PROMPT, 1)
    assert list(counted.parts) == ["prefill", "whole"]
    assert counted.whole.cost == counted.prefill.cost
    assert (counted.first, counted.steps) == (None, 0)


def test_two_tokens_need_one() -> None:
    counted = count_generation(model_of("gpt2"), PROMPT, 2)
    assert counted.first == counted.last
    assert counted.first is not None
    assert counted.whole.cost == counted.prefill.cost + counted.first.cost


class Stateless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.embedding(input_ids)
        return out


@pytest.mark.parametrize(
    ("model", "numbers", "message"),
    [
        (model_of("llama").model, (9, 4), "LlamaModel returns no logits: take the model that has a head for them"),
        (nn.Linear(3, 4), (9, 4), "a language model takes input_ids, and Linear does not"),
        (Stateless(), (9, 4), "Stateless returns no cache by the name of an argument"),
        (Stateless(), (0, 4), "prompt is a positive number of tokens or sequences, not 0"),
        (Stateless(), (9, 1.5), r"generate is a positive number of tokens or sequences, not 1\.5"),
    ],
)
def test_what_cannot_be_counted_is_said(model: Any, numbers: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_generation(model, *numbers)


class Mysterious(nn.Module):
    """A language model with an operator that has no formula."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 4)

    def forward(self, input_ids: torch.Tensor, cache: Any = None) -> dict[str, torch.Tensor]:
        features = mystery(self.embedding(input_ids))
        return {"logits": features, "cache": features if cache is None else torch.cat([cache, features], 1)}


def test_what_is_not_counted_is_named() -> None:
    counted = count_generation(Mysterious(), 9, 4)
    assert counted.uncounted == ("fxcount_views.mystery",)
    assert "Not counted: fxcount_views.mystery." in counted.table()


def test_an_encoder_is_refused_and_train_mode_is_said() -> None:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "vocab_size": VOCABULARY}
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes))
    with pytest.raises(InputError, match="of decoders, and T5ForConditionalGeneration has an encoder too"):
        count_generation(model, 9, 4)
    assert "of GPT2LMHeadModel in float32, train mode" in count_generation(model_of("gpt2").train(), 9, 4).table()


def test_unknown_devices_are_refused_before_anything_is_counted() -> None:
    with pytest.raises(InputError, match="unknown device 'H1000'"):
        count_generation(Stateless(), 9, 4, device="H1000")


def test_the_table_fits_and_says_what_it_is_of() -> None:
    counted = count_generation(model_of("llama"), PROMPT, GENERATE, batch=BATCH, device="H100 SXM")
    for width in (80, 120):
        assert max(map(len, counted.table(width=width).splitlines())) <= width
    text = " ".join(counted.table().split())
    assert "2 sequences of LlamaForCausalLM in float32, eval mode: a prompt of 9 tokens and 14 more" in text
    assert f"The cache grows by {F4 * 2 * 2 * 2 * 8} bytes for each token of a sequence." in text
    assert json.loads(counted.to_json())["parts"]["whole"]["macs"] == counted.whole.cost.macs


def test_more_positions_than_the_model_has_are_said() -> None:
    config = transformers.LlamaConfig(**llama(max_position_embeddings=20))
    counted = count_generation(transformers.LlamaForCausalLM(config), 10, 11)
    assert "The model was made for 20 positions." in counted.table()


numbers = st.integers(0, 10**6)


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, numbers, st.integers(1, 300), st.integers(1, 200), st.integers(0, 400))
def test_a_bend_anywhere_is_found(start: int, slope: int, later: int, first: int, count: int, bend: int) -> None:
    """Numbers grow by one amount up to some length of the cache, and by another after it."""

    def number(past: int) -> int:
        return start + slope * min(past, bend) + later * max(past - bend, 0)

    def step(past: int) -> Step:
        call = StepCall("aten.linear", frozenset((torch.float32,)), (number(past),) * (len(FIELDS) + 2), number(past))
        return Step((call, call), number(past))

    last = first + count - 1
    found = stretches(step, first, last)
    assert [past for each in found for past in range(each.first, each.last + 1)] == [*range(first, last + 1)]
    assert sum(each.total[0].macs for each in found) == sum(2 * number(past) for past in range(first, last + 1))
    assert len(found) <= 2
    for each in found:
        for past in range(each.first, each.last + 1):
            (call, times), *others = each.at(past)[0].items()
            assert (call, times, others) == (step(past).calls[0], 2, [])
            assert each.at(past)[1] == number(past)
