"""`count_memory`: what is worked out by hand, and what real runs hold, to the byte."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as module_hooks
from torch.utils.checkpoint import checkpoint

from fxcount import DataNeededError, InputError, MemoryCost, count_memory
from tests.memory.real_run import followed_peak, followed_second_peak, saved_bytes

Inputs = tuple[Any, ...]
FLOAT = 4


def of_run(memory: MemoryCost) -> int:
    """The peak without what is there before the run."""
    return memory.peak - sum(memory.before.values())


# By hand


def test_two_layers_without_gradients() -> None:
    model = nn.Sequential(nn.Linear(10, 20, bias=False), nn.ReLU(), nn.Linear(20, 30, bias=False))
    memory = count_memory(model, torch.randn(5, 10))
    # The first result and that of the ReLU, then that and the last one.
    assert of_run(memory) == FLOAT * 5 * (20 + 30)
    parameters = FLOAT * (10 * 20 + 20 * 30)
    inputs, activations = FLOAT * 5 * 10, FLOAT * 5 * (20 + 30)
    assert memory.at_peak == {"parameters": parameters, "inputs": inputs, "activations": activations}
    assert memory.saved == 0


def test_a_layer_in_training() -> None:
    layer = nn.Linear(10, 20, bias=False)
    memory = count_memory(layer, torch.randn(5, 10), backward=True)
    # The result and the gradient that it is given, and the gradient of the weight.
    assert of_run(memory) == FLOAT * (2 * 5 * 20 + 10 * 20)
    assert memory.at_peak["gradients"] == FLOAT * (5 * 20 + 10 * 20)
    assert memory.saved == FLOAT * 5 * 10  # the input; the weight is a parameter


def test_the_state_of_an_optimizer() -> None:
    layer = nn.Linear(10, 20, bias=False)
    memory = count_memory(layer, torch.randn(5, 10), optimizer=torch.optim.AdamW)
    weight = FLOAT * 10 * 20
    assert memory.at_peak["optimizer"] == 2 * weight + FLOAT  # two averages, and the number of steps
    assert memory.at_peak["temporaries"] == 2 * weight  # the root of one, and that over the bias of the first steps
    assert memory.at_peak["gradients"] == weight
    plain = count_memory(layer, torch.randn(5, 10), optimizer=torch.optim.SGD)
    assert "optimizer" not in plain.at_peak


def test_resnet18_in_a_trial_of_a_batch_of_four() -> None:
    memory = count_memory(torchvision.models.resnet18(), torch.randn(4, 3, 224, 224))
    # The first convolution's result, that of its batch norm, and the mean and the deviation of 64 channels.
    assert of_run(memory) == 2 * FLOAT * 4 * 64 * 112 * 112 + 2 * FLOAT * 64 == 25_690_624


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 8), (torch.bfloat16, 2), (torch.complex64, 8)])
def test_the_bytes_of_a_dtype(dtype: torch.dtype, size: int) -> None:
    assert of_run(count_memory(lambda x: x * x, torch.ones(3, 4, dtype=dtype))) == 12 * size


def test_views_hold_nothing_and_a_variable_keeps_what_it_has() -> None:
    def keeps(x: Tensor) -> Tensor:
        first = x + 1
        return (first.t()[1:] + 1).sum() + first.sum()

    def frees(x: Tensor) -> Tensor:
        return (((x + 1) + 1) + 1) + 1

    assert of_run(count_memory(keeps, torch.ones(10, 10))) == FLOAT * (100 + 90 + 1)
    assert of_run(count_memory(frees, torch.ones(10, 10))) == FLOAT * 200


def attention(q: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, q, q)


def test_a_fused_attention_holds_no_scores() -> None:
    q, scores = torch.randn(2, 3, 50, 16), FLOAT * 2 * 3 * 50 * 50
    fused, math = count_memory(attention, q), count_memory(attention, q, attention="math")
    assert of_run(fused) == FLOAT * (2 * 3 * 50 * 16 + 2 * 3 * 50)  # the result, and a sum for each query
    assert of_run(math) >= 2 * scores
    assert count_memory(attention, q.to("meta")).peak == fused.peak


def test_attention_with_dropout_is_fused_on_a_gpu_alone() -> None:
    model = nn.MultiheadAttention(16, 2, dropout=0.1, batch_first=True)
    x = torch.randn(2, 64, 16)
    scores = FLOAT * 2 * 2 * 64 * 64
    cpu, gpu = (
        count_memory(model, (x, x, x), {"need_weights": False}, backward=True, device=d) for d in ("cpu", "cuda")
    )
    assert cpu.saved - gpu.saved >= 2 * scores


def test_a_shared_weight_is_held_once() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    model[1].weight = model[0].weight
    assert count_memory(model, torch.ones(1, 8)).at_peak["parameters"] == FLOAT * 64
    flat = torch.zeros(128)
    model[0].weight, model[1].weight = (nn.Parameter(part.view(8, 8)) for part in flat.chunk(2))
    assert count_memory(model, torch.ones(1, 8)).at_peak["parameters"] == FLOAT * 128


def test_inputs_that_are_views_hold_all_of_their_memory() -> None:
    assert count_memory(lambda x: x + 1, torch.ones(10, 10)[0]).at_peak["inputs"] == FLOAT * 100
    assert count_memory(lambda x: x + 1, torch.ones(1).expand(10, 10)).at_peak["inputs"] == FLOAT


# As real runs


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16), nn.GELU())
        self.second = nn.Sequential(nn.Linear(16, 16), nn.Sigmoid())
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        if self.reentrant is None:
            return self.second(self.first(x))
        return self.second(checkpoint(self.first, x, use_reentrant=self.reentrant))


class ChangesShapes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.mean(0, keepdim=True).clone()
        y.squeeze_().unsqueeze_(0)
        z = y.t_().clone()
        z.resize_(30, 30)
        return z @ z


class Masks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        mask = x.new_zeros(x.shape[0], 16)
        for row in range(3):
            mask[row : row + 2, :] = row
        x = self.layer(x.t().contiguous().t()) + mask
        return x.masked_fill(mask > 1, float("-inf")).softmax(-1)


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layers(x).float().softmax(-1)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 64)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y.exp() * y if y.sum() < 1e9 else y


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)


def language_model(name: str, **more: Any) -> nn.Module:
    small = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 100, **more}
    return getattr(transformers, name)(getattr(transformers, name).config_class(**small))


X = partial(torch.randn, 8, 16)
IMAGES = partial(torch.randn, 2, 3, 64, 64)
TOKENS = partial(torch.randint, 0, 100, (2, 16))
KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "checkpoint": (lambda: Checkpointed(False), lambda: X().requires_grad_()),
    "reentrant checkpoint": (lambda: Checkpointed(True), lambda: X().requires_grad_()),
    "masks": (Masks, X),
    "autocast": (Autocast, X),
    "branches on values": (Branches, X),
    "gru": (lambda: nn.GRU(16, 8, batch_first=True), lambda: torch.randn(2, 5, 16)),
    "encoder": (encoder, lambda: torch.randn(2, 7, 16)),
    "shifted windows": (torchvision.models.swin_v2_t, IMAGES),
    "channels mixed": (torchvision.models.shufflenet_v2_x0_5, IMAGES),
    "grouped attention": (
        lambda: language_model("MistralForCausalLM", num_key_value_heads=2, intermediate_size=64),
        TOKENS,
    ),
    "experts": (
        lambda: language_model("MixtralForCausalLM", num_key_value_heads=2, intermediate_size=64, num_local_experts=3),
        TOKENS,
    ),
    "a scan": (lambda: language_model("MambaForCausalLM", state_size=4), TOKENS),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_real_run_holds(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    make, inputs = KINDS[kind]
    model, x = make().train(training), inputs()
    optimizer = torch.optim.AdamW if training else None
    torch.manual_seed(0)
    memory = count_memory(model, x, optimizer=optimizer)
    if training:
        assert memory.saved == saved_bytes(model, (x,))
    assert memory.peak == followed_peak(model, (x,), optimizer)


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.RMSprop, partial(torch.optim.SGD, momentum=0.9)])
@pytest.mark.parametrize("rows", [1, 5000])
def test_later_steps_hold_the_state_from_their_start(make: Callable[..., Any], rows: int) -> None:
    model, x = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)), torch.randn(rows, 16)
    memory = count_memory(model, x, optimizer=make)
    assert memory.peak == followed_peak(model, (x,), make)
    assert memory.later_peak == followed_second_peak(model, (x,), make)
    assert count_memory(model, x).later_peak == count_memory(model, x).peak


class Discards(nn.Module):
    """Results that autograd notes and nobody uses further are gone as soon as Python lets go of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.seen: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = x + torch.tanh(layer(x))
            self.seen[number] = x.softmax(-1).mean().detach()
            x.exp()
        return x


class TakesGradients(nn.Module):
    """``torch.func`` refuses hooks on what is saved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.grad(lambda y: self.layer(y).pow(2).sum())(x) + self.layer(x)


class AsksNumpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y * float(y.detach().numpy().mean())


@pytest.mark.parametrize("kind", [Discards, TakesGradients, AsksNumpy])
def test_what_is_not_seen_by_hooks(kind: type[nn.Module]) -> None:
    x = X()
    assert count_memory(kind(), x, optimizer=torch.optim.AdamW).peak == followed_peak(kind(), (x,), torch.optim.AdamW)
    if kind is not TakesGradients:
        assert count_memory(kind(), x, backward=True).saved == saved_bytes(kind(), (x,))


def test_a_state_that_an_optimizer_has_from_its_start() -> None:
    model, x = nn.Sequential(*(nn.Linear(16, 16) for _ in range(6))), torch.randn(500, 16)
    memory = count_memory(model, x, optimizer=torch.optim.Adagrad)
    assert memory.peak == memory.later_peak == followed_peak(model, (x,), torch.optim.Adagrad)
    assert memory.before["optimizer"] == 6 * FLOAT * (16 * 16 + 16) + 12 * FLOAT  # and the number of steps of each


def test_a_sparse_gradient_is_its_places_and_its_values() -> None:
    table, tokens = nn.Embedding(50, 4, sparse=True), torch.arange(6).view(2, 3)
    for _ in range(2):  # the second time, calls repeat
        memory = count_memory(table, tokens, backward=True)
        assert memory.at_peak["gradients"] >= 6 * (8 + 4 * FLOAT)
        assert count_memory(table, tokens, optimizer=torch.optim.SparseAdam).peak > memory.peak


def test_a_sparse_input_holds_what_it_stores() -> None:
    for layout, stored in (("to_sparse", 2 * 8 * 16 + FLOAT * 16), ("to_sparse_csr", 8 * 17 + 2 * 8 * 16 + FLOAT * 16)):
        memory = count_memory(lambda x: x @ torch.randn(16, 4), getattr(torch.eye(16), layout)())
        assert memory.at_peak["inputs"] == stored  # the columns lie in the memory of both places of the first form


def test_the_weights_of_a_function_are_those_of_the_modules_that_it_names() -> None:
    model, x, weight = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16)), torch.randn(4, 16), X().t()
    whole = count_memory(model, x, optimizer=torch.optim.AdamW)
    for run in (lambda x: model(x), model.forward, partial(lambda net, x: net(x), model)):
        memory = count_memory(run, x, optimizer=torch.optim.AdamW)
        assert (memory.peak, memory.saved) == (whole.peak, whole.saved)
        assert memory.at_peak["parameters"] == whole.at_peak["parameters"]
    assert count_memory(lambda x: x @ weight, x).at_peak["buffers"] == FLOAT * 16 * 8


def test_under_inference_mode() -> None:
    layer = nn.Linear(4, 4)
    with torch.inference_mode():
        memory = count_memory(layer, torch.randn(2, 4), optimizer=torch.optim.AdamW)
    assert memory.at_peak["optimizer"] == 2 * (FLOAT * 20 + FLOAT)  # AdamW keeps two averages, and counts its steps


def test_a_cache_that_is_given_empty() -> None:
    model = language_model("LlamaForCausalLM", intermediate_size=64)
    cache = transformers.DynamicCache(config=model.config)
    memory = count_memory(model, {"input_ids": torch.zeros(1, 8, dtype=torch.long), "cache": cache})
    assert memory.cache == {"before": 0, "after": 8 * 2 * 2 * 32 * FLOAT}


def test_shapes_that_change_in_place() -> None:
    assert count_memory(ChangesShapes(), X()).peak == followed_peak(ChangesShapes(), (X(),))


@settings(max_examples=20, deadline=None)
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    rows=st.integers(1, 5),
    act=st.sampled_from([nn.ReLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardswish]),
    bias=st.booleans(),
    training=st.booleans(),
)
def test_any_perceptron(widths: list[int], rows: int, act: type[nn.Module], bias: bool, training: bool) -> None:
    layers = [each for a, b in zip([3, *widths], widths, strict=False) for each in (nn.Linear(a, b, bias=bias), act())]
    model, x = nn.Sequential(*layers), torch.randn(rows, 3)
    optimizer = torch.optim.SGD if training else None
    memory = count_memory(model, x, optimizer=optimizer)
    assert memory.peak == followed_peak(model, (x,), optimizer)
    assert sum(memory.at_peak.values()) == memory.peak
    assert all(
        sum(kinds.values()) == each.held for kinds, each in zip(memory.held_by_kind(), memory.timeline, strict=True)
    )


# A cache of keys and values


def test_a_cache_that_grows_is_told_apart() -> None:
    model = language_model("LlamaForCausalLM", intermediate_size=64)
    with torch.no_grad():
        cache = model(torch.randint(0, 100, (1, 24)), use_cache=True).past_key_values
    memory = count_memory(model, {"input_ids": torch.zeros(1, 1, dtype=torch.long), "cache": cache})
    of_tokens = 2 * 2 * 32 * FLOAT  # keys and values of two layers
    assert memory.cache == {"before": 24 * of_tokens, "after": 25 * of_tokens}
    assert memory.before["cache"] == 24 * of_tokens
    assert (
        memory.at_peak["cache"] < 2 * 24 * of_tokens
    )  # a layer frees its old keys and values when it has the new ones
    assert cache.get_seq_length() == 24


def test_a_cache_of_tensors_that_the_caller_holds() -> None:
    def decode(x: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        keys = torch.cat([keys, x], 1)
        return x @ keys.mT, keys

    memory = count_memory(decode, (torch.randn(1, 1, 8), torch.randn(1, 30, 8)))
    assert memory.cache == {"before": FLOAT * 30 * 8, "after": FLOAT * 31 * 8}
    assert memory.at_peak["cache"] == FLOAT * 61 * 8


# By module


def test_modules_and_what_checkpoints_would_save() -> None:
    x = X()
    plain = Checkpointed(None)
    memory = count_memory(plain, x, backward=True)
    first = memory.by_module()["first"]
    assert (first.kind, first.parameters) == ("Sequential", FLOAT * (16 * 64 + 64 + 64 * 16 + 16))
    assert first.outputs == FLOAT * 8 * 16
    assert first.checkpoint == memory.saved - count_memory(Checkpointed(False), x, backward=True).saved > 0
    assert first.again.macs == 2 * 8 * 16 * 64
    assert memory.by_module(0).keys() == {""}
    assert memory.by_module()[""].saved == memory.saved
    assert memory.by_module()[""].peak == of_run(memory)
    assert all(each.grad is None for each in plain.parameters())


def test_the_timeline_tells_who_made_what() -> None:
    memory = count_memory(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(2, 4), optimizer=torch.optim.AdamW)
    forward = [(each.operator, each.module) for each in memory.timeline if each.phase == "forward"]
    assert ("aten.addmm", "0") in forward
    assert ("aten.tanh", "1") in forward
    backward = [(each.operator, each.module) for each in memory.timeline if each.phase == "backward"]
    assert ("aten.tanh_backward", "1") in backward
    assert ("aten.mm", "0") in backward
    largest = memory.alive(memory.moment)[0]
    assert largest.size == max(each.size for each in memory.allocations)
    assert {"forward", "backward", "optimizer"} == {each.phase for each in memory.timeline}


# What is left, and what is refused


def test_nothing_is_left_behind() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    before = {name: each.clone() for name, each in model.state_dict().items()}
    on_data, x, of_data = Branches(), torch.randn(3, 4), X()
    seed, hooks = torch.get_rng_state(), len(module_hooks._global_forward_hooks)
    count_memory(model, x, optimizer=torch.optim.AdamW)
    count_memory(on_data, of_data, optimizer=torch.optim.AdamW)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())
    assert torch.equal(seed, torch.get_rng_state())
    assert len(module_hooks._global_forward_hooks) == hooks


def test_a_model_on_data_is_put_back() -> None:
    model, x = Branches(), X()
    before = model.layer.weight.detach().clone()
    count_memory(model, x, optimizer=torch.optim.AdamW)
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight.grad is None


def test_a_model_that_fails_leaves_nothing_behind() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.layer(x)
            raise ValueError("too late")

    model = Fails()
    with pytest.raises(ValueError, match="too late"):
        count_memory(model, torch.randn(2, 4), backward=True)
    assert type(model.layer.weight) is nn.Parameter
    assert not model.layer.weight.is_meta
    assert gc.isenabled()
    assert count_memory(nn.Linear(4, 4), torch.randn(2, 4)).peak > 0


def test_values_that_there_are_not() -> None:
    with pytest.raises(DataNeededError, match="needs the values"):
        count_memory(Branches().to("meta"), X().to("meta"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "flash"}, "unknown attention: 'flash'; the known ones are math"),
        ({"device": "tpu"}, "unknown device: 'tpu'; the known ones are cpu, cuda"),
        ({"optimizer": 3}, "optimizer must be a function"),
        ({"optimizer": lambda given: None}, "optimizer must return a torch.optim.Optimizer"),
    ],
)
def test_arguments_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_memory(nn.Linear(4, 4), torch.randn(2, 4), **options)


def test_a_step_of_nothing() -> None:
    with pytest.raises(InputError, match="there is nothing to optimize"):
        count_memory(nn.ReLU(), torch.randn(2, 4), optimizer=torch.optim.AdamW)


def test_a_backward_pass_of_nothing() -> None:
    with pytest.raises(InputError, match="nothing that the model returns requires a gradient"):
        count_memory(nn.ReLU(), torch.randn(2, 4), backward=True)
