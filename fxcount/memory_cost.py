"""`MemoryCost`: what `count_memory` returns, with the views that people read it in."""

from fxcount.result.memory_record import MemoryRecord
from fxcount.views.memory_plot import memory_picture
from fxcount.views.memory_table import memory_overview, memory_table, memory_to_csv, memory_to_dict, memory_to_json
from fxcount.views.terminal import terminal_width
from fxcount.views.units import size_text


class MemoryCost(MemoryRecord):
    """The memory of a model; ``print`` shows it as a table."""

    def __str__(self) -> str:
        return memory_overview(self, width=terminal_width())

    def __repr__(self) -> str:
        saved = f", saved={size_text(self.saved)}" if self.has_backward else ""
        return f"MemoryCost(peak={size_text(self.peak)}{saved}, {len(self.timeline)} operators, {self.device})"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{memory_overview(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the memory.
    table = memory_table
    to_dict = memory_to_dict
    to_json = memory_to_json
    to_csv = memory_to_csv
    plot = memory_picture
