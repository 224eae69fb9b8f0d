"""What a run proved, in words: for whom, over which set, in which arithmetic, and under which assumptions."""

from __future__ import annotations

from autodual.errors import InvalidInputError
from autodual.perturbations import choose_set
from autodual.report.document import Row
from autodual.report.execution_words import execution_line
from autodual.report.numbers import exact, finite, number, plural
from autodual.report.page.attack_statement import ATTACK, attacked
from autodual.report.page.bracket_statement import bracketed
from autodual.report.page.chance import chance, confidence, estimated
from autodual.report.page.kinds import counts, rows_of, settings_of


def statements(document: Row) -> list[str]:
    """The claims, one sentence each, the main one first."""
    words = {
        "autodual.certify/1": _certified,
        "autodual.cascade/1": _labelled,
        "autodual.radius/1": _radii,
        "autodual.detect/1": _detected,
        ATTACK: lambda run: attacked(run, ball(settings_of(run)), _property(run)),
    }
    return words.get(document["schema"], _verified)(document)


def ball(settings: Row, radius: str | None = None, point: str = "x′") -> str:
    """The set of a `point` around x as a formula: the norm of the difference, and the domain if there is one."""
    if settings.get("norm") is None:
        return f"in {settings.get('set')}"
    size = exact(settings.get("eps")) if radius is None else radius
    formula = _formula(settings, point, size)
    if formula is None:
        return f"in the set of size {size} around x ({settings.get('set')})"
    return f"with {formula}{_domain(settings, point)}"


def _formula(settings: Row, point: str, size: str) -> str | None:
    """The condition that the set's registration gives; None where it gives none, or has not run here."""
    own = settings.get("set_options")
    try:
        chosen = choose_set(str(settings["norm"]), own if isinstance(own, dict) else {})
    except InvalidInputError:
        return None
    return chosen.formula(point, size)


def _domain(settings: Row, point: str) -> str:
    domain = settings.get("domain")
    if not isinstance(domain, list) or len(domain) != 2:
        return ""
    return f" and every component of {point} in [{exact(domain[0])}, {exact(domain[1])}]"


def _certified(document: Row) -> list[str]:
    settings, rows, found = settings_of(document), rows_of(document), counts(document)
    proved, total = found.get("certified", 0), plural(len(rows), "sample")
    probable = _probably_certified(document)
    if proved == 0:
        whole = " as a whole" if any("positions" in row for row in rows) else ""
        nothing = (
            "every proof here holds with a probability only."
            if probable
            else f"this run proves nothing about any of them{whole}."
        )
        first = f"None of the {total} tested was certified{whole}{' for certain' if probable else ''}: {nothing}"
        return [first, *probable, *_positions(document), *bracketed(document)]
    who = "All" if proved == len(rows) else f"{proved:,}"
    certain = " for certain" if estimated(document) else ""
    return [
        f"{who} of the {total} x tested {'is' if proved == 1 else 'are'} certified{certain}: for every x′ "
        f"{ball(settings)}, {_property(document)}.",
        *probable,
        *_positions(document),
        *bracketed(document),
    ]


def _positions(document: Row) -> list[str]:
    """What is claimed of single positions of label maps; nothing of other labels."""
    rows = [row for row in rows_of(document) if "positions" in row]
    counted, certified = (sum(row[key] for row in rows) for key in ("positions", "positions_certified"))
    if not rows:
        return []
    how = "certified by themselves, with the confidence of their sample's row" if estimated(document) else "certified"
    return [
        f"Of the {counted:,} positions (pixels or steps) of these x, {certified:,} are {how}: for every x′ "
        f"{ball(settings_of(document))}, the network gives each of these its class. Of the others, and of those to be "
        "ignored, nothing is claimed."
    ]


def _probably_certified(document: Row) -> list[str]:
    """The claims that hold with a probability, apart from the deterministic ones; none where there are none."""
    found, total = counts(document), plural(len(rows_of(document)), "sample")
    proved, probable = found.get("certified", 0), found.get("probably certified", 0)
    if probable == 0:
        return []
    more = " more" if proved else ""
    return [
        f"{probable:,}{more} of the {total} x tested {'is' if probable == 1 else 'are'} probably certified: with a "
        f"probability of at least {confidence(document)} for each x by itself, for every x′ "
        f"{ball(settings_of(document))}, {_property(document)}. The probability is over the random numbers from which "
        f"x's bounds were estimated. It is that of each claim, not of all together: a share of "
        f"{number(chance(document))} of the claims may be wrong.",
        f"Counting both, {proved + probable:,} of the {total} are certified: each with at least that confidence, but "
        "not all of them together, and not for certain.",
    ]


def _property(document: Row) -> str:
    specification = settings_of(document).get("specification")
    if specification is not None:
        words = settings_of(document).get("specification_words")
        return f"the property holds of the network's output: {words or specification}"
    if any("label_map" in row for row in rows_of(document)):
        if all(row.get("label_map", {}).get("labelled") is True for row in rows_of(document)):
            return "at every position the network's score of x's label is larger than every other score"
        return "the network gives every position of x′ the same class as that of x"
    if any(row.get("label") is None for row in rows_of(document)):
        return "the network gives x′ the same class as it gives x"
    return "the network's score of x's label is larger than every other score"


def _labelled(document: Row) -> list[str]:
    """What a cascade promises: less than that the network decides the same everywhere."""
    settings, rows, found = settings_of(document), rows_of(document), counts(document)
    total, given = plural(len(rows), "sample"), sum(row.get("predicted") is not None for row in rows)
    if given == 0:
        return [f"None of the {total} tested was certified: this run proves nothing about any of them."]
    lines = [
        f"The cascade gives {given:,} of the {total} x tested a label: no x′ {ball(settings)} gets another label from "
        "the same cascade over the same set. It may get none."
    ]
    if any(row.get("label") is not None for row in rows):
        right = found.get("certified", 0)
        lines.append(f"Of these labels {right:,} {'is' if right == 1 else 'are'} right.")
    return [*lines, *bracketed(document)]


def _radii(document: Row) -> list[str]:
    settings, rows = settings_of(document), rows_of(document)
    labelled = all(row.get("label") is not None for row in rows)
    winner = "x's label the largest score" if labelled else "x′ the same class as x"
    return [
        f"For each of the {plural(len(rows), 'sample')} x tested whose radius r(x) in this run's document is positive, "
        f"and for every x′ {ball(settings, 'r(x)')}, the network gives {winner}.",
        "Where r(x) = 0, nothing is claimed. r(x) is a radius that was proved, not necessarily the largest; the search "
        f"went up to {exact(settings.get('max_radius'))}.",
    ]


def _detected(document: Row) -> list[str]:
    settings, found = settings_of(document), counts(document)
    total = plural(len(rows_of(document)), "input")
    return [
        f"Not flagged: {found['not flagged']:,} of the {total} x tested. None of these was made from an input x₀ of "
        f"another class {ball(settings, point='x₀')}: the network decides the same over the whole set around x.",
        f"Flagged: {found['flagged']:,}. Nothing is known of these; a flag does not say that the input is adversarial.",
    ]


def _verified(document: Row) -> list[str]:
    words = {
        "unsat": "it is proved that no input of the property's set makes the network's outputs meet its condition",
        "sat": "an input of the property's set was found at which the network's outputs meet its condition, confirmed "
        "by running the network on it",
        "unknown": "neither was shown; nothing is claimed",
        "timeout": "neither was shown within the time; nothing is claimed",
    }
    found = [(name, count) for name, count in counts(document).items() if count]
    lines = [f"{name} ({plural(count, 'property')}): {words.get(name, 'no known verdict')}." for name, count in found]
    return [*(lines or ["No property was examined."]), "A property's condition describes its violation."]


def proves(document: Row) -> bool:
    """Whether any row is a proof that does not depend on chance."""
    return any(counts(document).get(name) for name in ("certified", "positive", "not flagged", "unsat"))


def clipping(document: Row) -> str:
    """Whether the set is clipped to a domain, in words that cannot be overlooked."""
    settings = settings_of(document)
    if settings.get("norm") is None:
        return "The set is the one that the property states, without any clipping."
    domain = settings.get("domain")
    if domain is None:
        return "The set is NOT clipped: it also holds points outside the range of valid inputs."
    ends = f"[{exact(domain[0])}, {exact(domain[1])}]"
    return f"The set is CLIPPED to {ends}: nothing is claimed about points outside that range."


def arithmetic(document: Row) -> list[str]:
    """The dtype in which bounds were computed, and the allowance for rounding."""
    settings, rows = settings_of(document), rows_of(document)
    projected = settings.get("projection") is not None
    used = "float64, which random projections need" if projected else settings.get("arithmetic")
    lines = [f"Bounds were computed in {used}. Each was lowered by a proved bound of its own rounding error."]
    double = sum(row.get("arithmetic") == "float64" for row in rows)
    if settings.get("arithmetic") == "float32" and double and not projected:
        lines.append(
            f"{plural(double, 'sample')} {'was' if double == 1 else 'were'} bounded again in float64, because rounding "
            "alone may have left the result open."
        )
    errors = [error for row in rows if (error := finite(row.get("rounding_error"))) is not None]
    if errors:
        lines.append(f"The largest of these rounding errors is at most {number(max(errors), 2)}.")
    return lines


def assumptions(document: Row) -> list[str]:
    """The assumptions of this run's proofs beyond those of every run; mostly none."""
    stated = {str(item) for row in rows_of(document) for item in row.get("assumptions") or ()}
    return sorted(stated)


def ground(document: Row) -> list[str]:
    """Which network the claims are about, and how a run of it in floating point may differ."""
    mode = "The claims are about the network in inference mode, with the parameters in the file named below, "
    told = document["schema"] == "autodual.certify/1"
    if not told and not any(row.get("execution_arithmetic") for row in rows_of(document)):
        apart = (
            "They are not about its execution in floating point, where scores differ by that execution's own rounding "
        )
        return [f"{mode}computed with real numbers.", f"{apart}errors."]
    line = execution_line(rows_of(document), deployed=settings_of(document).get("deployed") is True)
    return [f"{mode}and their margins {line}."]
