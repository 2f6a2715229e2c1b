"""The registry: what it refuses, and that it leaves no operator of torch out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
import torch

import fxcount
from fxcount import Cost, register_formula
from fxcount.cost import FIELDS
from fxcount.errors import FormulaError
from fxcount.formulas import FORMULAS, OF_COMPLEX, REFUSED, find_formula, operator_name
from fxcount.formulas.formula import Formula, OperatorFormula, RefusedError
from fxcount.formulas.number_kinds import Arithmetic
from fxcount.formulas.registry import (
    ALIASES,
    aliases,
    formula,
    formula_named,
    formula_of,
    formulas,
    formulas_by_name,
    of_complex,
    refuse,
)

aten = torch.ops.aten


def overloads(name: str) -> list[torch._ops.OpOverload]:
    """The overloads of an operator such as ``aten.conv2d``; none where this torch does not have it."""
    namespace, _, packet_name = name.partition(".")
    packet = getattr(getattr(torch.ops, namespace), packet_name, None)
    return [getattr(packet, overload) for overload in packet.overloads()] if packet is not None else []


def every_operator() -> list[torch._ops.OpOverload]:
    """Every operator of aten that is registered with the dispatcher, with all its overloads."""
    # Private, and the only list there is: the public torch.ops.aten learns of an operator when it is first asked for.
    registered = sorted(torch._C._dispatch_get_all_op_names())
    names = [name.removeprefix("aten::").partition(".") for name in registered if name.startswith("aten::")]
    return [getattr(getattr(aten, packet), overload or "default") for packet, _, overload in names]


@pytest.fixture
def registry() -> Iterator[None]:
    """Whatever a test registers is gone after it."""
    tables: tuple[dict[str, Any], ...] = (FORMULAS, OF_COMPLEX, ALIASES, REFUSED)
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


def measured(x: Any, *, out: Any) -> dict[str, int]:
    """Elements and outputs."""
    return {"elements": x.numel(), "outputs": out.numel()}


@pytest.mark.usefixtures("registry")
class TestRegistration:
    def test_names_are_those_of_aten_unless_they_say_otherwise(self) -> None:
        formula("made_up mine.made_up", "mul = outputs")(measured)
        assert FORMULAS["aten.made_up"] is FORMULAS["mine.made_up"]
        assert FORMULAS["aten.made_up"].family == "test_registry"
        assert FORMULAS["aten.made_up"].reason == "Elements and outputs."

    def test_a_second_formula_is_an_error(self) -> None:
        before = FORMULAS["aten.relu"]
        with pytest.raises(FormulaError, match=r"aten\.relu has a formula already, in fxcount\.formulas\.activations"):
            formula("relu", "cmp = outputs")(measured)
        assert FORMULAS["aten.relu"] is before

    def test_a_name_twice_in_one_table_is_an_error(self) -> None:
        with pytest.raises(FormulaError, match="has a formula already"):
            formulas({"mul = outputs": "made_up", "add = outputs": "made_up"})(measured)

    def test_an_equation_that_is_none_is_an_error_when_it_is_read(self) -> None:
        formula("made_up", "flops = outputs")(measured)
        with pytest.raises(FormulaError, match="not an equation"):
            FORMULAS["aten.made_up"].equation  # noqa: B018
        with pytest.raises(FormulaError, match="not an equation"):
            register_formula(torch.erfinv, "flops = outputs")(measured)

    def test_every_equation_is_one(self) -> None:
        assert all(each.equation is not None for each in (*formulas_by_name().values(), *OF_COMPLEX.values()))

    def test_a_second_formula_for_complex_numbers_is_an_error(self) -> None:
        before = OF_COMPLEX["aten.abs"]
        with pytest.raises(FormulaError, match=r"aten\.abs has a formula for complex numbers already"):
            of_complex({"mul = outputs": "abs"})(measured)
        assert OF_COMPLEX["aten.abs"] is before

    def test_what_has_a_formula_for_complex_numbers_has_one_for_real_ones(self) -> None:
        assert OF_COMPLEX.keys() - formulas_by_name().keys() == set()

    def test_a_table_gives_each_equation_its_operators(self) -> None:
        formulas({"mul = outputs": "made_up made_up_too", "add = outputs": "another"})(measured)
        assert FORMULAS["aten.made_up_too"].equation.text == "mul = outputs"
        assert FORMULAS["aten.another"].equation.text == "add = outputs"

    def test_an_alias_has_the_formula_of_another_operator(self) -> None:
        aliases({"relu": "made_up mine.made_up"})
        relu, alias = FORMULAS["aten.relu"], formula_named("mine.made_up")
        assert alias is not None
        assert (alias.measure, alias.family, alias.equation_text) == (relu.measure, relu.family, "cmp = outputs")
        assert formula_named("aten.made_up") is not None
        assert not alias.complex_stated

    def test_an_alias_of_several_does_one_after_the_other(self) -> None:
        aliases({"mul relu": "made_up"}, complex_stated=True)
        alias = formula_named("aten.made_up")
        assert alias is not None
        assert alias.equation_text == "mul = outputs, cmp = outputs"
        assert alias.complex_stated

    def test_an_alias_may_read_other_arguments(self) -> None:
        aliases({"pow": "made_up"}, adapt=lambda power: lambda base, *, out: power(base, 2, out=out))
        alias = formula_named("aten.made_up")
        assert alias is not None
        x = torch.ones(3, 5)
        assert alias.apply("made_up", [x], {"out": x}, Arithmetic.REAL).cost == Cost(mul=15)

    def test_an_alias_may_be_registered_before_what_it_stands_for(self) -> None:
        aliases({"made_up": "made_up_too"})
        formula("made_up", "mul = outputs")(measured)
        alias = formula_named("aten.made_up_too")
        assert alias is not None
        assert alias.measure is measured

    @pytest.mark.parametrize(
        "register",
        [
            lambda name: formula(name, "mul = outputs")(measured),
            lambda name: aliases({"relu": name}),
            lambda name: refuse(name, "its result depends on the data"),
        ],
    )
    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("relu", r"aten\.relu has a formula already, in fxcount\.formulas\.activations"),
            ("quantized.linear_relu", r"has a formula already, that of aten\.linear and aten\.relu"),
            ("choose_qparams_optimized", r"aten\.choose_qparams_optimized is refused already"),
        ],
    )
    def test_a_second_registration_is_an_error(self, register: Any, name: str, error: str) -> None:
        with pytest.raises(FormulaError, match=error):
            register(name)

    def test_refusal(self) -> None:
        refuse("made_up mine.made_up", "its result depends on the data")
        assert REFUSED["aten.made_up"] == REFUSED["mine.made_up"] == "its result depends on the data"


def fitted(operator: torch._ops.OpOverload, measure: Any, equation: str | None) -> OperatorFormula:
    family = Formula(measure, "tests", equation)
    return OperatorFormula(operator, operator_name(operator), family)


class TestFit:
    def test_an_argument_that_the_operator_lacks_is_an_error(self) -> None:
        with pytest.raises(FormulaError, match=r"reads 'scale', which aten\.relu\.default"):
            fitted(aten.relu.default, lambda x, *, scale: {}, "")

    def test_a_position_that_the_operator_lacks_is_an_error(self) -> None:
        with pytest.raises(FormulaError, match="reads 'y'"):
            fitted(aten.relu.default, lambda x, y: {}, "")

    def test_what_the_operator_lacks_may_have_a_default(self) -> None:
        call = fitted(aten.relu.default, lambda x, y=3, *, scale=2: {"n": y * scale}, "mul = n")
        assert call([torch.ones(1)], {}, torch.ones(1)).cost == Cost(mul=6)

    def test_a_default_is_that_of_the_schema(self) -> None:
        call = fitted(aten.leaky_relu.default, lambda x, *, negative_slope: {"n": negative_slope * 100}, "mul = n")
        assert call([torch.ones(1)], {}, torch.ones(1)).cost == Cost(mul=1)

    def test_arguments_are_found_by_position_and_by_name(self) -> None:
        call = fitted(aten.add.Tensor, lambda x, y, *, alpha: {"n": y.numel() * alpha}, "mul = n")
        x, y = torch.ones(1), torch.ones(5)
        assert call([x, y], {"alpha": 3}, x).cost == Cost(mul=15)
        assert call([x], {"other": y}, x).cost == Cost(mul=5)

    def test_one_number_stands_for_all_axes(self) -> None:
        call = fitted(aten.max_pool2d.default, lambda x, kernel: {"n": kernel[0] * kernel[1]}, "cmp = n")
        assert call([torch.ones(1), [3]], {}, torch.ones(1)).cost == Cost(cmp=9)

    def test_a_formula_may_return_a_cost_or_macs(self) -> None:
        x = torch.ones(1)
        assert fitted(aten.relu.default, lambda x: Cost(cmp=3), None)([x], {}, x).cost == Cost(cmp=3)
        assert fitted(aten.relu.default, lambda x: 3, None)([x], {}, x).cost == Cost(macs=3)

    @pytest.mark.parametrize("returned", [1.5, True, None, "3", {"n": 3}])
    def test_anything_else_is_an_error(self, returned: Any) -> None:
        with pytest.raises(FormulaError, match=r"formula of aten\.relu return"):
            fitted(aten.relu.default, lambda x: returned, None)([torch.ones(1)], {}, torch.ones(1))

    def test_a_refusal_is_uncounted_and_says_why(self) -> None:
        def refusing(x: Any) -> dict[str, int]:
            raise RefusedError("it depends on the data")

        call = fitted(aten.relu.default, refusing, "")([torch.ones(1)], {}, torch.ones(1))
        assert (call.name, call.cost, call.uncounted) == ("aten.relu", Cost(), "it depends on the data")

    def test_a_call_tells_its_equation_and_quantities(self) -> None:
        x = torch.ones(3, 5)
        call = fitted(aten.relu.default, measured, "cmp = outputs")([x], {}, x)
        assert (call.equation, call.quantities) == ("cmp = outputs", {"elements": 15, "outputs": 15})


@pytest.mark.parametrize(
    ("variant", "of"),
    [
        (aten.relu_.default, "aten.relu"),
        (aten.add_.Tensor, "aten.add"),
        (aten.add.out, "aten.add"),
        (aten._foreach_add.List, "aten.add"),
        (aten._foreach_add_.Scalar, "aten.add"),
        (aten.transpose.int, "aten.view"),
        (aten.transpose_copy.int, "aten.view"),
        (aten.expand.default, "aten.view"),
    ],
)
def test_variants_inherit(variant: torch._ops.OpOverload, of: str) -> None:
    assert formula_of(variant) is FORMULAS[of]


def test_every_formula_fits_its_operators() -> None:
    for name in formulas_by_name():
        for overload in overloads(name):
            assert find_formula(overload) is not None


def test_what_variants_inherit_fits_them() -> None:
    misfits = []
    for operator in every_operator():
        try:
            find_formula(operator)
        except FormulaError as error:
            misfits.append(str(error))
    assert misfits == []


def mentioned(function: FunctionType) -> set[str]:
    """Every string in the code of ``function``, and of the functions of ours that it calls or closes over."""
    found: set[str] = set()
    seen: set[CodeType] = set()

    def visit(code: CodeType, scope: dict[str, Any]) -> None:
        if code in seen:
            return
        seen.add(code)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                visit(constant, scope)
            found.update(
                item for item in (constant if isinstance(constant, tuple) else [constant]) if type(item) is str
            )
        for name in code.co_names:
            called = scope.get(name)
            if isinstance(called, FunctionType) and called.__module__.startswith("fxcount"):
                visit_function(called)

    def visit_function(function: FunctionType) -> None:
        visit(function.__code__, function.__globals__)
        for cell in function.__closure__ or ():
            if isinstance(cell.cell_contents, FunctionType):
                visit_function(cell.cell_contents)

    visit_function(function)
    return found


def returnable(function: FunctionType) -> set[str]:
    """The names that ``function`` can give to quantities, also those it makes of a prefix and a field of a cost."""
    found = mentioned(function)
    return found | {prefix + field for prefix in found if prefix.endswith("_") for field in FIELDS}


def test_every_equation_is_over_quantities_that_its_formula_returns() -> None:
    missing = {
        name: unknown
        for name, priced in (*formulas_by_name().items(), *OF_COMPLEX.items())
        if priced.equation and (unknown := priced.equation.names - returnable(priced.measure))
    }
    assert missing == {}


def test_every_formula_says_why() -> None:
    assert [name for name, priced in (*formulas_by_name().items(), *OF_COMPLEX.items()) if not priced.reason] == []


def test_nothing_is_both_counted_and_refused() -> None:
    assert sorted(formulas_by_name().keys() & REFUSED.keys()) == []


def is_composite(operator: torch._ops.OpOverload) -> bool:
    """Made of other operators on every device: it is counted by its parts."""
    return operator.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)


def is_decided(operator: torch._ops.OpOverload) -> bool:
    return operator_name(operator) in REFUSED or find_formula(operator) is not None or is_composite(operator)


def test_every_operator_of_torch_is_decided_upon() -> None:
    """Each has a formula, is free, is refused with a reason, or is counted by its parts."""
    undecided = {operator_name(operator): None for operator in every_operator() if not is_decided(operator)}
    assert list(undecided) == []


def test_autograd_itself_is_refused_with_a_reason() -> None:
    assert "autograd" in REFUSED["aten._backward"]


IN_REVERSED_ORDER = """
import importlib, json, pathlib, sys, types

root = pathlib.Path(sys.argv[1])
for name, folder in (("fxcount", root), ("fxcount.formulas", root / "formulas")):
    package = types.ModuleType(name)  # without its __init__, which imports the families in its own order
    package.__path__ = [str(folder)]
    sys.modules[name] = package
for file in sorted(root.glob("formulas/[!_]*.py"), reverse=True):
    importlib.import_module(f"fxcount.formulas.{file.stem}")

from fxcount.formulas.registry import REFUSED, formulas_by_name
print(json.dumps([
    {name: [each.family, each.equation_text, each.complex_stated, each.reason]
     for name, each in formulas_by_name().items()},
    REFUSED,
]))
"""


def test_families_may_be_imported_in_any_order() -> None:
    root = Path(fxcount.__file__).parent
    command = [sys.executable, "-c", IN_REVERSED_ORDER, str(root)]
    registered, refused = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert registered == {
        name: [each.family, each.equation_text, each.complex_stated, each.reason]
        for name, each in formulas_by_name().items()
    }
    assert refused == REFUSED
