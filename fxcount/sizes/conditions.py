"""`Condition`: what has to hold of symbolic sizes for the costs in them."""

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

from fxcount.sizes.expressions import names_in, put_in, symbol, written


class Condition(NamedTuple):
    """One relation between sizes."""

    relation: Any
    """A relation of sympy, such as ``length <= 512``."""
    place: str
    """Where in the model it was asked, or what says so."""
    is_exception: bool = False
    """Whether it leaves out single sizes that the model takes and torch computes otherwise; `at` counts there anew."""

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether it is true of these sizes."""
        return bool(self.at(sizes))

    def at(self, sizes: Mapping[str, int]) -> Any:
        """The relation with these numbers put in."""
        return self.relation.xreplace(_numbers(sizes))

    @property
    def most(self) -> int | None:
        """The largest size that it allows, where it is a bound of one."""
        import sympy

        is_bound = isinstance(self.relation, sympy.Le) and self.relation.lhs.is_Symbol and self.relation.rhs.is_Integer
        return int(self.relation.rhs) if is_bound else None

    @property
    def names(self) -> frozenset[str]:
        """The sizes that it is about."""
        return names_in(self.relation)

    def __str__(self) -> str:
        import sympy

        if self.relation is sympy.true:
            return self.place
        return f"{relation_text(self.relation)} ({self.place})" if self.place else relation_text(self.relation)


def _numbers(sizes: Mapping[str, int]) -> dict[Any, Any]:
    import sympy

    return {symbol(name): sympy.Integer(size) for name, size in sizes.items()}


def relation_text(relation: Any) -> str:
    """A relation as people write it: ``height % 32 == 0``."""
    import sympy

    sides = {sympy.Eq: "==", sympy.Ne: "!="}
    for kind, sign in sides.items():
        if isinstance(relation, kind):
            return f"{_side(relation.lhs)} {sign} {_side(relation.rhs)}"
    return written(relation)


def _side(side: Any) -> str:
    import sympy

    if isinstance(side, sympy.Mod):
        value, divisor = side.args
        return f"{written(value) if value.is_Symbol else f'({written(value)})'} % {written(divisor)}"
    return written(side)


def isolated(relation: Any) -> Iterator[Any]:
    """The relations that one asks for together, each with a size alone on its left where it can stand so; none of what
    holds for all sizes."""
    import sympy

    if isinstance(relation, sympy.And):
        for part in relation.args:
            yield from isolated(part)
    elif isinstance(relation, sympy.Ne) and relation.rhs == 0 and relation.lhs.is_nonnegative:
        for factor in sympy.Mul.make_args(relation.lhs):
            yield from isolated(sympy.Ge(factor, 1))
    elif isinstance(relation, sympy.Rel):
        alone = _alone(relation)
        if alone not in (sympy.true, sympy.false) and not _always_holds(alone):
            yield alone
    elif relation is not sympy.true:
        yield relation


def _alone(relation: Any) -> Any:
    """The relation with one name on its left, if there is but one and it is linear in it."""
    import sympy

    if not isinstance(relation, sympy.Rel):
        return relation
    difference = sympy.expand(relation.lhs - relation.rhs)
    rest, variable = difference.as_coeff_Add()
    factor, core = variable.as_coeff_Mul()
    if not (rest.is_Rational and factor.is_Rational and factor):
        return relation
    bound, kind = -rest / factor, relation.func if factor > 0 else relation.reversed.func
    if kind in (sympy.Eq, sympy.Ne):
        if core.is_integer and not bound.is_Integer:
            return sympy.false if kind is sympy.Eq else sympy.true
        return kind(core, bound)
    if kind is sympy.Lt:
        bound, kind = sympy.ceiling(bound) - 1, sympy.Le
    elif kind is sympy.Gt:
        bound, kind = sympy.floor(bound) + 1, sympy.Ge
    elif kind is sympy.Le:
        bound = sympy.floor(bound)
    else:
        bound = sympy.ceiling(bound)
    if isinstance(core, sympy.floor) and kind is sympy.Ge:
        return _alone(sympy.Ge(core.args[0], bound))
    if isinstance(core, sympy.floor):
        return _alone(sympy.Lt(core.args[0], bound + 1))
    if isinstance(core, sympy.ceiling) and kind is sympy.Ge:
        return _alone(sympy.Gt(core.args[0], bound - 1))
    if isinstance(core, sympy.ceiling):
        return _alone(sympy.Le(core.args[0], bound))
    return kind(core, bound)


LONGEST_PERIOD = 2**10


def _always_holds(relation: Any) -> bool:
    """Whether a relation of one size, in floors and ceilings of ratios, holds for all sizes: as the difference of its
    sides grows by the same amount in each period, the first one tells."""
    import sympy

    names = [*names_in(relation)]
    difference = relation.lhs - relation.rhs
    parts = [*sympy.preorder_traversal(difference)]
    kinds = (sympy.Add, sympy.Mul, sympy.Symbol, sympy.Rational, sympy.floor, sympy.ceiling)
    scaled = (part.args[0].is_Rational for part in parts if isinstance(part, sympy.Mul))
    if len(names) != 1 or not all(isinstance(part, kinds) for part in parts) or not all(scaled):
        return False
    period = prod(int(part.q) for part in parts if isinstance(part, sympy.Rational))
    if period > LONGEST_PERIOD or not isinstance(relation, sympy.Le | sympy.Ge):
        return False
    sign = 1 if isinstance(relation, sympy.Ge) else -1
    first, second = ([put_in(difference, {names[0]: start + n}) for n in range(1, period + 1)] for start in (0, period))
    return all(sign * a >= 0 and sign * (b - a) >= 0 for a, b in zip(first, second, strict=True))


def tightest(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions without bounds that others imply."""
    import sympy

    kept: dict[Any, Condition] = {}
    for condition in conditions:
        relation = condition.relation
        is_bound = isinstance(relation, sympy.Ge | sympy.Le) and relation.rhs.is_Integer
        key = (relation.func, relation.lhs) if is_bound else relation if condition.names else condition.place
        known = kept.get(key)
        if known is None or (
            is_bound and known.relation != relation and bool(relation.func(relation.rhs, known.relation.rhs))
        ):
            kept[key] = condition
    return tuple(kept.values())


def excluded(relation: Any) -> Any:
    """The relation of what a condition leaves out, where that is single sizes, such as one; None of any other."""
    import sympy

    if isinstance(relation, sympy.Ne):
        return sympy.Eq(relation.lhs, relation.rhs)
    if isinstance(relation, sympy.Ge) and relation.rhs == 2:
        return sympy.Eq(relation.lhs, 1)
    return None


def caveat(text: str) -> Condition:
    """What cannot be said as a relation: `at` counts anew at all sizes."""
    import sympy

    return Condition(sympy.true, text, is_exception=True)


def more_than_one(name: str) -> Any:
    """The relation that leaves out a size of one."""
    import sympy

    return sympy.Ge(symbol(name), 2)


def within(name: str, bounds: tuple[int, int | None]) -> Iterator[Any]:
    """The relations that a least and a largest size are; none of what holds for all sizes."""
    import sympy

    least, largest = bounds
    if least > 1:
        yield sympy.Ge(symbol(name), least)
    if largest is not None:
        yield sympy.Le(symbol(name), largest)


def solved(equality: Any, sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Sizes of which an equality is true: those given, with one of them changed, or all of them one."""
    import sympy

    for name in sorted(names_in(equality)):
        others = {other: size for other, size in sizes.items() if other != name}
        difference = sympy.expand((equality.lhs - equality.rhs).xreplace(_numbers(others)))
        rest, variable = difference.as_coeff_Add()
        factor, core = variable.as_coeff_Mul()
        if core == symbol(name) and (-rest / factor).is_Integer and -rest / factor >= 1:
            yield {**sizes, name: int(-rest / factor)}
        elif core != symbol(name):
            found = (size for size in range(1, 2 * sizes[name]) if put_in(difference, {name: size}) == 0)
            yield from ({**sizes, name: size} for size in (next(found, None),) if size is not None)
    yield dict.fromkeys(sizes, 1)
