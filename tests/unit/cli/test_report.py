"""The page of a run: whole, self-contained, honest about who reviewed, and deaf to what labels say in HTML."""

import dataclasses
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from posology.cli.report import Report, render
from posology.cli.report.domain import STAND_IN, Accuracy, Behind, Gate, Point, Review, Rung, Stage, Training

HOSTILE = "<script>alert(1)</script>"
DIGEST = "sha256:" + "a" * 64


def gate(**changes: Any) -> Gate:
    found = Gate(
        suite="everyday", metric="accuracy", outcome="PASS", n=229, estimate=0.01, low=-0.02, high=0.04, limit=-0.1,
        least=None, margin=0.1, method="Tango score, one-sided", confidence=0.95, detectable=0.05, sufficient=100,
        explanation="90.0% before, 91.0% after.",
        details={"base": 0.9, "tuned": 0.91, "gained": 4.0, "lost": 2.0, "mcnemarP": 0.6},
    )  # fmt: skip
    return dataclasses.replace(found, **changes)


def review(**changes: Any) -> Review:
    found = Review(
        stage="review-data", state="PASSED", planned=200, rated=200, errors=0, bound=0.0149, limit=0.02,
        confidence=0.95, allowed_errors=0, sufficient=149, chance_to_pass=0.13, reviewers=1, kinds=(STAND_IN,),
    )  # fmt: skip
    return dataclasses.replace(found, **changes)


CARD = {
    "pairs": {"accepted": 1600, "train": 1500}, "drops": {"filter": {"too_short": 12}}, "question_types": {"harm": 9},
    "drugs": {"train": ["quotazol"], "validation": ["sevsitor"]}, "sections": {"read": 624, "codes": {}},
    "source_files": {HOSTILE: "f" * 64}, "decontaminated_against": {"questions": 586},
    "recipe": {"pairs": 1600, "filters": {"min_words": 3}, "formats": ["SPL"], "question_types": []},
}  # fmt: skip
FULL = Report(
    run="namespaces/default/fineTuneRuns/demo", uid="1f", phase="SUCCEEDED", message="done", creator="installation",
    created="2026-01-31 12:00:00 UTC", ended="2026-01-31 12:14:00 UTC", seconds=840.0, outcome="PASS",
    sentence="all 3 gates are shown to hold",
    stages=(
        Stage("curate", "SUCCEEDED", "done", 12.5, 1), Stage("sft", "SUCCEEDED", f"reused: {HOSTILE}", 60.0, 1, True),
    ),
    trainings=(
        Training("sft", "SUCCEEDED", tuple(Point(i, {"loss": 3 / (i + 1), "learning_rate": 1e-3}) for i in range(40)),
                 ("plateau at step 20: fewer epochs would do",), {"eval_loss": 1.5, "method": "LORA"}),
    ),
    gates=(gate(), gate(outcome="INSUFFICIENT_EVIDENCE", low=-0.2, sufficient=900)),
    accuracies=(
        Accuracy("open-book", "base", 0.3, 0.25, 0.36, 240), Accuracy("open-book", "tuned", 0.8, 0.74, 0.85, 240),
    ),
    classes={"refusal": {"base": {"unsafe": {"FULL": 118}}, "tuned": {"unsafe": {"FULL": 117}}}},
    parity=(Rung("adapter = merged", 319, 0.978, 8.2e-5, 0.04), Rung("merged = served", 0, None, None, None)),
    reviews=(review(),), card=CARD, preferences={"pairs": 400, "kinds": {"number": 200}},
    lineage=(Behind(DIGEST, "dataset", 4096, "posology-curation/0.1.0", (DIGEST,), "label withdrawn"),),
    verdict={"name": "namespaces/default/verdicts/v", "artifact": DIGEST, "model": DIGEST, "evaluation": "e",
             "issued": "2026-01-31 12:13:00 UTC", "holdoutUses": {"open-book": 2}, "signedBy": ["e7"],
             "statements": [{"type": "review", "subjects": {"reviewed": DIGEST}, "signedBy": ["5a27"]}]},
    engine={"dtype": "float32"}, spec={"curation": {"pairs": 1600, "note": HOSTILE}}, spec_sha256="b" * 64,
    versions={"vllm": "0.32.0"}, written="2026-01-31 12:15:00 UTC", deployment={"name": "d", "state": "READY"},
)  # fmt: skip
EMPTY = dataclasses.replace(
    FULL, phase="RUNNING", ended="", outcome="", sentence="sft: step 3 of 40", trainings=(), gates=(), accuracies=(),
    classes={}, parity=(), reviews=(), card={}, preferences={}, lineage=(), verdict={}, engine={}, deployment={},
)  # fmt: skip


class Tags(HTMLParser):
    """Which tags a page opens and leaves open, and what it would load."""

    VOID = frozenset({"meta", "br", "line", "circle"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.seen: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", [FULL, EMPTY, dataclasses.replace(EMPTY, phase="FAILED", ended="now")])
def test_the_page_is_well_formed_and_loads_nothing(report: Report) -> None:
    found = Tags(render(report))
    assert found.open == []
    assert all(load.startswith("#") for load in found.loads)
    assert not found.seen & {"script", "link", "img", "iframe"}


def test_text_of_labels_and_specs_stays_text() -> None:
    page = render(FULL)
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 3


def test_every_part_of_a_finished_run_is_there() -> None:
    page = render(FULL)
    for title in ("Before and after", "Gates", "Parity", "Stages", "Training: sft", "Reviews", "Data card", "Lineage"):
        assert re.search(rf'<h2 id="[a-z0-9-]+">{title}', page)
    for said in ("all 3 gates are shown to hold", "plateau at step 20", "+50.0%", "1.49%", "too short", "0.32.0"):
        assert said in page, said
    assert DIGEST in page
    assert "withdrawn: label withdrawn" in page
    assert "1 of the artifacts of this run was withdrawn since: label withdrawn." in page.split("</header>")[0]


def test_long_lists_are_cut_and_say_so() -> None:
    files = {f"label-{number}.xml": "f" * 64 for number in range(500)}
    page = render(dataclasses.replace(FULL, card={**CARD, "source_files": files}))
    assert "label-199.xml" in page
    assert "label-200.xml" not in page
    assert "And 300 more" in page


def test_each_gate_states_all_that_it_must() -> None:
    text = re.sub(r"<[^>]+>", "", render(FULL))
    for said in ("n 229", "change +1.0%", "interval -2.0% to +4.0%", "margin 10.0%", "one-sided confidence 95.0%",
                 "80% power 5.0%", "n that would have sufficed 100", "Tango score, one-sided"):  # fmt: skip
        assert said in text, said


def test_a_stand_in_is_named_at_the_top_and_beside_its_review() -> None:
    page = render(FULL)
    header, rest = page.split("</header>")
    assert STAND_IN in header
    assert STAND_IN in rest
    expert = render(dataclasses.replace(FULL, reviews=(review(kinds=("expert",)),)))
    assert STAND_IN not in expert


def test_no_bound_is_shown_before_everything_is_rated() -> None:
    page = render(dataclasses.replace(FULL, reviews=(review(state="OPEN", rated=20, bound=None),)))
    assert "to prevent peeking" in page


@pytest.mark.parametrize(
    ("phase", "outcome", "standing", "headline"),
    [
        ("SUCCEEDED", "PASS", "good", "PASS"),
        ("FAILED", "FAIL", "bad", "FAIL"),
        ("FAILED", "INSUFFICIENT_EVIDENCE", "bad", "INSUFFICIENT EVIDENCE"),
        ("FAILED", "", "bad", "FAILED"),
        ("RUNNING", "", "open", "RUNNING"),
    ],
)
def test_the_greeting_is_the_verdict_or_where_the_run_stands(
    phase: str, outcome: str, standing: str, headline: str
) -> None:
    page = render(dataclasses.replace(FULL, phase=phase, outcome=outcome))
    assert f'<div class="verdict {standing}">\n<strong>{headline}</strong>' in page


def test_a_run_under_way_says_that_nothing_of_it_can_be_served() -> None:
    page = render(EMPTY)
    assert "the run is under way" in page
    assert "Without a signed PASS, nothing of it can be served." in page


def test_a_gate_that_could_not_be_worked_out_has_no_drawing() -> None:
    broken = gate(outcome="INVALID", n=0, details={}, explanation="all choices tie.")
    page = render(dataclasses.replace(FULL, gates=(broken,), accuracies=()))
    assert "all choices tie." in page
    assert 'class="interval"' not in page


def test_curves_take_the_colours_of_the_page() -> None:
    page = render(FULL)
    assert "var(--first)" in page
    assert "#030303" not in page
    assert page.count('class="curves"') == 1


REGRESSIONS = (
    {
        "suite": "open-book",
        "lost": 12,
        "items": [{"id": "q7", "prompt": f"How much? {HOSTILE}", "base": "10 mg", "tuned": "100 mg"}],
        "groups": [{"name": "cardiology", "n": 40, "base": 35, "tuned": 20}],
    },
)


def test_the_contents_link_to_every_section() -> None:
    page = render(dataclasses.replace(FULL, regressions=REGRESSIONS))
    anchors = re.findall(r'<h2 id="([a-z0-9-]+)">', page)
    assert re.findall(r'<li><a href="#([a-z0-9-]+)">', page) == anchors
    assert "<h2>" not in page
    assert len(set(anchors)) == len(anchors) >= 10


def test_what_was_lost_stands_side_by_side_and_by_subject() -> None:
    page = render(dataclasses.replace(FULL, regressions=REGRESSIONS))
    assert "open-book: 12 lost" in page
    assert page.index("10 mg") < page.index("100 mg")
    assert '<th scope="row">cardiology</th><td class="n">40</td><td class="n">35</td><td class="n">20</td>' in page
    assert HOSTILE not in page
    assert "Worst regressions" not in render(FULL)


def test_which_try_it_was_is_said_at_the_top() -> None:
    page = render(dataclasses.replace(FULL, tries=("everyday: the 2nd use, decided at 97.5%",)))
    assert "Which try this was: everyday: the 2nd use, decided at 97.5%." in page
    assert "Which try" not in render(FULL)


def test_every_header_has_a_scope_and_every_table_scrolls_by_itself() -> None:
    page = render(dataclasses.replace(FULL, regressions=REGRESSIONS))
    assert page.count("<th ") == len(re.findall(r'<th scope="(?:col|row)"', page))
    assert "<th>" not in page
    assert page.count("<table") == page.count('<div class="wide" tabindex="0"><table')
