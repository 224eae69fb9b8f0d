"""`verify`: is there an input that violates a property? Attacks look for one, bounds prove that there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

import torch

from autodual.attacks import Attack, Pgd
from autodual.certification.deadline import in_time
from autodual.certification.proof import prove
from autodual.certification.same_network import require_same_network
from autodual.certification.showing import bound_words
from autodual.certification.verdicts.clock import Clock, batches
from autodual.certification.verdicts.counterexample_confirmation import Counterexample, Judge, Replay, module_replay
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.exact_cases import ExactCases, require_no_counterexample
from autodual.certification.verdicts.open_cases import Problem
from autodual.certification.verdicts.property_search import PropertySearch
from autodual.certification.verdicts.verdict import Verdict, VerdictStatus
from autodual.errors import InvalidInputError
from autodual.network import Ask, DualNetwork, given_network
from autodual.policies import Effort
from autodual.progress import Progress, tracked
from autodual.properties import Property

# Parts that are bounded before the last attack.
_FIRST_PARTS = 1000
# Seconds of branch and bound with the effort `high`.
_HIGH_SECONDS = 10.0
_QUICK = Pgd(steps=30)
_THOROUGH = Pgd(steps=60)
# Size limit of a swarm: numbers in its points and in the network's values at them.
_SWARM_NUMBERS = 1 << 17
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
        InvalidInputError: the property does not fit the network.
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
    dual, clock = given_network(dual), Clock(math.inf if timeout is None else timeout)
    shape = _sample_shape(dual, goal)
    device = next((tensor.device for tensor in dual.parameters()), torch.device("cpu"))
    judge = Judge(goal, module_replay(dual, shape, device) if replay is None else replay)
    generator = torch.Generator(device).manual_seed(seed)
    run = _Run(dual, goal, shape, device, clock, Hunter(dual, judge, clock, generator), effort)
    middles = _middles(run.problem())
    require_same_network(dual, middles[:_COMPARED])
    if bracket and attack is None:
        raise InvalidInputError("bracket=True needs an attack; leave attack as it is, or give another one")
    run.exact = ExactCases.of(dual, judge, middles[:1], clock, exact_seconds)
    with tracked(progress, len(goal.cases)) as run.advance:
        # What was proved until an interruption stays proved.
        found = in_time(run.clock.left, lambda: _decide(run, attack, dtype))
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


@dataclass(eq=False)
class _Run:
    """One call's state: what is still open, and what was done last."""

    dual: DualNetwork
    goal: Property
    shape: tuple[int, ...]
    device: torch.device
    clock: Clock
    hunter: Hunter
    effort: Effort
    open: dict[int, tuple[int, ...]] = field(init=False)
    method: str = "nothing"
    parts: int = 0
    exact: ExactCases | None = None
    advance: Callable[[int, str], None] = lambda done, words: None

    def __post_init__(self) -> None:
        self.open = {number: tuple(range(len(case.conjunctions))) for number, case in enumerate(self.goal.cases)}

    def begin(self, method: str) -> None:
        """Note what is tried next, and tell how many cases are closed."""
        self.method = method
        self.tell()

    def tell(self) -> None:
        self.advance(len(self.goal.cases) - len(self.open), self.method)

    def discard_empty(self) -> None:
        """Close the cases whose inputs cannot keep their constraints."""
        if all(case.relation is None for case in self.goal.cases):
            return
        self.begin("constraints between inputs")
        problem = self.problem()
        for case, empty in zip(problem.cases, problem.empty.tolist()):
            if empty:
                del self.open[case]

    def problem(self, *, sums: bool = False) -> Problem:
        return Problem.of(self.goal, self.open, self.shape, self.device, sums=sums)

    @property
    def swarm_size(self) -> int:
        """How many points to attack from at once: many for a small network."""
        scalars = sum(node.size for node in self.dual.plan.graph)
        return max(4, min(512, _SWARM_NUMBERS // scalars))

    @property
    def done(self) -> bool:
        return not self.open or self.clock.over


def _decide(run: _Run, attack: Attack | None, dtype: torch.dtype) -> Counterexample | None:
    """All methods, the cheapest first, until everything is decided or the time is over."""
    run.discard_empty()
    if run.done:
        return None
    if attack is not None:
        run.begin("random points")
        found = run.hunter.sample(run.problem(), 8)
        if found is None and not run.done:
            run.begin("attack")
            found = run.hunter.attack(run.problem(), attack)
        if found is not None:
            return found
    if not run.done:
        # Nearly free, and enough for many networks that were trained to be verified.
        _prove(run, Ask(slopes="adaptive", inner="interval"), dtype)
    if run.effort == "fast":
        return None
    for ask in (Ask(slopes="shared", inner="dual"), Ask(slopes="adaptive", inner="dual")):
        if not run.done:
            _prove(run, ask, dtype)
        if attack is not None and not run.done:
            run.begin(f"attack from the least points of {bound_words('dual bounds', ask)}")
            found = run.hunter.guided(run.problem(), ask, attack)
            if found is not None:
                return found
    if run.exact is not None and not run.done:
        found = _exactly(run, run.exact)
        if found is not None:
            return found
    if run.effort == "normal":
        return None
    return None if run.done else _search(run, attack, dtype)


def _prove(run: _Run, ask: Ask, dtype: torch.dtype) -> None:
    """Remove the conjunctions that bounds over whole boxes prove to be false."""
    run.begin(bound_words("dual bounds", ask))
    problem = run.problem(sums=True)
    for index in batches(len(problem.cases), run.clock):
        part = problem.select(list(index))
        proof = prove(run.dual, part.proof_region(dtype), part.spec, ask)
        margins = part.spec.margins(proof.lower)
        left = part.remaining((margins > 0) & margins.isfinite())
        for case in part.cases:
            if case in left:
                run.open[case] = left[case]
            else:
                del run.open[case]
        run.tell()


def _exactly(run: _Run, exact: ExactCases) -> Counterexample | None:
    """Decide the open cases one by one."""
    run.begin("branch and bound over undecided units")
    problem = run.problem()
    for place, case in enumerate(problem.cases):
        decided = exact.decide(problem.select([place]))
        run.parts += decided.programs
        if decided.found is not None:
            return decided.found
        if decided.proved:
            del run.open[case]
        if run.clock.over:
            break
        run.tell()
    return None


def _search(run: _Run, attack: Attack | None, dtype: torch.dtype) -> Counterexample | None:
    """Branch and bound over all open cases; what it closes counts also if the time is up within a step."""
    words = "branch and bound over inputs and units"
    run.begin(words)
    clock = Clock(min(run.clock.left, _HIGH_SECONDS)) if run.effort == "high" else run.clock
    search = PropertySearch.of(run.dual, run.problem(), dtype, run.hunter, clock, attack)
    try:
        search.search.run(_FIRST_PARTS)
        if attack is not None and search.search.found is None and search.search.undecided and not run.clock.over:
            # Easy properties are proved by then, so that this attack is spared.
            run.begin("attack from many points")
            found = run.hunter.swarm(run.problem(), run.swarm_size, _THOROUGH)
            if found is not None:
                return found
            run.begin(words)
        search.search.run()
    finally:
        run.parts += search.search.parts
        left = search.problem.remaining(search.refuted)
        run.open = {case: left[case] for case in run.open if case in left}
        run.tell()
    return search.search.found


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
