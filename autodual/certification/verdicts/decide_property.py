"""`verify`: is there an input that violates a property? Attacks look for one, bounds prove that there is none."""

from __future__ import annotations

import math
from numbers import Real
from typing import get_args

import torch

from autodual.attacks import Attack, Pgd
from autodual.attacks.base import given_attack
from autodual.certification.deadline import in_time
from autodual.certification.same_network import require_same_network
from autodual.certification.verdicts.clock import Clock
from autodual.certification.verdicts.counterexample_confirmation import Judge, Replay, module_replay
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.exact_cases import ExactCases, require_no_counterexample
from autodual.certification.verdicts.open_cases import Problem
from autodual.certification.verdicts.property_run import PropertyRun
from autodual.certification.verdicts.property_steps import decided
from autodual.certification.verdicts.verdict import Verdict, VerdictStatus
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork, given_network
from autodual.policies import Effort
from autodual.progress import Progress, tracked
from autodual.properties import Property

_QUICK = Pgd(steps=30)
# The model is compared with its graph in the middles of so many boxes.
_COMPARED = 256


def verify(
    dual: DualNetwork,
    goal: Property,
    *,
    timeout: float | None = None,
    attack: Attack | None = _QUICK,
    dtype: torch.dtype = torch.float32,
    replay: Replay | None = None,
    seed: int = 0,
    exact_seconds: float | None = None,
    effort: Effort = "complete",
    bracket: bool = False,
    progress: Progress = False,
) -> Verdict:
    """Whether an input violates a property (sat), none does (unsat), or neither was found (unknown, timeout).

    Cheap searches come first, then bounds with shared and with adaptive slopes, then more attacks, then branch and
    bound over inputs and over units of nonlinear layers. `unsat` speaks of the network in real arithmetic; `sat` of
    what the network returned in float32.

    Args:
        dual: the dual network; of several inputs, that of joined inputs, in the order in which the property declares
            them.
        goal: the property.
        timeout: in seconds; it is looked at every half second or so, and a second later what takes longer is
            interrupted, in the main thread of systems with timers.
        attack: the first of the attacks; with None there is none at all.
        dtype: of the first bounds; float64 decides what it leaves open.
        replay: runs the network at suspected counterexamples, by default the model's own graph in float32;
            `runtime_replay` runs an ONNX file in onnxruntime.
        seed: of the random points.
        exact_seconds: decide exactly what bounds leave open, for at most so many seconds a case. For small networks of
            piecewise-linear ops.
        effort: how far to go: `fast` (attacks, and bounds over intervals), `normal` (then dual bounds, and attacks that
            they guide), `high` (then more attacks and 10 seconds of branch and bound) or `complete` (until it is
            decided, or the time is up).
        bracket: attack once more what was proved; needs an attack.
        progress: True for a bar, or a function that is told (see `autodual.progress`).

    Raises:
        InvalidInputError: the property does not fit the network, or an argument is of another kind.
        ModelChangedError: the model, run in the middle of the boxes, is no longer the network that was compiled.
        ContradictionError: a point breaks a bound that was proved, which is a bug; the error keeps the evidence.

    Example:
        >>> import autodual, torch
        >>> from pathlib import Path
        >>> _ = Path("small.vnnlib").write_text('''
        ... (declare-const X_0 Real) (declare-const Y_0 Real)
        ... (assert (>= X_0 -1)) (assert (<= X_0 1)) (assert (< Y_0 -0.5))''')
        >>> dual = autodual.compile_dual(torch.nn.ReLU(), torch.zeros(1, 1))
        >>> autodual.verify(dual, autodual.load_property("small.vnnlib"))
        Verdict(unsat, method=dual bounds over intervals, adaptive slopes, undecided=0)
    """
    if effort not in get_args(Effort):
        raise InvalidInputError(f"effort must be one of {', '.join(get_args(Effort))}, not {effort!r}")
    if bracket and attack is None:
        raise InvalidInputError("bracket=True needs an attack; leave attack as it is, or give another one")
    dual = given_network(dual)
    _require_arguments(goal, timeout, attack)
    clock = Clock(math.inf if timeout is None else timeout)
    shape = _sample_shape(dual, goal)
    device = next((tensor.device for tensor in dual.parameters()), torch.device("cpu"))
    judge = Judge(goal, module_replay(dual, shape, device) if replay is None else replay)
    generator = torch.Generator(device).manual_seed(seed)
    run = PropertyRun(dual, goal, shape, device, clock, Hunter(dual, judge, clock, generator), effort)
    middles = _middles(run.problem())
    require_same_network(dual, middles[:_COMPARED])
    run.exact = ExactCases.of(dual, judge, middles[:1], clock, exact_seconds)
    with tracked(progress, len(goal.cases)) as run.advance:
        # What was proved until an interruption stays proved.
        found = in_time(run.clock.left, lambda: decided(run, attack, dtype))
    if found is None and bracket and attack is not None and not run.open:
        require_no_counterexample(run.hunter, goal, shape, device, attack, run.method)
    if found is not None:
        return Verdict(
            VerdictStatus.SAT,
            found.inputs,
            found.outputs,
            found.case,
            run.method,
            len(run.open),
            run.parts,
            clock.seconds,
        )
    status = VerdictStatus.UNSAT if not run.open else VerdictStatus.TIMEOUT if clock.over else VerdictStatus.UNKNOWN
    return Verdict(status, None, None, None, run.method, len(run.open), run.parts, clock.seconds)


def _require_arguments(goal: Property, timeout: float | None, attack: Attack | None) -> None:
    """Raise InvalidInputError where an argument is of another kind, the time is no number, or nothing is asked."""
    if not isinstance(goal, Property):
        raise InvalidInputError(
            f"goal must be a property, such as autodual.load_property(path) reads, but is {type(goal).__name__}"
        )
    if not goal.cases or not all(case.conjunctions for case in goal.cases):
        raise InvalidInputError(
            "the property has no case, or one without conjunctions, which no output could violate; leave such cases out"
        )
    if timeout is not None and (not isinstance(timeout, Real) or math.isnan(timeout)):
        raise InvalidInputError(f"timeout must be a number of seconds, or None for no limit, not {timeout!r}")
    if attack is not None:
        given_attack(attack)


def _middles(problem: Problem) -> torch.Tensor:
    """The middles `[N, *shape]` of a problem's boxes, which have to lie within float32's numbers."""
    largest = torch.finfo(torch.float32).max
    if bool((torch.maximum(problem.lower.abs(), problem.upper.abs()) > largest).any()):
        raise InvalidInputError(
            f"the property lets inputs be larger than {largest:.3g}, the largest number of float32, in which networks "
            "are run; rescale the network's inputs"
        )
    return problem.middle


def _sample_shape(dual: DualNetwork, goal: Property) -> tuple[int, ...]:
    graph = dual.plan.graph
    inputs, outputs = graph[graph.inputs[0]], graph[graph.outputs[0]]
    for what, node, size in (("input", inputs, goal.input_size), ("output", outputs, goal.output_size)):
        if node.size != size and goal.composed:
            raise InvalidInputError(
                f"the property has several networks or outputs, hidden values or products, so its network has {size} "
                f"{what}(s) and this one has {node.size}; such properties are verified by the command, from ONNX files."
            )
        if node.size != size:
            raise InvalidInputError(
                f"the property is about a network with {size} {what}(s), but the network has {node.size}; check that "
                "the two belong together."
            )
    return tuple(inputs.shape)
