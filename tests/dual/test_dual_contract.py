"""Every built-in rule passes the contract suite for custom rules, on a shared table of problems."""

from __future__ import annotations

import pytest
import torch
from support.problems import AFFINE, PROBLEMS, Problem

from autodual.dual import registered
from autodual.ir import ops

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_every_rule_has_a_problem() -> None:
    tried = {type(problem.op) for problem in PROBLEMS}
    assert {op for op, _ in registered()} <= tried
    assert ops.Input not in tried


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_rules_keep_their_contract(problem: Problem) -> None:
    problem.check()


@CUDA
@pytest.mark.parametrize("problem", [*AFFINE[::7], *(p for p in PROBLEMS if p not in AFFINE)], ids=str)
def test_rules_keep_their_contract_on_a_gpu(problem: Problem) -> None:
    problem.check(device="cuda")
