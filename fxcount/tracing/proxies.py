"""Proxies that do not let a model take a wrong branch unnoticed.

A proxy of `torch.fx` answers questions about its type as what it is, a proxy: ``isinstance(x, torch.Tensor)`` is False
and ``hasattr(x, "anything")`` is True, so a model that asks takes a branch that it would not take with a tensor. These
proxies refuse to answer. (To answer as a tensor would be worse: C++ would believe it.)
"""

from __future__ import annotations

import dis
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch
from torch import fx
from torch.fx.proxy import Attribute

from fxcount.engine.refusals import Refusal, refused
from fxcount.errors import TracingError
from fxcount.fault_origin import is_model_code


class CannotTrace(Refusal):
    """The model asks for what only a value has."""


READ_BY_IDENTITY = frozenset({"dtype", "layout", "grad", "grad_fn", "names", "requires_grad", "is_leaf"})
"""Attributes that a model compares with ``is``, which no proxy sees."""


ASK_FOR_SIZES = frozenset(
    {"size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "element_size", "is_contiguous"}
    | {"is_floating_point", "is_complex", "__len__"}
)
"""Functions that every tensor of the model can answer without a value."""


def refuse(question: str, tracer: Any = None) -> NoReturn:
    """
    Raises:
        CannotTrace: always, but of a value whose ``tracer`` traces no more.
        TracingError: then.
    """
    if getattr(tracer, "is_over", False):
        refuse_leftover()
    raise CannotTrace(f"{question} of a traced value was asked for")


def refuse_leftover() -> NoReturn:
    """
    Raises:
        TracingError: always.
    """
    raise refused(
        TracingError("a traced value that the model kept of a count that is over: it stands for no tensor any more")
    )


_MAY_ASK = ("torch.fx.", "torch.nn.modules.module")
"""Code of torch that is made for proxies, or asks of what is set on a module only whether it is a parameter."""


def _model_asks() -> bool:
    """Whether the code that asks, two frames above, is the model's, or torch's own that a model calls."""
    name = sys._getframe(2).f_globals.get("__name__", "")
    return is_model_code(name) or (name.partition(".")[0] == "torch" and not name.startswith(_MAY_ASK))


class Text(str):
    """The text of a proxy: for messages, which are seldom read, and not for comparisons."""

    def _refuse(self, *others: Any) -> NoReturn:
        refuse("the text")

    __eq__ = __ne__ = __hash__ = __contains__ = startswith = endswith = _refuse

    def __add__(self, other: Any) -> Any:
        return Text(str.__add__(self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Text(str.__add__(other, self)) if isinstance(other, str) else NotImplemented


class _Guarded:
    """What all these proxies share: they refuse what they would answer wrongly."""

    def __getattr__(self, name: str) -> Any:
        if name in READ_BY_IDENTITY or not hasattr(torch.Tensor, name):
            self._refuse(f"the attribute {name!r}")
        return GuardedAttribute(self, name)  # type: ignore[arg-type]

    def __setattr__(self, name: str, value: Any) -> None:
        if _model_asks():
            self._refuse(f"a change of the attribute {name!r}")
        object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[Any]:
        """Unpacking into so many names is indexing, as `torch.fx` has it; it would disassemble the whole function. The
        nodes know that they belong together: of a tensor, Python takes all parts at once."""
        frame = sys._getframe(1)
        instruction, count = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 2]
        if dis.opname[instruction] != "UNPACK_SEQUENCE":
            self._refuse("the items")
        together, items = object(), [self[position] for position in range(count)]  # type: ignore[index]
        for item in items:
            item.node.meta["unpacked"] = together
        return iter(items)

    @property
    def __class__(self) -> Any:
        if _model_asks():
            self._refuse("the type")
        return type(self)

    @__class__.setter
    def __class__(self, value: Any) -> None:
        self._refuse("a change of the class")

    def __hash__(self) -> int:
        if _model_asks():
            self._refuse("the hash")
        return id(self)

    def __repr__(self) -> str:
        node = vars(self).get("node")  # in a message, none is made
        return Text(f"{type(self).__name__}({node.name if node else ''})")

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        self._refuse("the truth")

    keys = property(lambda self: self._refuse("the attribute 'keys'"))  # which every proxy has, and no tensor

    def _refuse(self, question: str) -> NoReturn:
        refuse(question, vars(self).get("tracer"))

    def _refuse_value(self, *args: Any) -> NoReturn:
        self._refuse("the value")

    __len__ = __contains__ = __index__ = __int__ = __float__ = __complex__ = __round__ = _refuse_value
    __setitem__ = __delitem__ = _refuse_value


class GuardedProxy(_Guarded, fx.Proxy):
    """Stands for an input or the result of a call."""

    def __init__(self, node: fx.Node, tracer: fx.Tracer) -> None:
        vars(self).update(node=node, tracer=tracer)


class _GuardedQuestion(_Guarded, fx.Proxy):
    """Stands for what a function answers about a proxy; most are only called or asserted, so the node is made when it
    is used."""

    _question: tuple[Callable[..., Any], tuple[Any, ...]]

    @property
    def node(self) -> fx.Node:  # type: ignore[override]
        made: fx.Node | None = vars(self).get("node")
        if made is None:
            made = vars(self)["node"] = self.tracer.create_proxy("call_function", *self._question, {}).node
        return made


class GuardedAnswer(_GuardedQuestion):
    """Stands for what comparing an attribute gives."""

    def __init__(self, question: Callable[..., Any], attribute: GuardedAttribute, other: Any) -> None:
        vars(self).update(tracer=attribute.tracer, _question=(question, (attribute, other)))


def _compares(question: Callable[..., Any]) -> Callable[..., GuardedAnswer]:
    return lambda attribute, other: GuardedAnswer(question, attribute, other)


class GuardedAttribute(_GuardedQuestion, Attribute):
    """Stands for an attribute of a proxy, such as ``x.shape``."""

    def __init__(self, root: fx.Proxy, attr: str) -> None:
        vars(self).update(root=root, attr=attr, tracer=root.tracer, _question=(getattr, (root, attr)))

    __eq__ = _compares(operator.eq)  # type: ignore[assignment]
    __ne__ = _compares(operator.ne)  # type: ignore[assignment]
    __lt__ = _compares(operator.lt)
    __le__ = _compares(operator.le)
    __gt__ = _compares(operator.gt)
    __ge__ = _compares(operator.ge)
    __hash__ = _Guarded.__hash__
