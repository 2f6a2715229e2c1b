"""The data of a count: its nodes, its tree of modules, its operators."""
