"""The public names, which ``fxcount`` has when they are asked for."""

import importlib
from typing import TYPE_CHECKING, Any

from fxcount.cost import CONVENTIONS, Convention, Cost, OperatorCost, OptimizerStep, TensorInfo
from fxcount.count import count_graph
from fxcount.errors import (
    ConventionError,
    DataNeededError,
    FormulaError,
    FxcountError,
    InputError,
    SizeError,
    TracingError,
    UncountedError,
)
from fxcount.formulas import register_formula
from fxcount.graph_cost import GraphCost
from fxcount.result.communication import Collective, Communication
from fxcount.result.costed_graph import OperatorTotal
from fxcount.result.counted_call import CountedCall
from fxcount.result.counts import Counts
from fxcount.result.module_cost import ModuleCost
from fxcount.result.node_cost import NodeCost
from fxcount.result.operator_calls import OperatorCall
from fxcount.sizes.conditions import Condition

if TYPE_CHECKING:
    from fxcount.analyses.device import Device
    from fxcount.analyses.generation import GenerationPart
    from fxcount.analyses.other_tools.record import ToolPart
    from fxcount.analyses.pipeline import StageCost
    from fxcount.analyses.roofline import CallAtBest, TimeAtBest
    from fxcount.fake_mesh import fake_mesh
    from fxcount.generation import GenerationCost, count_generation
    from fxcount.memory import count_memory
    from fxcount.memory_cost import MemoryCost
    from fxcount.pipeline import PipelineCost, count_pipeline
    from fxcount.result.memory_record import Allocation, ModuleMemory, Moment
    from fxcount.result.picture import Picture
    from fxcount.roofline import Roofline
    from fxcount.step import StepCost, count_step
    from fxcount.tool_count import ToolCount

LATER = {
    "Allocation": "fxcount.result.memory_record",
    "MemoryCost": "fxcount.memory_cost",
    "ModuleMemory": "fxcount.result.memory_record",
    "Moment": "fxcount.result.memory_record",
    "count_memory": "fxcount.memory",
    "CallAtBest": "fxcount.analyses.roofline",
    "Device": "fxcount.analyses.device",
    "GenerationCost": "fxcount.generation",
    "GenerationPart": "fxcount.analyses.generation",
    "count_generation": "fxcount.generation",
    "Picture": "fxcount.result.picture",
    "PipelineCost": "fxcount.pipeline",
    "StageCost": "fxcount.analyses.pipeline",
    "count_pipeline": "fxcount.pipeline",
    "Roofline": "fxcount.roofline",
    "StepCost": "fxcount.step",
    "count_step": "fxcount.step",
    "fake_mesh": "fxcount.fake_mesh",
    "ToolCount": "fxcount.tool_count",
    "ToolPart": "fxcount.analyses.other_tools.record",
    "TimeAtBest": "fxcount.analyses.roofline",
}
"""The names that are loaded when they are asked for, for who only counts need not wait for them."""


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LATER[name]), name)


__all__ = [
    "CONVENTIONS",
    "Allocation",
    "CallAtBest",
    "Collective",
    "Communication",
    "Condition",
    "Convention",
    "ConventionError",
    "Cost",
    "CountedCall",
    "Counts",
    "DataNeededError",
    "Device",
    "FormulaError",
    "FxcountError",
    "GenerationCost",
    "GenerationPart",
    "GraphCost",
    "InputError",
    "MemoryCost",
    "ModuleCost",
    "ModuleMemory",
    "Moment",
    "NodeCost",
    "OperatorCall",
    "OperatorCost",
    "OperatorTotal",
    "OptimizerStep",
    "Picture",
    "PipelineCost",
    "Roofline",
    "SizeError",
    "StageCost",
    "StepCost",
    "TensorInfo",
    "TimeAtBest",
    "ToolCount",
    "ToolPart",
    "TracingError",
    "UncountedError",
    "count_generation",
    "count_graph",
    "count_memory",
    "count_pipeline",
    "count_step",
    "fake_mesh",
    "register_formula",
]
