"""From a model and an example to a graph, by the first tracer that can."""

from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.module_calls import hooks_of_call
from fxcount.tracing.recorder import execute, record
from fxcount.tracing.symbolic import trace_symbolically
from fxcount.tracing.trace import Trace, TracedModule

__all__ = [
    "CountedModel",
    "ExampleCall",
    "Trace",
    "TracedModule",
    "execute",
    "hooks_of_call",
    "record",
    "trace_symbolically",
]
