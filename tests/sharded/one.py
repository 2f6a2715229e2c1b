"""Counts one split of the model in a process of its own, and prints what it found as JSON."""

import json
import resource
import sys
import time
import warnings
from functools import partial

import torch

from fxcount import count_graph, count_memory
from fxcount.cli.split_models import parse_mesh, split_over


def main(mesh: str, tokens: int) -> None:
    import transformers

    warnings.simplefilter("ignore")
    config = transformers.LlamaConfig(
        hidden_size=16384,
        intermediate_size=53248,
        num_hidden_layers=126,
        num_attention_heads=128,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
        ids = torch.ones(1, tokens, dtype=torch.long)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with split_over(parse_mesh(mesh) if mesh else {}, model):
        cost = count_graph(model, {"input_ids": ids, "use_cache": False}, backward=True)
        # One parameter after the other: torch refuses all at once where some are split, as by tp alone, and some not.
        make = partial(torch.optim.AdamW, foreach=False)
        memory = count_memory(model, {"input_ids": ids, "use_cache": False}, optimizer=make)
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert cost.backward is not None
    found = {"params": cost.params, "macs": cost.macs, "backward": cost.backward.macs, "uncounted": cost.uncounted}
    print(
        json.dumps(
            {**found, "sent": cost.communication.by_axis(), "held": memory.at_peak, "seconds": seconds, "grown": grown}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
