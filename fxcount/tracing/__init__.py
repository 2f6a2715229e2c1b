"""From a model and an example to a graph, by the first tracer that can."""

from fxcount.tracing.call import ExampleCall
from fxcount.tracing.model import runnable
from fxcount.tracing.recorded import execute, has_data, record
from fxcount.tracing.symbolic import trace_symbolically
from fxcount.tracing.trace import Trace, TracedModule

__all__ = ["ExampleCall", "Trace", "TracedModule", "execute", "has_data", "record", "runnable", "trace_symbolically"]
