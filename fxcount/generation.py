"""`count_generation`: what a language model costs that reads a prompt and generates, as its own code does it."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import nn

from fxcount.analyses.device import Device
from fxcount.analyses.devices import device_named
from fxcount.analyses.generation import GenerationPart, GenerationRecord, Step, stretches, times_of
from fxcount.cost import total_cost, total_traffic
from fxcount.count import count_graph
from fxcount.errors import InputError
from fxcount.memory import count_memory
from fxcount.memory_cost import MemoryCost
from fxcount.result.operator_calls import OperatorCall
from fxcount.step import dtype_of
from fxcount.views.generation_table import generation_table, generation_to_dict, generation_to_json
from fxcount.views.terminal import terminal_width


class GenerationCost(GenerationRecord):
    """What a generation costs; ``print`` shows it as a table."""

    def __str__(self) -> str:
        return generation_table(self, width=terminal_width())

    def __repr__(self) -> str:
        where = f" on {self.device.name}" if self.device else ""
        return f"GenerationCost({self.batch} x {self.prompt} + {self.generate} tokens of {self.model}{where})"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{generation_table(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the record.
    table = generation_table
    to_dict = generation_to_dict
    to_json = generation_to_json


def count_generation(
    model: nn.Module, prompt: int, generate: int, *, batch: int = 1, device: str | Device | None = None
) -> GenerationCost:
    """What it costs to generate ``generate`` tokens after a prompt, for each sequence of a batch: the prefill reads the
    prompt and yields the first of them, a step with the cache each other one.

    The model's own code runs with its own cache, whatever that holds, on tensors without data. Steps are counted at
    some lengths of the cache, and those between two of them are known where all numbers lie on a line.

    Args:
        model: a language model that is called as those of transformers are: it takes ``input_ids`` and ``use_cache``,
            and what it returns by the name of an argument, such as ``past_key_values``, is given to the next call. On
            the meta device it needs no memory. It is counted in the mode that it is in: call ``model.eval()``.
        prompt: the tokens of each prompt.
        generate: the tokens that are generated for each.
        batch: the sequences.
        device: what it runs on, the name of a device or a `Device`: adds times at best, and whether it fits.

    Returns:
        Arithmetic, bytes, cache and memory of the prefill, the first and the last step, and the whole; ``print`` shows
        them.

    Raises:
        InputError: the model is not called so, or a number is not positive.

    What `count_graph` raises is raised here too, and an error of the model itself as it is.
    """
    for name, number in {"prompt": prompt, "generate": generate, "batch": batch}.items():
        if type(number) is not int or number < 1:
            raise InputError(f"{name} is a positive number of tokens or sequences, not {number!r}")
    calls, known = CachedCalls(model), None if device is None else device_named(device)
    example = functools.partial(calls.example, batch)
    unknown: dict[str, None] = {}

    @functools.cache
    def counted(read: int) -> dict[str, Sequence[OperatorCall]]:
        cost = count_graph(calls, example(read))
        unknown.update(dict.fromkeys(cost.uncounted))
        owners = {node.name: node.owner for node in cost.nodes}
        return _in_parts(cost.operator_calls, lambda call: owners[call.node])

    @functools.cache
    def held(read: int) -> MemoryCost:
        return count_memory(calls, example(read))

    def place_of_step(past: int) -> tuple[str, int]:
        """Which step that is, and after how long a prompt: each but the first comes after another one."""
        return ("step", prompt) if past == prompt else ("later_step", past - 1)

    @functools.cache
    def step(past: int) -> Step:
        name, read = place_of_step(past)
        return Step.of(counted(read)[name])

    def part(name: str, read: int) -> GenerationPart:
        found, memory = Step.of(counted(read)[name]), held(read)
        time, fused = (None, None) if known is None else times_of(Counter(found.calls), found.given, known)
        moments = _in_parts(memory.timeline, lambda moment: moment.module)[name]
        return GenerationPart(
            calls=1,
            tokens=prompt if name == "prefill" else 1,
            cost=total_cost(each.cost for each in found.calls),
            traffic=total_traffic(each.traffic for each in found.calls),
            cache=memory.by_module(1)[name].outputs,
            memory=max(moment.held for moment in moments),
            time=time,
            fused=fused,
        )

    last = prompt + generate - 2  # of the cache before the last step
    has_steps = generate > 1
    first_call = part("prefill", prompt)
    found = tuple(stretches(step, prompt, last)) if has_steps else ()
    return GenerationCost(
        model=type(model).__name__,
        training=model.training,
        dtype=dtype_of(model),
        parameters=sum(held(prompt).before.get(kind, 0) for kind in ("parameters", "buffers")),
        batch=batch,
        prompt=prompt,
        generate=generate,
        device=known,
        prefill=first_call,
        first=part(*place_of_step(prompt)) if has_steps else None,
        last=part(*place_of_step(last)) if has_steps else None,
        stretches=found,
        uncounted=tuple(unknown),
        positions=getattr(getattr(model, "config", None), "max_position_embeddings", None),
    )


Made = TypeVar("Made")


def _in_parts(made: Sequence[Made], place: Callable[[Made], str]) -> dict[str, Sequence[Made]]:
    """What the prefill made, and each step after it. Modules that are not registered have paths of their own, so the
    order tells."""
    names = [place(each).partition(".")[0] for each in made]
    starts = [0, names.index("step"), names.index("later_step"), len(made)]
    return {name: made[start:end] for name, (start, end) in zip(CachedCalls.PARTS, pairwise(starts), strict=True)}


class CachedCalls(nn.Module):
    """A prefill, a step that is given its cache, and one that is given the cache of a step, which may lie otherwise in
    memory."""

    PARTS = ("prefill", "step", "later_step")

    def __init__(self, model: nn.Module) -> None:
        """
        Raises:
            InputError: the model does not take what a language model does.
        """
        super().__init__()
        if not isinstance(model, nn.Module) or "input_ids" not in inspect.signature(model.forward).parameters:
            raise InputError(f"a language model takes input_ids, and {type(model).__name__} does not")
        if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            raise InputError(f"a generation is counted of decoders, and {type(model).__name__} has an encoder too")
        self.prefill, self.step, self.later_step = CachedCall(model), CachedCall(model), CachedCall(model)

    def forward(self, prompt: torch.Tensor, token: torch.Tensor) -> dict[str, Any]:
        cache = self.prefill(prompt, {})
        cache = self.step(token, cache)
        return self.later_step(token, cache)  # type: ignore[no-any-return]

    @staticmethod
    def example(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A prompt of that length, and the token of a step."""
        return torch.ones(batch, length, dtype=torch.int64), torch.ones(batch, 1, dtype=torch.int64)


class CachedCall(nn.Module):
    """A call of a language model, as ``generate`` of transformers makes it: of a prompt it wants the last logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._takes = inspect.signature(model.forward).parameters.keys()

    def forward(self, ids: torch.Tensor, cache: Mapping[str, Any]) -> dict[str, Any]:
        """The cache, by the names of the arguments by which the next call gets it.

        Raises:
            InputError: the model returns none.
        """
        wanted = {"use_cache": True, "logits_to_keep": 1}
        given = {"input_ids": ids, **{name: value for name, value in wanted.items() if name in self._takes}, **cache}
        result = self.model(**given)
        items = dict(result) if isinstance(result, Mapping) else {}
        if items and "logits" not in items:
            raise InputError(f"{type(self.model).__name__} returns no logits: take the model that has a head for them")
        kept = {name: value for name, value in items.items() if name in self._takes and value is not None}
        if not kept:
            raise InputError(
                f"{type(self.model).__name__} returns no cache by the name of an argument, such as past_key_values"
            )
        return kept
