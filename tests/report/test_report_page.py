"""The page claims only what its rows support, escapes everything, and needs no other file."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import math
import re
from html.parser import HTMLParser
from pathlib import PurePath
from types import SimpleNamespace

import hypothesis
import numpy
import pytest
from hypothesis import strategies as st
from jinja2 import UndefinedError

from autodual.errors import DataError
from autodual.report import build_document, load_document, write_document
from autodual.report.execution_words import execution_line
from autodual.report.numbers import NONE, number, percent
from autodual.report.page import render_page, save_counterexamples
from autodual.report.page.changes import changes
from autodual.report.page.chart_section import ChartSection, SitePlot
from autodual.report.page.charts import beyond, histogram, line_plot
from autodual.report.page.charts.chart import Axis, Bar, Chart, LegendEntry, Line
from autodual.report.page.consistency import discrepancies, unfinished
from autodual.report.page.evaluation_page import EvaluationPage
from autodual.report.page.gallery import Panel, panels
from autodual.report.page.origin import Origin
from autodual.report.page.parts import Tile
from autodual.report.page.rendering import render
from autodual.report.page.statement import clipping, statements

SOURCE = ("result.json", "ab" * 32)
SETTINGS = {
    "model": "folder/net.pt", "model_sha256": "c" * 64, "data": "data.npz", "data_sha256": "d" * 64,
    "arithmetic": "float32", "device": "cpu", "set": "l∞ ball of radius 0.1, unclipped", "eps": 0.1, "norm": "linf",
    "domain": None, "specification": None, "skip": 0, "limit": None, "mean": None, "std": None,
    "provenance": {"samples": 4, "command": "autodual certify net.pt --eps 0.1", "units": "those of the data",
                   "versions": {"autodual": "1", "torch": "2"},
                   "files": [{"role": "model", "path": "folder/net.pt", "sha256": "c" * 64}]},
}  # fmt: skip


def row(index: int, status: str, margin: float | None, **more: object) -> dict:
    predicted = 2 if status == "misclassified" else 1
    fields = {
        "index": index, "label": 1, "predicted": predicted, "status": status, "margin": margin,
        "rounding_error": 0.01, "margins": [margin, 0.0], "method": "dual bound", "arithmetic": "float32",
        "failure_probability": 0.0, "assumptions": [],
    }  # fmt: skip
    return {**fields, **more}


def rows() -> list[dict]:
    image = numpy.full((1, 5, 5), 0.5).tolist()
    return [
        row(0, "certified", 0.5),
        row(1, "falsified", -1.5, counterexample=image),
        row(2, "unknown", None),
        row(3, "misclassified", -2.5),
    ]


def document(schema: str = "autodual.certify/1", given: list[dict] | None = None, **settings: object) -> dict:
    return build_document(schema, {**SETTINGS, **settings}, {"seconds": 1.0}, rows() if given is None else given)


def test_the_claim_names_counts_set_and_property():
    (claim,) = statements(document())
    assert claim.startswith("1 of the 4 samples x tested is certified")
    assert "‖x′ − x‖∞ ≤ 0.1," in claim and "x's label is larger" in claim
    (claim,) = statements(document(norm="l2", domain=[0.0, 1.0], specification="y0 > y1"))
    assert "‖x′ − x‖₂ ≤ 0.1 and every component of x′ in [0.0, 1.0]" in claim
    assert claim.endswith("the property holds of the network's output: y0 > y1.")
    unlabelled = [row(0, "certified", 1.0, label=None)]
    assert "the same class as it gives x" in statements(document(given=unlabelled))[0]
    boxed = document(norm=None, eps=None, set="one box a sample, from l.npy,u.npy")
    assert "every x′ in one box a sample, from l.npy,u.npy" in statements(boxed)[0]


def test_a_run_without_proofs_claims_nothing():
    for given in ([], [row(0, "unknown", -1.0)]):
        (claim,) = statements(document(given=given))
        assert "proves nothing" in claim
        assert render_page(document(given=given), SOURCE)


def test_the_page_says_whether_the_set_is_clipped():
    assert "NOT clipped" in clipping(document())
    assert "CLIPPED to [0.0, 1.0]" in clipping(document(domain=[0.0, 1.0]))
    assert "without any clipping" in clipping(document(norm=None))


def test_detection_and_radii_claim_what_was_proved():
    flagged = [{"index": 0, "label": 1, "flagged": True}, {"index": 1, "label": 1, "flagged": False}]
    first, second = statements(document("autodual.detect/1", flagged, domain=[0.0, 1.0]))
    assert first.startswith("Not flagged: 1 of the 2 inputs") and "of x₀ in [0.0, 1.0]" in first
    assert "Flagged: 1. Nothing is known of these" in second
    radii = [{"index": 0, "label": 1, "radius": 0.25}, {"index": 1, "label": 1, "radius": 0.0}]
    found = document("autodual.radius/1", radii, max_radius=0.5)
    assert "‖x′ − x‖∞ ≤ r(x)" in statements(found)[0]
    page = render_page(found, SOURCE)
    assert "positive (50.00 %)" in page and "zero (50.00 %)" in page


class Reader(HTMLParser):
    """Checks that elements nest; collects links, words and names of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.elements: set[str] = set()

    def handle_starttag(self, element, attributes):
        self.elements.add(element)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if element != "meta":
            self.open.append(element)

    def handle_startendtag(self, element, attributes):
        self.handle_starttag(element, attributes)
        if element != "meta":
            self.open.pop()

    def handle_endtag(self, element):
        assert self.open.pop() == element

    def handle_data(self, data):
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_needs_nothing_else():
    page = render_page(document(), SOURCE, {1: PurePath("points/counterexample_1.npy")})
    reader = read(page)
    assert not reader.elements & {"script", "link", "iframe", "object"}
    assert "http" not in page and "url(" not in page and "@import" not in page
    assert reader.links == [reader.links[0], "points/counterexample_1.npy"]
    assert reader.links[0].startswith("data:image/png;base64,")
    shown = " ".join(reader.words)
    for expected in ("c" * 64, "ab" * 32, "autodual certify net.pt --eps 0.1", "torch 2", "−2.5", "Deterministic"):
        assert expected in shown
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_the_worst_samples_come_first():
    page = render_page(document(), SOURCE, worst_rows=2)
    table = page[page.index("The worst 2 of 4 samples") :]
    assert table.index("unknown") < table.index("misclassified")
    assert "falsified" not in table[: table.index("</table>")]


HOSTILE = "<script>alert(1)</script>\"'&\x00\udcff"


def test_everything_is_escaped():
    def spoil(value: object) -> object:
        if isinstance(value, dict):
            return {str(key): spoil(item) for key, item in value.items()}
        if isinstance(value, list):
            return [spoil(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    original = document()
    spoilt = {**original, "settings": spoil(original["settings"]), "summary": original["summary"]}
    spoilt["settings"][HOSTILE] = {HOSTILE: HOSTILE}
    for item in spoilt["certificates"]:
        item.update(status=HOSTILE, method=HOSTILE, assumptions=[HOSTILE], label=HOSTILE, arithmetic=HOSTILE)
    page = render_page(spoilt, (HOSTILE, HOSTILE), {1: PurePath('x" onload="y')})
    reader = read(page)
    assert "script" not in reader.elements and "\x00" not in page
    assert not re.search(r'onload="', page)
    page.encode("utf-8")


@hypothesis.given(st.text(st.characters(), max_size=40))
def test_any_text_is_shown_as_itself_and_never_becomes_markup(words):
    """Characters that HTML cannot hold become U+FFFD, the replacement character."""
    page = render("evaluation.html", evaluation(claim=words))
    page.encode("utf-8")
    reader = read(page)
    shown = "".join(
        sign if sign.isprintable() or sign in "\n\t " else "\ufffd"
        for sign in words.encode("utf-8", "replace").decode()
    )
    assert shown.split() == [] or shown in "".join(reader.words)
    assert "script" not in reader.elements


def evaluation(**changed):
    """The values of a minimal evaluation page, with some changed."""
    origin = Origin([], "command", "folder", [], "ab", [], None, [])
    page = EvaluationPage("title", "subject", None, [], "claim", False, [], [], [], origin)
    return dataclasses.replace(page, **changed)


def test_a_template_with_a_missing_value_is_an_error():
    """A page with missing values would be worse than no page."""
    with pytest.raises(UndefinedError, match="has no attribute 'subject'"):
        render("evaluation.html", SimpleNamespace(title="t"))


def test_attributes_are_escaped():
    hostile = '"><script>alert(1)</script>'
    tile = Tile(hostile, hostile, hostile, hostile)
    chart = Chart(hostile, Axis(hostile, []), Axis(hostile, []), bars=[Bar(0, 0, 1, 1, hostile, hostile)],
                  lines=[Line(hostile, hostile, [(0.0, 1.0)])], legend=[LegendEntry(hostile, hostile)])  # fmt: skip
    section = ChartSection(hostile, hostile, [SitePlot(hostile, chart)])
    page = render("evaluation.html", evaluation(tiles=[tile], charts=[section], filters=[Panel(hostile, hostile)]))
    assert "script" not in read(page).elements and "alert(1)" in page


def test_assumptions_chance_and_missing_rows_raise_alarms():
    known = "interval of node 'a' taken as known"
    given = [row(0, "probably certified", 1.0, assumptions=[known], failure_probability=1e-6)]
    found = document(given=given)
    page = render_page(found, SOURCE)
    assert page.count('class="alarm"') == 3
    assert "only under these assumptions" in page and "probability of up to 1e−06" in page
    assert "1 of 4 samples" in unfinished(found)
    assert unfinished(document()) is None
    assert unfinished(document(given=given, limit=1)) is None
    assert 'class="alarm"' not in render_page(document(), SOURCE)


def mixed() -> list[dict]:
    return [
        row(0, "certified", 0.5),
        row(1, "probably certified", 0.25, failure_probability=0.01),
        row(2, "probably certified", 0.75, failure_probability=0.01),
        row(3, "unknown", -0.5, failure_probability=0.01),
    ]


def test_probable_claims_stand_apart_from_deterministic_ones():
    first, second, both = statements(document(given=mixed()))
    assert first.startswith("1 of the 4 samples x tested is certified for certain: for every x′")
    assert second.startswith("2 more of the 4 samples x tested are probably certified: with a probability of at least ")
    assert "0.99 for each x by itself" in second and "a share of 0.01 of the claims may be wrong" in second
    assert both.startswith("Counting both, 3 of the 4 samples are certified") and "not for certain" in both
    page = render_page(document(given=mixed()), SOURCE)
    for expected in (
        "certified (25.00 %)",
        "probably certified (50.00 %)",
        "0.99 for each by itself",
        "proved for every point of the set, for certain",
        "The claims are not deterministic",
        "3 of 4 samples have bounds from random projections",
        "The other 1 sample does not depend on chance",
        'class="tile likely"',
    ):
        assert expected in page
    assert "contradicts itself" not in page
    assert ">failure probability</th>" in page[page.index("The worst") :]


def test_a_run_with_only_probable_proofs_says_that_none_is_certain():
    first, second, _ = statements(document(given=mixed()[1:]))
    assert (
        first
        == "None of the 3 samples tested was certified for certain: every proof here holds with a probability only."
    )
    assert second.startswith("2 of the 3 samples")
    assert 'class="claim nothing"' in render_page(document(given=mixed()[1:]), SOURCE)


def test_confidence_is_never_rounded_to_certainty():
    given = [row(0, "probably certified", 1.0, failure_probability=1e-7)]
    assert "at least 0.9999999 for" in statements(document(given=given))[1]


def test_pages_of_deterministic_runs_do_not_mention_chance():
    page = render_page(document(), SOURCE)
    assert "probably" not in page and "for certain" not in page and "confidence" not in page


def test_runs_with_projections_say_that_all_bounds_are_in_float64():
    projection = {"dim": 50, "confidence": 0.99, "seed": 0}
    page = render_page(document(given=mixed(), projection=projection), SOURCE)
    assert "computed in float64, which random projections need" in page and "bounded again" not in page


@pytest.mark.parametrize(
    ("place", "changed", "problem"),
    [
        (0, {"failure_probability": 0.01}, "holds only with a probability"),
        (1, {"failure_probability": 0.0}, "not between 0 and 1"),
        (1, {"failure_probability": 1}, "not between 0 and 1"),
        (1, {"margin": 0.0}, "called probably certified, but its margin is not positive"),
        (1, {"predicted": 7}, "called probably certified, but its label is not the class predicted"),
    ],
)
def test_rows_that_mix_up_chance_and_certainty_are_named(place, changed, problem):
    broken = document(given=mixed())
    assert discrepancies(broken) == []
    broken["certificates"][place].update(changed)
    (line,) = discrepancies(broken)
    assert line.startswith(f"Row {place}:") and problem in line


def test_a_summary_that_hides_estimates_is_named():
    found = document(given=mixed())
    found["summary"].update({"certified": 3, "probably certified": 0, "estimated": 0})
    assert discrepancies(found) == [
        "The summary says estimated = 0, the rows say 3.",
        "The summary says certified = 3, the rows say 1.",
        "The summary says probably certified = 0, the rows say 2.",
    ]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"margin": -0.1}, "margin is not positive"),
        ({"margin": 0.0}, "margin is not positive"),
        ({"margin": None}, "margin is not positive"),
        ({"margin": 10**400}, "margin is not positive"),
        ({"predicted": 7}, "not the class predicted"),
        ({"status": "falsified"}, "no counterexample"),
        ({"status": "misclassified"}, "is the class predicted"),
        ({"status": "sure"}, "does not exist"),
    ],
)
def test_rows_that_contradict_themselves_are_named(changed, problem):
    sound = document()
    assert discrepancies(sound) == []
    broken = copy.deepcopy(sound)
    broken["certificates"][0].update(changed)
    (line,) = discrepancies(broken)
    assert line.startswith("Row 0:") and problem in line
    assert "contradicts itself" in render_page(broken, SOURCE)


def test_a_summary_that_disagrees_with_the_rows_is_named():
    found = document()
    found["summary"].update(certified=4, count=4, falsified=1)
    assert discrepancies(found) == ["The summary says certified = 4, the rows say 1."]


def test_counterexamples_are_saved_as_arrays(tmp_path):
    saved = save_counterexamples(document(), tmp_path / "new" / "folder")
    assert list(saved) == [1]
    array = numpy.load(saved[1], allow_pickle=False)
    assert array.shape == (1, 5, 5) and (array == 0.5).all()
    for bad in ("text", [[1.0], [1.0, 2.0]], [1e999], {"x": 1}):
        with pytest.raises(DataError, match="no array of finite numbers"):
            save_counterexamples(document(given=[row(0, "falsified", -1.0, counterexample=bad)]), tmp_path)


def test_a_counterexample_stands_beside_its_original_and_their_difference():
    """In the difference, grey means no change and black the largest decrease; the caption gives the factor."""
    original = numpy.full((1, 5, 5), 0.5)
    perturbed = original.copy()
    perturbed[0, 0, 0], perturbed[0, 4, 4] = 0.4, 0.55
    given = row(0, "falsified", -1.5, original=original.tolist(), counterexample=perturbed.tolist(), reached=7)
    titles, addresses = zip(*((panel.title, panel.address) for panel in panels(given)))
    assert titles == ("original: class 1", "perturbed: class 7", "difference × 5")
    shades = [_decoded(address) for address in addresses]
    assert (shades[0] == 128).all()
    assert shades[1][0, 0] == 102 and shades[1][4, 4] == 140 and shades[1][2, 2] == 128
    assert shades[2][0, 0] == 0 and shades[2][4, 4] == 191 and shades[2][2, 2] == 128
    page = render_page(document(given=[given]), SOURCE)
    assert all(title in page and address in page for title, address in zip(titles, addresses))


def test_a_counterexample_that_is_not_an_image_is_shown_by_its_largest_changes():
    original = numpy.zeros((2, 10))
    perturbed = original + 0.01
    perturbed[0, 3], perturbed[1, 7] = -0.5, 0.25
    given = row(0, "falsified", -1.5, original=original.tolist(), counterexample=perturbed.tolist(), reached=7)
    found = changes(given)
    assert found is not None and panels(given) == []
    assert found.words == (
        "Class 1 at the sample, class 7 here; 20 of 20 inputs changed, by 0.5 at most; the 8 largest changes are shown."
    )
    lines = [[cell.words for cell in line] for line in found.grid.lines]
    assert lines[:2] == [["0, 3", "0", "−0.5", "−0.5"], ["1, 7", "0", "0.25", "0.25"]] and len(lines) == 8
    words = read(render_page(document(given=[given]), SOURCE)).words
    assert found.words in words and "−0.5" in words


def test_a_counterexample_without_its_original_is_shown_by_its_inputs_and_outputs():
    given = {
        "index": 0, "property": "p.vnnlib", "status": "sat", "method": "attack", "case": 0, "undecided_cases": 0,
        "parts": 0, "seconds": 1.5, "counterexample": [0.5, -0.25], "outputs": [3.5],
    }  # fmt: skip
    found = changes(given)
    assert found is not None and found.words == "Outputs there: 3.5."
    assert [[cell.words for cell in line] for line in found.grid.lines] == [["0", "0.5"], ["1", "−0.25"]]
    assert found.words in read(render_page(document("autodual.verify/1", [given]), SOURCE)).words
    for broken in ("text", [[1.0], [1.0, 2.0]], [None], [], 3.0):
        assert changes({**given, "counterexample": broken}) is None


def test_the_table_says_how_many_positions_of_a_label_map_are_right_and_certified():
    shown = {"shape": [2, 2], "labelled": True, "certified": [True, False, False, None], "predicted": [0, 0, 2, 5]}
    mapped = {"positions": 3, "positions_certified": 1, "positions_correct": 2, "label_map": shown}
    given = row(0, "misclassified", -1.5, **{**mapped, "label": None, "predicted": None})
    words = read(render_page(document(given=[given]), SOURCE)).words
    assert all(text in words for text in ("2 of 3 right", "0 (2), 2 (1)", "certified positions", "1 of 3"))
    shown.update(labelled=False, predicted=[0, 1, 2, 3], certified=[True] * 4)
    assert "0 (1), 1 (1), 2 (1), 3 (1)" in read(render_page(document(given=[given]), SOURCE)).words
    shown.update(predicted=list(range(9)), certified=[False] * 9)
    assert "map of 9 classes" in read(render_page(document(given=[given]), SOURCE)).words


def _decoded(address: str) -> numpy.ndarray:
    """The grey levels of a PNG in a data URL, decoded by matplotlib."""
    from matplotlib import image

    pixels = image.imread(io.BytesIO(base64.b64decode(address.partition(",")[2])), format="png")
    return (255 * pixels).round().astype(int)


def test_a_property_is_listed_by_its_name():
    given = {
        "index": 0, "property": "far/away/in/a/long/folder/prop.vnnlib", "status": "unsat", "method": "dual bounds",
        "case": None, "undecided_cases": 0, "parts": 0, "seconds": 1.5, "counterexample": None, "outputs": None,
    }  # fmt: skip
    words = read(render_page(document("autodual.verify/1", [given]), SOURCE)).words
    assert "prop.vnnlib" in words and given["property"] not in words and "counterexample" not in words


@pytest.mark.parametrize(("last", "expected"), [(2, "012"), (5, "012345"), (3.5, None)])
def test_axes_of_whole_numbers_have_whole_ticks(last, expected):
    chart = line_plot({"loss": [(0.0, 1.0), (last, 2.0)]}, "epoch", "loss")
    ticks = [tick.words for tick in chart.horizontal.ticks]
    assert "".join(ticks) == expected if expected else "0.5" in ticks


def test_histograms_survive_any_finite_numbers():
    extremes = [0.0, 1e308, -1e308, 5e-324, 1.0, 1.0, 1.0, 1.0]
    for values in ([0.0], [3.0, 3.0], [-1e-320], extremes, [1e-9, 2e-9], list(range(1000))):
        chart = histogram([(float(value), "certified") for value in values], "caption", "samples")
        for bar in chart.bars:
            assert all(math.isfinite(place) for place in (bar.x, bar.y, bar.width, bar.height))
            assert chart.frame.left <= bar.x and bar.x + bar.width <= chart.frame.right + 1e-6
            assert chart.frame.top - 1e-6 <= bar.y <= chart.frame.bottom
        counted = sum(int(re.search(r": (\d+) certified", bar.words).group(1)) for bar in chart.bars)
        assert counted == len(values)
    assert beyond([0.0, 1.0, 1.0, 1.0, 1.0, 1e9]) > 0 and beyond([0.0, 1.0]) == 0


def test_no_bar_holds_margins_of_both_signs():
    values = [(-0.001, "unknown"), (0.001, "certified"), (10.0, "certified"), (-3.0, "unknown")]
    for bar in histogram(values, "m", "samples").bars:
        low, high = re.match(r"(\S+) to (\S+):", bar.words).groups()
        ends = [float(end.replace("−", "-")) for end in (low, high)]
        assert ends[0] >= 0 or ends[1] <= 0


def test_values_that_are_not_finite_numbers_are_shown_as_missing():
    assert [number(value) for value in (None, float("nan"), 1e999, True, 10**400, "1")] == [NONE] * 6
    assert number(-0.5) == "−0.5" and number(1234567) == "1,234,567"
    assert percent(0, 10) == "0.00 %" and percent(10, 10) == "100.00 %"
    assert percent(99_999, 100_000) == "99.99 %" and percent(1, 10**9) == "0.01 %"
    assert percent(0, 0) == NONE


def test_files_that_are_no_documents_are_refused(tmp_path):
    path = tmp_path / "out.json"
    write_document(path, document())
    assert load_document(path) == document()
    for content in ("", "[]", '{"schema": "other/1"}', '{"schema": ["autodual.certify/1"]}',
                    '{"schema": "autodual.certify/1"}'):  # fmt: skip
        path.write_text(content)
        with pytest.raises(DataError, match="so there is no run in it"):
            load_document(path)
    path.write_text(path.read_text().replace("}", ', "settings": {"eps": NaN}}'))
    with pytest.raises(DataError, match="is not a JSON document"):
        load_document(path)
    with pytest.raises(DataError, match="There is no file"):
        load_document(tmp_path / "absent.json")


def test_a_cascade_claims_less_than_a_network():
    fields = {"label": 1, "guess": 1, "stage": None, "disagreement": None, "rounding_error": None, "visits": []}
    given = [
        {**fields, "index": 0, "predicted": 1, "status": "certified", "stage": 2, "margin": 0.5},
        {**fields, "index": 1, "predicted": None, "status": "unknown", "margin": None, "disagreement": 2},
        {**fields, "index": 2, "predicted": 0, "guess": 0, "status": "misclassified", "stage": 1, "margin": 0.5},
    ]
    found = document("autodual.cascade/1", given)
    first, second = statements(found)
    assert first.startswith("The cascade gives 2 of the 3 samples x tested a label: no x′ with ‖x′ − x‖∞ ≤ 0.1 gets")
    assert first.endswith("It may get none.") and second == "Of these labels 1 is right."
    page = render_page(found, SOURCE)
    assert "proved for every point of the set" not in page and "gets no other label, but may get none" in page
    assert discrepancies(found) == []
    assert discrepancies(document("autodual.cascade/1", [{**given[0], "margin": None}]))
    assert "proves nothing" in statements(document("autodual.cascade/1", [given[1]]))[0]
    (alone,) = statements(document("autodual.cascade/1", [{**given[0], "label": None}]))
    assert alone.startswith("The cascade gives 1 of the 1 sample")


def test_the_execution_error_is_rounded_up_and_never_left_out():
    """Also for rows of earlier versions, ops without a rounding analysis, and infinite error bounds."""
    known = {"execution_arithmetic": "float32", "execution_reason": ""}
    errors = [
        row(0, "certified", 0.5, execution_error=1.21e-5, **known),
        row(1, "unknown", -1.0, execution_error=3e-7, **known),
    ]
    assert execution_line(errors, deployed=False).endswith("; float32 execution may differ by up to 1.3e-05")
    assert "and of any float32 execution (sums in any order)" in execution_line(errors, deployed=True)
    infinite = [*errors, row(2, "certified", 0.5, execution_error=None, **known)]
    assert "no finite bound" in execution_line(infinite, deployed=True)
    refused = row(
        2, "certified", 0.5, execution_error=None, execution_arithmetic="float32", execution_reason="softmax has none"
    )
    assert execution_line([refused], deployed=False).endswith("by how much is not known: softmax has none")
    assert "by its own rounding errors" in execution_line(rows(), deployed=False)
    page = render_page(document(given=errors, deployed=True), SOURCE)
    assert "their margins of the network in real arithmetic and of any float32 execution" in page
    assert "a floating-point execution may differ by its own rounding errors" in render_page(document(), SOURCE)
