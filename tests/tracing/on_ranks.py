"""Models on several ranks, each with what it is given; every rank makes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from fxcount.cli.split_models import split_after_plan


def network(device: str = "meta") -> nn.Module:
    """64 to 256 features and back: 16,384 weights each."""
    with torch.device(device):
        return nn.Sequential(nn.Linear(64, 256, bias=False), nn.ReLU(), nn.Linear(256, 64, bias=False))


def mesh_of_cuda(ranks: int) -> Any:
    """A mesh of devices that are not there, in the process group that there is."""
    try:
        return init_device_mesh("cuda", (ranks,), mesh_dim_names=("tp",))
    except ZeroDivisionError:  # up to torch 2.9
        pytest.skip("this torch looks for the devices of a mesh")


PLAN = {"0": ColwiseParallel(), "2": RowwiseParallel()}


class Attention(nn.Module):
    """Eight heads of width 8, query, key and value apart."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.query, self.key, self.value, self.out = (nn.Linear(64, 64, bias=False) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        heads = (part(y).unflatten(-1, (-1, 8)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return x + self.out(nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


OF_HEADS: dict[str, Any] = {**dict.fromkeys(("query", "key", "value"), ColwiseParallel()), "out": RowwiseParallel()}


def planned(plan: dict[str, Any]) -> Callable[[Any], nn.Module]:
    """The network, split over the axis ``tp``."""
    return lambda mesh: parallelize_module(network("cpu"), mesh["tp"], plan)


def sequence_parallel(mesh: Any) -> nn.Module:
    """Between the layers every rank has some of the rows."""
    plan = {
        "0": SequenceParallel(sequence_dim=0),
        "1": PrepareModuleInput(input_layouts=Shard(0), desired_input_layouts=Replicate()),
        "1.0": ColwiseParallel(),
        "1.2": RowwiseParallel(output_layouts=Shard(0)),
    }
    return parallelize_module(nn.Sequential(nn.LayerNorm(64), network("cpu")), mesh["tp"], plan)


def attention(mesh: Any) -> nn.Module:
    """Its heads are split over ``tp``."""
    return parallelize_module(Attention(), mesh["tp"], OF_HEADS)


def gathered_over(mesh: Any, model: nn.Module) -> nn.Module:
    """Both layers gathered over ``dp``, one after the other."""
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh["dp"])
    return model


class Logits(nn.Module):
    """A small language model of transformers, which splits it over ``tp`` after its plan; what it is given is added to
    the embedding of some words."""

    def __init__(self, name: str, mesh: Any, **sizes: int) -> None:
        import transformers  # not above: most pairs need none

        super().__init__()
        torch.manual_seed(0)
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 8, "head_dim": 8, **sizes}
        config = {"vocab_size": 96, "num_hidden_layers": 1, "num_key_value_heads": 4, **sizes}
        self.model = getattr(transformers, name)(getattr(transformers, name).config_class(**config))
        split_after_plan(self.model, mesh["tp"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        words = self.model.get_input_embeddings()(torch.zeros(x.shape[:-1], dtype=torch.long))
        logits: torch.Tensor = self.model(inputs_embeds=x + words, use_cache=False).logits
        return logits


PAIRS: dict[str, tuple[Callable[[Any], nn.Module], tuple[int, ...]]] = {
    "columns and rows": (planned(PLAN), (8, 64)),
    "rows, then columns": (
        planned({"0": RowwiseParallel(input_layouts=Replicate()), "2": ColwiseParallel(output_layouts=Replicate())}),
        (8, 64),
    ),
    "a result that stays split": (
        planned({"0": ColwiseParallel(), "2": RowwiseParallel(output_layouts=Shard(0))}),
        (8, 64),
    ),
    "rows of the input split": (
        planned({"0": ColwiseParallel(input_layouts=Shard(0)), "2": RowwiseParallel()}),
        (8, 64),
    ),
    "sequence parallel": (sequence_parallel, (8, 64)),
    "attention": (attention, (1, 16, 64)),
    "gathered": (lambda mesh: gathered_over(mesh, network("cpu")), (8, 64)),
    "split and gathered": (lambda mesh: gathered_over(mesh, planned(PLAN)(mesh)), (8, 64)),
    "llama": (lambda mesh: Logits("LlamaForCausalLM", mesh), (1, 16, 64)),
    "norms of heads": (lambda mesh: Logits("Qwen3ForCausalLM", mesh), (1, 16, 64)),
    "mixtral": (lambda mesh: Logits("MixtralForCausalLM", mesh, num_local_experts=4), (1, 16, 64)),
}
"""A model, made of a mesh with the axes ``dp`` and ``tp``, and the shape of its input."""
