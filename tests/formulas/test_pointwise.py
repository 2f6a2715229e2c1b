"""Pointwise operators against the cost model: so much per output element."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost
from tests.formulas.operands import OPERANDS

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
ONE = {field: Cost(**{field: 1}) for field in ("mul", "add", "div", "cmp", "special")}
mul, add, div, cmp, special = ONE.values()

SPECIAL = (
    "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh asinh acosh atanh erf "
    "erfc erfinv lgamma digamma"
)

PER_ELEMENT: list[tuple[Cost, list[Callable[[Any], Any]]]] = [
    (
        add,
        [
            lambda x: x + x,
            lambda x: x + 1,
            lambda x: 1 + x,
            lambda x: x - x,
            lambda x: 1 - x,
            lambda x: torch.rsub(x, x),
            lambda x: torch.add(x, x, alpha=1),
            lambda x: torch.subtract(x, 2),
        ],
    ),
    (
        add + mul,
        [
            lambda x: torch.add(x, x, alpha=2),
            lambda x: torch.sub(x, x, alpha=0.5),
            lambda x: torch.rsub(x, x, alpha=-1),
            lambda x: torch.add(x, 3, alpha=2),
        ],
    ),
    (mul, [lambda x: x * x, lambda x: 2 * x, torch.square, lambda x: torch.multiply(x, x)]),
    (div, [lambda x: x / x, lambda x: x / 2, torch.reciprocal, lambda x: torch.true_divide(x, x)]),
    (mul + add, [lambda x: torch.addcmul(x, x, x)]),
    (2 * mul + add, [lambda x: torch.addcmul(x, x, x, value=2)]),
    (div + add, [lambda x: torch.addcdiv(x, x, x)]),
    (div + add + mul, [lambda x: torch.addcdiv(x, x, x, value=0.1)]),
    (2 * add + mul, [lambda x: torch.lerp(x, x, 0.3), lambda x: torch.lerp(x, x, x)]),
    (
        cmp,
        [
            torch.neg,
            lambda x: -x,
            torch.abs,
            abs,
            torch.sign,
            torch.round,
            partial(torch.round, decimals=2),
            torch.floor,
            torch.ceil,
            torch.trunc,
            lambda x: x == x,
            lambda x: x != 1,
            lambda x: x < x,
            lambda x: x >= 0,
            lambda x: torch.where(torch.ones_like(x, dtype=torch.bool), x, x),
            torch.isnan,
            lambda x: torch.minimum(x, x),
            lambda x: torch.maximum(x, x),
            lambda x: torch.max(x, x),
            lambda x: torch.min(x, x),
            lambda x: torch.fmax(x, x),
            lambda x: torch.clamp(x, min=0),
            lambda x: torch.clamp(x, max=x),
            lambda x: torch.clamp_min(x, 0),
        ],
    ),
    (2 * cmp, [lambda x: torch.clamp(x, 0, 1), lambda x: torch.clip(x, x, x), lambda x: x.clamp(0, 6)]),
    (special, [getattr(torch, name) for name in SPECIAL.split()] + [lambda x: torch.atan2(x, x)]),
    (mul, [lambda x: F.dropout(x, 0.3), lambda x: torch.dropout(x, 0.3, True)]),
    (Cost(), [lambda x: F.dropout(x, 0.3, training=False), lambda x: torch.dropout(x, 0.3, False)]),
    # a x + b, where a and b are what the mask says
    (mul + add, [lambda x: F.alpha_dropout(x, 0.3, True)]),
    (Cost(), [lambda x: F.alpha_dropout(x, 0.3), lambda x: torch.alpha_dropout(x, 0.0, True)]),
    # a quotient, rounded
    (div + cmp, [lambda x: x // x, lambda x: torch.div(x, 2, rounding_mode="trunc")]),
    # x - y round(x / y)
    (div + cmp + mul + add, [lambda x: torch.fmod(x, x), lambda x: x % 3]),
    # x - trunc(x)
    (cmp + add, [torch.frac]),
    # other numbers for NaN, for infinity and for minus infinity
    (3 * cmp, [torch.nan_to_num]),
    # sqrt(x^2 + y^2)
    (2 * mul + add + special, [lambda x: torch.hypot(x, x)]),
    # log(exp x + exp y), and the same for powers of 2
    (3 * special + add, [lambda x: torch.logaddexp(x, x), lambda x: torch.logaddexp2(x, x)]),
    # x log y, and x log(1 + y)
    (special + mul, [lambda x: torch.xlogy(x, x), torch.special.entr]),
    (special + mul + add, [lambda x: torch.special.xlog1py(x, x)]),
    # sin(p) / p for p = pi x
    (mul + special + div, [torch.sinc]),
    # log(x / (1 - x)), of an x between two bounds
    (add + div + special, [torch.logit]),
    (2 * cmp + add + div + special, [lambda x: torch.logit(x, 0.1)]),
    # x^n: floor(log2 n) squarings, and a product for each further set bit
    (Cost(), [lambda x: x**0, lambda x: x**1, lambda x: torch.pow(x, 1.0)]),
    (mul, [lambda x: x**2, lambda x: x**2.0, lambda x: torch.pow(x, 2), lambda x: torch.float_power(x, 2)]),
    (2 * mul, [lambda x: x**3, lambda x: x**4]),  # 3 = 0b11, 4 = 0b100
    (4 * mul, [lambda x: x**7, lambda x: x**12]),  # 7 = 0b111: 2 + 2; 12 = 0b1100: 3 + 1
    (3 * mul, [lambda x: x**5, lambda x: x**8]),
    (div, [lambda x: x**-1]),
    (mul + div, [lambda x: x**-2, lambda x: x**-2.0]),
    (
        special,
        [
            lambda x: x**0.5,
            lambda x: x**-0.5,
            lambda x: x**2.5,
            lambda x: 2**x,
            lambda x: x**x,
            lambda x: torch.pow(x, meta(())),
            lambda x: torch.pow(x, float("inf")),
            lambda x: torch.pow(x, float("nan")),
        ],
    ),
    # views, copies, casts, creation
    (
        Cost(),
        [
            lambda x: x.clone(),
            lambda x: x.half(),
            lambda x: x.reshape(-1),
            torch.zeros_like,
            torch.rand_like,
            lambda x: x.contiguous(),
            lambda x: torch.cat([x.reshape(-1), x.reshape(-1)]),
            lambda x: x.detach(),
            lambda x: x.unsqueeze(0).expand(3, *x.shape),
            lambda x: F.pad(x.reshape(-1), (1, 2)),
        ],
    ),
]


@pytest.mark.parametrize("x", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize(("per_element", "functions"), PER_ELEMENT, ids=[str(cost) for cost, _ in PER_ELEMENT])
def test_per_element(per_element: Cost, functions: list[Callable[[Any], Any]], x: Tensor) -> None:
    assert [cost_of(function, x) for function in functions] == [per_element * x.numel()] * len(functions)


BROADCAST: dict[str, tuple[Callable[[], Any], Cost]] = {
    "add": (partial(operator.add, meta(3, 1), meta(5)), 15 * add),
    "add, alpha": (partial(torch.add, meta(3, 1), meta(5), alpha=2), 15 * (add + mul)),
    "a scalar tensor": (partial(operator.mul, meta(3, 5), meta(())), 15 * mul),
    "nothing": (partial(operator.mul, meta(0, 1), meta(5)), Cost()),
    "where": (partial(torch.where, meta(3, 1, dtype=torch.bool), meta(5), meta(2, 1, 1)), 30 * cmp),
    "addcmul": (partial(torch.addcmul, meta(5), meta(3, 1), meta(2, 1, 1)), 30 * (mul + add)),
    "clamp": (partial(torch.clamp, meta(5), meta(3, 1), meta(2, 1, 1)), 60 * cmp),
    "pow": (partial(torch.pow, meta(3, 1), meta(5)), 15 * special),
    "lerp": (partial(torch.lerp, meta(5), meta(3, 1), 0.5), 15 * (2 * add + mul)),
}


@pytest.mark.parametrize(("call", "expected"), BROADCAST.values(), ids=BROADCAST)
def test_broadcasting(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


x, y, out = meta(3, 5), meta(3, 5), meta(3, 5)


def augmented(operation: str) -> Callable[[], Any]:
    return partial(getattr(meta(3, 5), f"__i{operation}__"), y)


FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    "add": (
        add,
        [
            lambda: torch.add(x, y),
            lambda: x.add(y),
            lambda: x + y,
            lambda: torch.add(x, y, out=out),
            lambda: x.clone().add_(y),
            augmented("add"),
            lambda: torch.ops.aten.add.Tensor(x, y),
            lambda: torch._foreach_add([x], [y]),
        ],
    ),
    "sub": (
        add,
        [
            lambda: torch.sub(x, y),
            lambda: x - y,
            lambda: torch.rsub(y, x),
            lambda: x.clone().subtract_(y),
            augmented("sub"),
        ],
    ),
    "mul": (
        mul,
        [
            lambda: torch.mul(x, y),
            lambda: x.mul(y),
            lambda: x * y,
            lambda: torch.mul(x, y, out=out),
            augmented("mul"),
            lambda: torch._foreach_mul_([x], [y]),
        ],
    ),
    "div": (div, [lambda: torch.div(x, y), lambda: x / y, lambda: torch.div(x, y, out=out), augmented("truediv")]),
    "pow": (mul, [lambda: x**2, lambda: x.pow(2), lambda: x.clone().pow_(2), lambda: torch.pow(x, 2, out=out)]),
    "exp": (special, [lambda: x.exp(), lambda: torch.exp(x, out=out), lambda: x.clone().exp_()]),
    "compare": (cmp, [lambda: x > y, lambda: x.gt(y), lambda: torch.gt(x, y), lambda: x.clone().gt_(y)]),
    "dropout": (
        mul,
        [
            lambda: F.dropout(x),
            partial(nn.Dropout(), x),
            lambda: F.dropout(x.clone(), inplace=True),
            lambda: torch.native_dropout(x, 0.5, True),
        ],
    ),
    "dropout in eval": (
        Cost(),
        [partial(nn.Dropout().eval(), x), lambda: torch.native_dropout(x, 0.5, False), partial(nn.Identity(), x)],
    ),
    "addcmul": (
        2 * mul + add,
        [
            lambda: torch.addcmul(x, x, y, value=2),
            lambda: x.clone().addcmul_(x, y, value=2),
            lambda: torch.addcmul(x, x, y, value=2, out=out),
            lambda: torch._foreach_addcmul([x], [x], [y], value=2),
            lambda: torch._foreach_addcmul([x], [x], [y], [2.0]),
        ],
    ),
}


@pytest.mark.parametrize(("per_element", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(per_element: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [15 * per_element] * len(forms)


def test_lists_of_tensors_cost_what_their_tensors_cost() -> None:
    tensors = [meta(3), meta(2, 5), meta(0), meta(())]  # 14 elements
    assert cost_of(torch._foreach_add, tensors, tensors, alpha=2) == 14 * (add + mul)
    assert cost_of(torch._foreach_mul_, tensors, 3.0) == 14 * mul
    assert cost_of(torch._foreach_sqrt, tensors) == 14 * special
    assert cost_of(torch._foreach_pow, tensors, [2, 3, 2, 0.5]) == (3 + 2 * 10) * mul + special
    # a value of 1 is not multiplied with
    assert (
        cost_of(torch._foreach_addcdiv_, tensors, tensors, tensors, [1.0, 2.0, 3.0, 1.0]) == 14 * (div + add) + 10 * mul
    )
    assert cost_of(torch._foreach_norm, [meta(3), meta(2, 5)]) == 13 * mul + (2 + 9) * add + 2 * special
    assert cost_of(torch._foreach_copy_, tensors, tensors) == Cost()


@pytest.mark.parametrize(("operator", "others"), [("_standard_gamma_grad", 1), ("_dirichlet_grad", 2)])
def test_the_derivative_of_a_sample_is_one_special_function(operator: str, others: int) -> None:
    assert formula_cost(getattr(aten, operator).default, *[x] * (1 + others), out=x) == Cost(special=15)


OTHERS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "isin": (partial(torch.isin, x, meta(2, 2)), Cost(cmp=15 * 4)),
    "isin a number": (partial(torch.isin, x, 2.0), Cost(cmp=15)),
    "a number isin": (partial(torch.isin, 2.0, x), Cost(cmp=15)),
    # |x - y| <= atol + rtol |y|
    "isclose": (partial(torch.isclose, x, meta(5)), 15 * Cost(mul=1, add=2, cmp=3)),
    "isclose, integers": (partial(torch.isclose, meta(3, dtype=torch.int64), meta(3, dtype=torch.int64)), Cost()),
    "frexp": (partial(torch.frexp, x), Cost(cmp=15)),
    "alpha dropout of channels": (partial(torch.feature_alpha_dropout, x, 0.3, True), 15 * (mul + add)),
    # (a2 b3 - a3 b2, ...)
    "cross": (partial(torch.linalg.cross, meta(5, 3), meta(5, 3)), 15 * Cost(mul=2, add=1)),
    # r cos(t) + i r sin(t)
    "polar": (partial(torch.polar, x, y), 15 * Cost(special=2, mul=2)),
    "fused dropout": (partial(torch._fused_dropout, x, 0.5), Cost(mul=15)),
    "masked scale": (partial(torch._masked_scale, x, meta(3, 5, dtype=torch.uint8), 2.0), Cost(mul=15)),
}


@pytest.mark.parametrize(("call", "expected"), OTHERS.values(), ids=OTHERS)
def test_other_operators(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


@pytest.mark.parametrize(
    ("names", "per_element"),
    [("add sub", Cost(add=1)), ("mul", Cost(mul=1)), ("div", Cost(div=1)), ("neg where", Cost(cmp=1))],
)
def test_the_operators_of_which_torch_makes_references(names: str, per_element: Cost) -> None:
    given = {"neg": (x,), "where": (x > 0, x, x)}
    for name in names.split():
        assert cost_of(getattr(torch.ops.prims, name), *given.get(name, (x, x))) == 15 * per_element


@pytest.mark.parametrize(("alpha", "scaled"), [(1, 0), (3, 1)])
def test_a_sum_and_a_rectifier(alpha: int, scaled: int) -> None:
    assert formula_cost(aten._add_relu.Tensor, x, y, alpha=alpha, out=out) == 15 * Cost(add=1, mul=scaled, cmp=1)


def test_whether_all_pairs_are_close() -> None:
    assert formula_cost(aten.allclose.default, x, meta(5), out=True) == 15 * Cost(mul=1, add=2, cmp=3)
