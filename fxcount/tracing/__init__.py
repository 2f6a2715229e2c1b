"""From a model and an example to a graph: symbolic, recorded or executed."""
