"""A decoder of Hugging Face, reading a prompt and taking one step with a key-value cache, against the cost by hand."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from fxcount import Cost, count_graph

WIDTH, INNER, LAYERS, HEADS, KEY_HEADS, VOCABULARY = 8, 12, 2, 4, 2, 11
HEAD = WIDTH // HEADS
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY,
    hidden_size=WIDTH,
    intermediate_size=INNER,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=KEY_HEADS,
    max_position_embeddings=32,
    tie_word_embeddings=False,
    attn_implementation="sdpa",
)


def decoder(device: str) -> LlamaForCausalLM:
    with torch.device(device):
        return LlamaForCausalLM(CONFIG).eval()


def filled_cache(length: int, device: str) -> DynamicCache:
    cache = DynamicCache(config=CONFIG)
    for layer in range(LAYERS):
        keys, values = (torch.randn(1, KEY_HEADS, length, HEAD, device=device) for _ in range(2))
        cache.update(keys, values, layer)
    return cache


def by_hand(tokens: int, keys: int) -> Cost:
    """The cost of ``tokens`` new tokens of one sequence that attend to ``keys`` keys each."""
    projections = WIDTH * (HEADS * HEAD) * 2 + WIDTH * (KEY_HEADS * HEAD) * 2
    mlp = 3 * WIDTH * INNER
    linears = Cost(macs=tokens * (LAYERS * (projections + mlp) + WIDTH * VOCABULARY))

    scores = HEADS * tokens * keys
    attention = Cost(  # the scale, and a softmax over the keys
        macs=scores * 2 * HEAD,
        mul=scores,
        cmp=scores - HEADS * tokens,
        add=scores + scores - HEADS * tokens,
        special=scores,
        div=scores,
    )
    # x.pow(2).mean(-1), + eps, rsqrt, times x, times weight
    norm = tokens * Cost(mul=3 * WIDTH, add=WIDTH - 1 + 1, div=1, special=1)
    # Angles of half a head; cos and sin of a whole one, each times the attention scaling.
    angles = tokens * Cost(mul=HEAD // 2 + 2 * HEAD, special=2 * HEAD)
    rotated = tokens * (HEADS + KEY_HEADS) * HEAD
    rotation = Cost(mul=2 * rotated, add=rotated, cmp=rotated // 2)  # x cos + rotate_half(x) sin, half of it negated
    activation = tokens * INNER * Cost(special=1, add=1, div=1, mul=1 + 1)  # silu(gate) * up
    residuals = Cost(add=2 * tokens * WIDTH)
    layer = attention + 2 * norm + rotation + activation + residuals
    return linears + angles + LAYERS * layer + norm


@pytest.mark.parametrize(
    ("device", "tracer"),
    [("cpu", "auto"), ("meta", "auto"), ("cpu", "recorded"), ("meta", "recorded"), ("cpu", "executed")],
)
def test_one_step_with_a_cache(device: str, tracer: str) -> None:
    cache = filled_cache(5, device)
    inputs = {"input_ids": torch.tensor([[3]]), "past_key_values": cache, "use_cache": True}
    cost = count_graph(decoder(device), inputs, tracer=tracer)
    assert cost.total == by_hand(tokens=1, keys=6)
    assert cost.uncounted == {}
    # The cache is as it was: five steps, and tensors with their values.
    assert cache.get_seq_length() == 5
    assert all(layer.keys.device.type == device for layer in cache.layers)
    assert count_graph(decoder(device), inputs, tracer=tracer).total == cost.total


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_prompt(device: str) -> None:
    inputs = {"input_ids": torch.tensor([[3, 1, 4, 1, 5, 9, 2]]), "use_cache": False}
    assert count_graph(decoder(device), inputs).total.macs == by_hand(tokens=7, keys=7).macs
    masked = {**inputs, "attention_mask": torch.ones(1, 7, dtype=torch.long)}
    assert count_graph(decoder(device), masked).total.macs == by_hand(tokens=7, keys=7).macs


def test_the_graph_of_a_step_gives_the_models_logits() -> None:
    model, cache = decoder("cpu"), filled_cache(5, "cpu")
    inputs = {"input_ids": torch.tensor([[3]]), "past_key_values": cache, "use_cache": True}
    graph = count_graph(model, inputs).graph
    graph.graph.lint()
    with torch.no_grad():
        logits = graph(torch.tensor([[3]])).logits
        torch.testing.assert_close(logits, model(**inputs).logits)
