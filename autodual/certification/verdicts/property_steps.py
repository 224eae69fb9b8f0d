"""The steps of `verify`, the cheapest first: attacks, bounds over whole boxes, exact programs, branch and bound."""

from __future__ import annotations

import torch

from autodual.attacks import Attack, Pgd
from autodual.certification.proof import prove
from autodual.certification.showing import bound_words
from autodual.certification.verdicts.clock import Clock, batches
from autodual.certification.verdicts.counterexample_confirmation import Counterexample
from autodual.certification.verdicts.exact_cases import ExactCases
from autodual.certification.verdicts.property_run import PropertyRun
from autodual.certification.verdicts.property_search import PropertySearch
from autodual.network import Ask

# Parts that are bounded before the last attack.
_FIRST_PARTS = 1000
# Seconds of branch and bound with the effort `high`.
_HIGH_SECONDS = 10.0
_THOROUGH = Pgd(steps=60)


def decided(run: PropertyRun, attack: Attack | None, dtype: torch.dtype) -> Counterexample | None:
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
    found = None if run.effort == "fast" else _bounded(run, attack, dtype)
    if found is None and run.exact is not None and not run.done:
        found = _exactly(run, run.exact)
    if found is not None or run.done or run.effort in ("fast", "normal"):
        return found
    return _search(run, attack, dtype)


def _bounded(run: PropertyRun, attack: Attack | None, dtype: torch.dtype) -> Counterexample | None:
    """Dual bounds of whole boxes, and attacks from where these are least."""
    for ask in (Ask(slopes="shared", inner="dual"), Ask(slopes="adaptive", inner="dual")):
        if not run.done:
            _prove(run, ask, dtype)
        if attack is not None and not run.done:
            run.begin(f"attack from the least points of {bound_words('dual bounds', ask)}")
            found = run.hunter.guided(run.problem(), ask, attack)
            if found is not None:
                return found
    return None


def _prove(run: PropertyRun, ask: Ask, dtype: torch.dtype) -> None:
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


def _exactly(run: PropertyRun, exact: ExactCases) -> Counterexample | None:
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


def _search(run: PropertyRun, attack: Attack | None, dtype: torch.dtype) -> Counterexample | None:
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
