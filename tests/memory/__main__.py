"""``python -m tests.memory``: measures real runs beside `count_memory`, prints the page, and writes it."""

from __future__ import annotations

import argparse
import fnmatch
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import fxcount
from tests.memory.llama import measured as measured_llama
from tests.memory.mem_tracker import tracked
from tests.memory.models import MODELS, build
from tests.memory.page import Compared, Tracked, page
from tests.memory.real_run import allocated_peak, followed_peak, saved_bytes

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"

TRACKED = (
    "torchvision resnet18", "torchvision vgg11", "torchvision mobilenet_v3_large", "torchvision vit_b_16",
    "timm vit_tiny_patch16_224", "timm convnext_tiny", "timm mixer_s32_224", "transformers BertModel",
    "transformers GPT2LMHeadModel", "transformers LlamaForCausalLM",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """1 if anything differs to the byte."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory", description=__doc__)
    parser.add_argument("--match", default="*", metavar="PATTERN", help="only models like this, such as 'timm *'")
    options = parser.parse_args(arguments)
    names = [name for name in MODELS if fnmatch.fnmatch(name, options.match)]
    compared = []
    for name in names:
        for training in (False, True):
            compared.append(compare(name, training=training))
            print(compared[-1], flush=True)
    others = [compare_tracker(name) for name in TRACKED if name in names]
    text = page(compared, others, measured_llama(), torch.cuda.is_available())
    print(text)
    if names == [*MODELS]:
        PAGE.write_text(text)
    return int(not all(each.is_equal for each in compared))


def compare(name: str, *, training: bool) -> Compared:
    """One model, in inference or in a step of training with AdamW."""
    model, inputs = build(name, training=training)
    make = torch.optim.AdamW if training else None
    memory = fxcount.count_memory(model, inputs, optimizer=make)
    before = sum(memory.before.values())
    followed = followed_peak(model, inputs, make)
    saved = saved_bytes(model, inputs) if training else 0
    gc.collect()
    model, inputs = build(name, training=training)  # a step has changed it
    allocated = allocated_peak(model, inputs, make) + before
    watched = None
    if allocated < memory.peak:
        watched = allocated_peak(*build(name, training=training), make, watched=True) + before
    return Compared(name, training, memory.peak, followed, memory.saved, saved, allocated, watched)


def compare_tracker(name: str) -> Tracked:
    model, inputs = build(name, training=True)
    memory = fxcount.count_memory(model, inputs, optimizer=torch.optim.AdamW)
    return Tracked(name, memory.peak, memory.at_peak, tracked(model, inputs))


if __name__ == "__main__":
    sys.exit(main())
