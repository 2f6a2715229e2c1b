"""What a count costs as models grow: time by depth and by steps, time by batch size, and memory."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn

from fxcount import count_graph
from tests.benchmarks.models import llama_32_layers
from tests.benchmarks.new_process import run_python
from tests.benchmarks.processes import timed

LAYERS = (500, 1000, 2000, 4000, 8000, 16_000)
STEPS = (250, 500, 1000, 2000)


def time_by_depth(rounds: int) -> dict[int, float]:
    """The seconds for a network of so many layers, no two alike."""
    return _best(LAYERS, _deep, rounds)


def time_by_steps(rounds: int) -> dict[int, float]:
    """The seconds for a recurrent loop in Python over so many steps."""
    return _best(STEPS, _recurrent, rounds)


def _best(sizes: Sequence[int], prepare: Callable[[int], Callable[[], object]], rounds: int) -> dict[int, float]:
    """The seconds for each size, which doubles from one to the next: the mean over a round, of the best round.

    In a round every size is run as often as makes the largest, evenly spread, so that what slows the machine down for
    a while slows all of them alike. (Of many short runs the best would be lucky, and of few long ones it cannot be.)
    """
    runs = {size: prepare(size) for size in sizes}
    smallest, largest = min(sizes), max(sizes)
    for run in runs.values():
        run()
    gc.freeze()  # or each collection before a run would go through all models
    times: dict[int, list[float]] = {size: [] for size in sizes}
    try:
        for _ in range(rounds):
            of_round: dict[int, list[float]] = {size: [] for size in sizes}
            for turn in range(largest // smallest):
                for size, run in runs.items():
                    every = size // smallest
                    if turn % every == every // 2:
                        of_round[size].append(timed(run))
            for size, each in of_round.items():
                times[size].append(mean(each))
    finally:
        gc.unfreeze()
    return {size: min(each) for size, each in times.items()}


def _deep(layers: int) -> Callable[[], object]:
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(8 + i, 9 + i) for i in range(layers)))
    return lambda: count_graph(model, torch.empty(1, 8, device="meta"))


class Recurrent(nn.Module):
    """An LSTM cell that a loop in Python calls for every step of [steps, batch, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x:
            state = self.cell(step, state)
        return state[0]


def _recurrent(steps: int) -> Callable[[], object]:
    with torch.device("meta"):
        model = Recurrent()
    return lambda: count_graph(model, torch.empty(steps, 4, 32, device="meta"))


def time_by_batch(rounds: int, batches: Sequence[int] = (1, 64)) -> dict[str, float]:
    """The seconds for resnet50 without weights, and with weights at each batch size."""
    import timm

    with torch.device("meta"):
        without = timm.create_model("resnet50").eval()
    with_weights = timm.create_model("resnet50").eval()
    runs: dict[str, Callable[[], object]] = {
        "on meta, batch 1": partial(count_graph, without, torch.empty(1, 3, 224, 224, device="meta"))
    }
    for batch in batches:
        runs[f"real weights, batch {batch}"] = partial(count_graph, with_weights, torch.zeros(batch, 3, 224, 224))
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(timed(run))
    return {name: min(each) for name, each in times.items()}


def time_in_symbols(rounds: int) -> dict[str, float]:
    """The seconds for a decoder of 32 layers in numbers, and in batch and length as symbols, by turns."""
    model, tokens = llama_32_layers("meta")
    runs: dict[str, Callable[[], object]] = {
        "in numbers": partial(count_graph, model, tokens),
        "in batch and length": partial(count_graph, model, tokens, dynamic_shapes=({0: "batch", 1: "length"},)),
    }
    for run in runs.values():
        run()
    times = {name: [timed(run) for _ in range(rounds)] for name, run in runs.items()}
    return {name: min(each) for name, each in times.items()}


def memory_of_llama_405b() -> int:
    """The bytes by which resident memory grows, at its peak, while Llama-3.1-405B's configuration is counted."""
    return int(run_python(["-c", "from tests.benchmarks import limits; print(limits.count_llama_405b())"]))


def count_llama_405b() -> int:
    """Counts one sequence of 8,192 tokens in this process; returns the growth of its resident memory in bytes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=16_384,
        intermediate_size=53_248,
        num_hidden_layers=126,
        num_attention_heads=128,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config).eval()
    ids = torch.zeros(1, 8192, dtype=torch.long)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _resident("VmRSS")
    count_graph(model, {"input_ids": ids, "use_cache": False})
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
