"""What other tools print for a count: the rule of each, a file each, read off its operators and modules.

The rules were found by reading the tools and are held to them by ``python -m tests.other_tools``.
"""

from fxcount.analyses.other_tools.counted import TOOLS, counted_by
from fxcount.analyses.other_tools.record import ToolPart, ToolRecord

__all__ = ["TOOLS", "ToolPart", "ToolRecord", "counted_by"]
