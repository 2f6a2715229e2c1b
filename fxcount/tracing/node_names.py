"""`NodeNames`: the names of a graph's nodes, those that `torch.fx` gives, made without its regular expressions."""

from typing import Any

from torch import fx

from fxcount._torch import ILLEGAL_NAMES, Namespace, name_counts, target_name, used_names


class NodeNames(Namespace):
    """Names that are valid in Python, each given once."""

    def __init__(self, graph: fx.Graph) -> None:
        super().__init__()
        self._graph = graph
        self._stems: dict[Any, str] = {}
        self._used, self._counts = used_names(self), name_counts(self)
        self._plain: set[str] = set()

    def name_call_of(self, target: Any) -> str:
        """A new name for a node that calls ``target``."""
        stem = self._stems.get(target)
        if stem is None:
            # Of __add__ torch.fx makes "add".
            is_simple = isinstance(target, str) and target.islower() and not target.startswith("__")
            stem = target.replace(".", "_") if is_simple else target_name(self._graph, target)
            self._stems[target] = stem
        return self.create_name(stem, None)

    def create_name(self, candidate: str, obj: object | None) -> str:
        """``candidate`` itself if nothing has that name, else with a number."""
        if candidate not in self._plain or obj is not None:
            plain = candidate.isascii() and candidate.isidentifier() and not candidate[-1].isdigit()
            if not plain or candidate in ILLEGAL_NAMES or obj is not None:
                return super().create_name(candidate, obj)
            self._plain.add(candidate)
        name, number = candidate, self._counts.get(candidate, 0)
        while name in self._used:
            number += 1
            name = f"{candidate}_{number}"
        self._used.add(name)
        self._counts[candidate] = number
        return name
