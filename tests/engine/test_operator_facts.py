"""What is read off the schema and the tags of an operator."""

import torch

from fxcount.engine.operator_facts import facts_on

aten = torch.ops.aten


def test_what_an_operator_does_to_its_arguments() -> None:
    x, y = torch.zeros(2), torch.zeros(2)
    assert facts_on(aten.add_.Tensor).tensors_written([x, y], {}) == [x]
    assert facts_on(aten.add.out).tensors_written([x, x], {"out": y}) == [y]
    assert facts_on(aten.add.Tensor).tensors_written([x, y], {}) == []
    norm = facts_on(aten.batch_norm.default)  # whose schema does not say that it updates the running statistics
    assert norm.tensors_written([x, None, None, y, y, True, 0.1, 1e-5, True], {}) == [y, y]
    assert facts_on(aten.view.default).may_return_views
    assert facts_on(aten.chunk.default).may_return_views
    assert not facts_on(aten.clone.default).may_return_views


def test_what_a_collective_does_to_its_arguments() -> None:
    """Their schemas say nothing of it."""
    x, y, c10d = torch.zeros(2), torch.zeros(2), torch.ops.c10d
    assert facts_on(c10d._allgather_base_.default).tensors_written([x, y, None], {}) == [x]
    assert facts_on(c10d.allreduce_.default).tensors_written([[x, y], None, None, None], {}) == [x, y]
    assert facts_on(c10d.allreduce_.default).is_random
    assert facts_on(torch.ops._c10d_functional.all_reduce.default).is_random


def test_what_the_result_of_an_operator_depends_on() -> None:
    assert facts_on(aten.nonzero.default).needs_values
    assert facts_on(aten._local_scalar_dense.default).needs_values
    assert not facts_on(aten.relu.default).needs_values
    assert facts_on(aten.bernoulli.default).is_random
    assert not facts_on(aten.relu.default).is_random
    assert facts_on(aten.zeros.default).creates
    assert not facts_on(aten.zeros_like.default).creates
    assert facts_on(aten.lift_fresh.default).lifts


def test_the_facts_are_read_once() -> None:
    assert facts_on(aten.relu.default) is facts_on(aten.relu.default)
    assert facts_on(aten.relu.default).name == "aten.relu"
