"""The memory of a model of 405 billion parameters, and what finding it out takes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, os, time
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from fxcount import count_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

config = LlamaConfig(
    hidden_size=16384, intermediate_size=53248, num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8,
    vocab_size=128256, max_position_embeddings=131072, use_cache=False,
)
with torch.device("meta"):
    model = LlamaForCausalLM(config).to(torch.bfloat16)
tokens = torch.zeros(1, 8192, dtype=torch.long)
count_memory(torch.nn.Linear(4, 3), torch.zeros(2, 4), backward=True)
before, start = resident(), time.perf_counter()
memory = count_memory(model, tokens, backward=True)
seconds, grown = time.perf_counter() - start, resident() - before
print(json.dumps({"peak": memory.peak, "saved": memory.saved, "operators": len(memory.timeline), "seconds": seconds,
                  "grown": grown}))
"""


def measured() -> dict[str, float]:
    """The peak and the saved bytes, the seconds that it took and the bytes by which the process grew."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
