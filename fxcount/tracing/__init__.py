"""From a model and an example to a graph, by the first tracer that can."""

from fxcount.tracing.call import ExampleCall
from fxcount.tracing.model import CountedModel
from fxcount.tracing.modules import hooks_of_call
from fxcount.tracing.recorded import execute, record
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
