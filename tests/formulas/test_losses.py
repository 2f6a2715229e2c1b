"""Losses against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxcount import Cost
from fxcount.formulas import find_formula
from tests.costing import cost_of, formula_cost
from tests.optional import optional

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
REDUCTIONS = ["none", "mean", "sum"]


def reduced(losses: int, reduction: str) -> Cost:
    return {"none": Cost(), "mean": Cost(add=losses - 1, div=1), "sum": Cost(add=losses - 1)}[reduction]


def labels(*shape: int) -> Tensor:
    return meta(shape, dtype=torch.long)


X, Y = meta(3, 5), meta(3, 5)
# A loss for each of 15 elements. Of 15 elements:
ELEMENTWISE: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Cost]] = {
    # difference, square
    "mse": (F.mse_loss, (), 15 * Cost(add=1, mul=1)),
    # difference, magnitude
    "l1": (F.l1_loss, (), 15 * Cost(add=1, cmp=1)),
    # difference, magnitude, choice; 0.5 d d / beta; |d| - half beta
    "smooth l1": (F.smooth_l1_loss, (), 15 * Cost(add=2, cmp=2, mul=2, div=1)),
    # difference, magnitude, choice; 0.5 d d; delta (|d| - half delta)
    "huber": (F.huber_loss, (), 15 * Cost(add=2, cmp=2, mul=3)),
    # negation, product, exp, 1 +, log
    "soft margin": (F.soft_margin_loss, (), 15 * Cost(cmp=1, mul=1, special=2, add=1)),
    # two logarithms no less than -100; 1 - x, 1 - y; two products, their sum, its negation
    "binary cross entropy": (F.binary_cross_entropy, (), 15 * Cost(special=2, cmp=3, mul=2, add=3)),
    "weighted binary cross entropy": (F.binary_cross_entropy, (Y,), 15 * Cost(special=2, cmp=3, mul=3, add=3)),
    # a sigmoid (special, add, div) besides, and no bounds
    "logits": (F.binary_cross_entropy_with_logits, (), 15 * Cost(special=3, cmp=1, mul=2, add=4, div=1)),
    "weighted logits": (
        F.binary_cross_entropy_with_logits,
        (meta(5),),
        15 * Cost(special=3, cmp=1, mul=3, add=4, div=1),
    ),
    # exp x - y x
    "poisson": (F.poisson_nll_loss, (), 15 * Cost(special=1, mul=1, add=1)),
    # y log y - y x
    "kl divergence": (F.kl_div, (), 15 * Cost(special=1, mul=2, add=1)),
}


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", ELEMENTWISE)
def test_a_loss_for_each_element(case: str, reduction: str) -> None:
    loss, weights, expected = ELEMENTWISE[case]
    assert cost_of(loss, X, Y, *weights, reduction=reduction) == expected + reduced(15, reduction)
    assert cost_of(loss, torch.zeros(3, 5), torch.ones(3, 5), *weights, reduction="none") == expected


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", [case for case in ELEMENTWISE if "weighted" not in case])
def test_nothing_and_a_single_number(case: str, reduction: str) -> None:
    loss, _, expected = ELEMENTWISE[case]
    assert cost_of(loss, meta(0, 5), meta(0, 5), reduction=reduction) == Cost()
    single = cost_of(loss, meta(()), meta(()), reduction=reduction)
    assert 15 * single == expected + 15 * reduced(1, reduction)


def test_options_of_elementwise_losses() -> None:
    logits = F.binary_cross_entropy_with_logits
    plain = cost_of(logits, X, Y)
    assert cost_of(logits, X, Y, pos_weight=meta(5)) == plain + Cost(mul=15)
    assert cost_of(logits, X, Y, meta(5), pos_weight=meta(5)) == plain + Cost(mul=2 * 15)
    assert cost_of(F.smooth_l1_loss, X, Y, beta=0.0) == cost_of(F.l1_loss, X, Y)
    assert cost_of(F.smooth_l1_loss, X, Y, beta=0.5) == cost_of(F.smooth_l1_loss, X, Y)
    assert cost_of(nn.HuberLoss(delta=0.5), X, Y) == cost_of(F.huber_loss, X, Y)


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_target_is_broadcast() -> None:
    assert cost_of(F.mse_loss, meta(3, 1), meta(5)) == cost_of(F.mse_loss, X, Y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("x", "target", "losses"),
    [
        (meta(4, 3), labels(4), 4),
        (meta(3), labels(), 1),
        (meta(2, 3, 5, 7), labels(2, 5, 7), 2 * 5 * 7),
        (meta(2, 3, 5), labels(2, 5), 2 * 5),
    ],
    ids=["examples", "no batch", "pixels", "sequence"],
)
def test_negative_log_likelihood(x: Tensor, target: Tensor, losses: int, weighted: bool, reduction: str) -> None:
    # A negation, times the weight; the mean divides by the sum of the weights, or by a number.
    expected = Cost(cmp=losses, mul=losses * weighted) + reduced(losses, reduction)
    if weighted and reduction == "mean":
        expected += Cost(add=losses - 1)
    weight = meta(3) if weighted else None
    assert cost_of(F.nll_loss, x, target, weight, reduction=reduction) == expected
    assert cost_of(F.nll_loss, x, target, weight, ignore_index=1, reduction=reduction) == expected
    log_softmax = cost_of(F.log_softmax, x, min(1, x.dim() - 1))
    assert cost_of(F.cross_entropy, x, target, weight, reduction=reduction) == log_softmax + expected


def test_no_examples() -> None:
    for reduction in REDUCTIONS:
        assert cost_of(F.nll_loss, meta(0, 3), labels(0), reduction=reduction) == Cost()


def test_cross_entropy_with_probabilities() -> None:
    # log_softmax of 4 x 3; products, their sum, its negation, and the mean over 4 examples.
    softmax = Cost(cmp=4 * 2, add=12 + 4 * 2 + 12, special=12 + 4)
    expected = softmax + Cost(mul=12, add=11, cmp=1, div=1)
    assert cost_of(F.cross_entropy, meta(4, 3), meta(4, 3)) == expected


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multi_margin_loss(reduction: str) -> None:
    # 4 examples of 3 classes, two of them wrong. Per example: margin - x_y, then + x_i and max 0 for each, one sum,
    # one division.
    expected = 4 * Cost(add=1 + 2 + 1, cmp=2, div=1) + reduced(4, reduction)
    x, y = meta(4, 3), labels(4)
    assert cost_of(F.multi_margin_loss, x, y, reduction=reduction) == expected
    assert cost_of(F.multi_margin_loss, x, y, p=2, reduction=reduction) == expected + Cost(mul=8)
    weighted = cost_of(F.multi_margin_loss, x, y, p=2, weight=meta(3), reduction=reduction)
    assert weighted == expected + Cost(mul=16)
    assert cost_of(F.multi_margin_loss, meta(3), labels(), reduction="none") == Cost(add=4, cmp=2, div=1)
    assert cost_of(F.multi_margin_loss, meta(4, 1), y, reduction="none") == Cost(div=4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multilabel_margin_loss(reduction: str) -> None:
    # 4 examples, 3 x 3 pairs of classes each: 1 - (x_j - x_i), max 0; eight sums, one division.
    expected = 4 * Cost(add=9 * 2 + 8, cmp=9, div=1) + reduced(4, reduction)
    assert cost_of(F.multilabel_margin_loss, meta(4, 3), labels(4, 3), reduction=reduction) == expected
    single = Cost(add=9 * 2 + 8, cmp=9, div=1)
    assert cost_of(F.multilabel_margin_loss, meta(3), labels(3), reduction="none") == single
    assert cost_of(aten.multilabel_margin_loss_forward, meta(4, 3), labels(4, 3), 0) == 4 * single
    assert cost_of(F.multilabel_margin_loss, meta(0, 3), labels(0, 3), reduction=reduction) == Cost()


# Losses that are counted by their parts.
PARTS: dict[str, tuple[Callable[[], Any], Cost]] = {
    # -y (x1 - x2) + margin of 0, at least 0
    "margin ranking": (
        lambda: F.margin_ranking_loss(meta(4), meta(4), meta(4)),
        4 * Cost(add=2, cmp=2, mul=1) + reduced(4, "mean"),
    ),
    # Two distances of 3 coordinates (with eps), margin + d1 - d2, at least 0
    "triplet": (
        lambda: F.triplet_margin_loss(meta(4, 3), meta(4, 3), meta(4, 3)),
        2 * 4 * Cost(add=3 + 3 + 2, mul=3, special=1) + 4 * Cost(add=2, cmp=1) + reduced(4, "mean"),
    ),
    # margin - x at least 0 where y is not 1, plus x where y is not -1: two questions, two choices
    "hinge embedding": (lambda: F.hinge_embedding_loss(meta(4), meta(4)), 4 * Cost(add=2, cmp=5) + reduced(4, "mean")),
    # Three dot products of 3, eps twice, product, root, quotient; 1 - cos, cos - margin at least 0; as above
    "cosine embedding": (
        lambda: F.cosine_embedding_loss(meta(4, 3), meta(4, 3), meta(4)),
        4 * Cost(mul=3 * 3 + 1, add=3 * 2 + 2 + 2 + 1, special=1, div=1, cmp=5) + reduced(4, "mean"),
    ),
    # y logsigmoid(x) + (1 - y) logsigmoid(-x), negated, the mean over 3 classes
    "multilabel soft margin": (
        lambda: F.multilabel_soft_margin_loss(meta(4, 3), meta(4, 3)),
        12 * Cost(special=4, add=2 + 2, mul=2, cmp=2) + 4 * Cost(add=2, div=1) + reduced(4, "mean"),
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_losses_made_of_other_operators(case: str) -> None:
    call, expected = PARTS[case]
    assert cost_of(call) == expected


# The loss of 2 examples over 7 steps, targets of up to 3 labels: 2 * 3 + 1 states each, updated 6 times.
UPDATE = Cost(cmp=2, add=3 + 2 + 1 + 1, special=3 + 1)  # a logsumexp of three, plus the label's log probability
FINAL = Cost(cmp=1 + 1, add=2 + 1 + 1, special=2 + 1)  # a logsumexp of two, negated
LOG_PROBS = torch.zeros(7, 2, 5)
LENGTHS = ([7, 6], [3, 2])


def ctc(targets: Tensor, reduction: str = "none", **options: Any) -> Cost:
    return cost_of(F.ctc_loss, LOG_PROBS, targets, *LENGTHS, reduction=reduction, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_connectionist_temporal_classification(reduction: str) -> None:
    padded = torch.ones(2, 3, dtype=torch.long)
    expected = 6 * 2 * 7 * UPDATE + 2 * FINAL + reduced(2, reduction)
    if reduction == "mean":
        expected += Cost(div=2)  # by the lengths of the targets
    assert ctc(padded, reduction) == expected
    assert ctc(padded, reduction, zero_infinity=True) == expected + Cost(cmp=2)


def test_forms_of_connectionist_temporal_classification() -> None:
    # In one line, targets of 3 and 2 labels have 7 + 5 states.
    assert ctc(torch.ones(5, dtype=torch.long)) == 6 * (7 + 5) * UPDATE + 2 * FINAL
    single = cost_of(F.ctc_loss, LOG_PROBS[:, 0], torch.ones(3, dtype=torch.long), (7,), (3,), reduction="none")
    assert single == 6 * 7 * UPDATE + FINAL
    no_labels = cost_of(F.ctc_loss, LOG_PROBS, labels(2, 0), (7, 6), (0, 0), reduction="none")
    assert no_labels == 6 * 2 * 1 * UPDATE + 2 * FINAL


@pytest.mark.parametrize("kernel", [aten._ctc_loss, aten._cudnn_ctc_loss, optional("ops.aten.miopen_ctc_loss")])
def test_kernels_of_connectionist_temporal_classification(kernel: Any) -> None:
    formula = find_formula(kernel.default)
    assert formula is not None
    call = (meta(7, 2, 5), labels(2, 3), *LENGTHS, 0, True, True)
    assert formula(call[: len(kernel.default._schema.arguments)], {}, None).cost == 6 * 2 * 7 * UPDATE + 2 * FINAL


# Gradients, 15 elements; reduction 0 none, 1 mean, 2 sum

X = meta(3, 5)


@pytest.mark.parametrize(("reduction", "averaged"), [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize(
    ("operator", "before", "after", "per_element"),
    [
        (aten.mse_loss_backward, (), (), Cost(add=1, mul=2)),
        (aten.smooth_l1_loss_backward, (), (0.5,), Cost(add=1, cmp=2, mul=1, div=1)),
        (aten.huber_loss_backward, (), (0.5,), Cost(add=1, cmp=2, mul=1)),
        (aten.soft_margin_loss_backward, (), (), Cost(mul=2, special=1, add=1, cmp=1, div=1)),
        (aten.binary_cross_entropy_backward, (None,), (), Cost(add=2, mul=2, div=1, cmp=1)),
        (aten.binary_cross_entropy_backward, (X,), (), Cost(add=2, mul=3, div=1, cmp=1)),
    ],
)
def test_gradients_of_a_loss_for_each_element(
    operator: Any, before: tuple[Any, ...], after: tuple[Any, ...], per_element: Cost, reduction: int, averaged: int
) -> None:
    gradient = meta(()) if reduction else X
    cost = cost_of(operator, gradient, X, X, *before, reduction, *after)
    assert cost == 15 * per_element + Cost(div=averaged)


def test_gradients_without_elements_are_free() -> None:
    empty = meta(0, 5)
    assert formula_cost(aten.mse_loss_backward.default, meta(()), empty, empty, 1, out=empty) == Cost()


@pytest.mark.parametrize(
    ("weight", "reduction", "expected"),
    [(None, 1, Cost(cmp=3, div=1)), (meta(5), 2, Cost(cmp=3, mul=3)), (None, 0, Cost(cmp=3))],
)
def test_gradient_of_negative_log_likelihood_touches_the_targets(weight: Any, reduction: int, expected: Cost) -> None:
    gradient = meta(()) if reduction else meta(3)
    target = meta(3, dtype=torch.long)
    assert cost_of(aten.nll_loss_backward, gradient, X, target, weight, reduction, -100, meta(())) == expected
    plane, gradient = meta(3, 5, 1, 1), meta(()) if reduction else meta(3, 1, 1)
    target = meta(3, 1, 1, dtype=torch.long)
    assert cost_of(aten.nll_loss2d_backward, gradient, plane, target, weight, reduction, -100, meta(())) == expected


# 4 rows of 5 features to 7 classes: 28 logits of 5 macs, and in each row 6 comparisons for the maximum, 7 + 6 + 7
# additions, 7 exponentials and a logarithm.
LOG_PROBABILITIES = Cost(macs=28 * 5, cmp=4 * 6, add=4 * 20, special=4 * 8)

CHUNKED: dict[str, tuple[dict[str, Any], Cost]] = {
    "mean": ({}, Cost(cmp=4, add=3, div=1)),
    "sum": ({"reduction": "sum"}, Cost(cmp=4, add=3)),
    "every loss": ({"reduction": "none"}, Cost(cmp=4)),
    "bias": ({"linear_bias": meta(7)}, Cost(cmp=4, add=3 + 28, div=1)),
    # and the weights of the targets are summed
    "weighted mean": ({"weight": meta(7)}, Cost(mul=4, cmp=4, add=3 + 3, div=1)),
    "weighted sum": ({"weight": meta(7), "reduction": "sum"}, Cost(mul=4, cmp=4, add=3)),
    "every weighted loss": ({"weight": meta(7), "reduction": "none"}, Cost(mul=4, cmp=4)),
    "probabilities": ({"target": meta(4, 7)}, Cost(mul=28, add=27, cmp=1, div=1)),
    "sum over probabilities": ({"target": meta(4, 7), "reduction": "sum"}, Cost(mul=28, add=27, cmp=1)),
    "weighted probabilities": ({"target": meta(4, 7), "weight": meta(7)}, Cost(mul=2 * 28, add=27, cmp=1, div=1)),
}


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(("options", "expected"), CHUNKED.values(), ids=CHUNKED)
def test_linear_cross_entropy_in_chunks(options: dict[str, Any], expected: Cost, requires_grad: bool) -> None:
    loss, chunks = optional("nn.functional.linear_cross_entropy"), optional("nn.LinearCrossEntropyOptions")
    target = options.get("target", meta(4, dtype=torch.long))
    options = {name: value for name, value in options.items() if name != "target"}
    operands = meta(4, 5).requires_grad_(requires_grad), meta(7, 5).requires_grad_(requires_grad), target
    assert cost_of(loss, *operands, **options, options=chunks(batch_chunk_size=3)) == LOG_PROBABILITIES + expected
    assert cost_of(loss, *operands, **options) == LOG_PROBABILITIES + expected


@pytest.mark.parametrize("rows", [(), (1,), (0,)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_linear_cross_entropy_of_few_rows(rows: tuple[int, ...], reduction: str) -> None:
    loss, chunks = optional("nn.functional.linear_cross_entropy"), optional("nn.LinearCrossEntropyOptions")
    operands = meta(*rows, 5), meta(7, 5), meta(rows, dtype=torch.long)
    chunked, whole = (cost_of(loss, *operands, reduction=reduction, options=each) for each in (chunks(), None))
    assert chunked == whole


@pytest.mark.parametrize(
    ("p", "weight", "reduction", "extra"),
    [(1, None, 1, Cost(div=1 + 1)), (2, None, 2, Cost(mul=2 * 12, div=1)), (1, meta(5), 0, Cost(mul=3, div=3))],
)
def test_gradient_of_multi_margin_loss(p: float, weight: Any, reduction: int, extra: Any) -> None:
    """3 examples with 4 other classes each: margin - x_y once, + x_i, a comparison, and x_y accumulates."""
    gradient = meta(()) if reduction else meta(3)
    args = (gradient, X, meta(3, dtype=torch.long), p, 1, weight, reduction)
    cost = formula_cost(aten.multi_margin_loss_backward.default, *args)
    assert cost == Cost(add=3 + 2 * 12, cmp=12) + extra


def test_gradient_of_multilabel_margin_loss_counts_every_pair() -> None:
    # 3 examples of 5 * 5 pairs: 1 - x_t per target, + x_i, two accumulations; g / C and the mean
    args = (meta(()), X, meta(3, 5, dtype=torch.long), 1, X)
    cost = formula_cost(aten.multilabel_margin_loss_backward.default, *args)
    assert cost == Cost(add=15 + 3 * 75, cmp=75, div=1 + 1)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_gradient_of_connectionist_temporal_classification(zero_infinity: bool) -> None:
    """2 examples, 7 steps, 4 classes; at most 3 labels, so 2 * 3 + 1 extended ones."""
    states, elements = 2 * 7 * 7, 7 * 2 * 4
    args = (meta(2), meta(7, 2, 4), meta(2, 3, dtype=torch.long), [7, 7], [3, 2], meta(2), meta(2, 7, 7), 0)
    cost = formula_cost(aten._ctc_loss_backward.default, *args, zero_infinity)
    # beta, but for the last step: logsumexp of 3 (cmp 2, add 6, special 4), add 1; alpha + beta, logaddexp
    expected = 2 * 6 * 7 * Cost(cmp=2, add=7, special=4) + states * Cost(add=2, special=3)
    expected += elements * Cost(add=3, special=2, mul=1)
    assert cost == expected + Cost(cmp=elements if zero_infinity else 0)
