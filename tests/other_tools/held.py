"""A model counted here, and by every tool."""

from __future__ import annotations

from dataclasses import dataclass, field

from fxcount import FxcountError, GraphCost, count_graph
from fxcount.tool_count import ToolCount
from tests.other_tools.models import made
from tests.other_tools.tools import TOOLS, printed


@dataclass
class Held:
    """What a tool prints for a model, and what its rule says."""

    tool: str
    printed: int | None = None
    """None where the tool fails."""
    error: str = ""
    """How it fails."""
    count: ToolCount | None = None
    """None where the rule cannot be stated."""
    unstated: str = ""
    """Why it cannot."""
    recorded: bool = False
    """Whether the count had to be ``recorded``."""

    @property
    def is_equal(self) -> bool:
        """Whether both are there and the same."""
        return self.printed is not None and self.count is not None and self.count.total == self.printed

    @property
    def why_not(self) -> str:
        """Why they are not equal, in words."""
        if self.printed is None:
            return f"the tool fails: {self.error}"
        if self.count is None:
            return f"it prints {self.printed:,}, and the rule is not stated: {self.unstated}"
        return f"it prints {self.printed:,}, and the rule says {self.count.total:,}"


@dataclass
class HeldModel:
    """A model and all tools."""

    name: str
    cost: GraphCost
    tools: dict[str, Held] = field(default_factory=dict)


def held(name: str) -> HeldModel:
    """The model, counted by every tool and by its rule."""
    model, x = made(name)
    found = HeldModel(name, count_graph(model, x))
    recorded: GraphCost | None = None
    for tool in TOOLS:
        result = found.tools[tool] = Held(tool)
        try:
            result.printed = printed(tool, model, x)
        except Exception as error:
            result.error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        try:
            result.count = found.cost.as_counted_by(tool)
        except FxcountError:
            recorded = recorded or count_graph(model, x, tracer="recorded")
            result.recorded = True
            try:
                result.count = recorded.as_counted_by(tool)
            except FxcountError as error:
                result.unstated = str(error)
    return found
