"""What names a person is taken out of a text, and what a clinician needs stays."""

import json
import time

import pytest

from posology.core.redaction import redacted, redacted_json


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ann.lee+rx@mail.example.org", "write to [EMAIL]"),
        ("SSN 123-45-6789, MRN: 00482913", "SSN [SSN], [RECORD]"),
        ("call (555) 123-4567 or 555-123-4567 or +44 20 7946 0958", "call [PHONE] or [PHONE] or [PHONE]"),
        ("DOB 04/12/1961, seen on 2024-03-01", "[DATE], seen on [DATE]"),
        ("born on March 3, 1950", "[DATE]"),
        ("Patient: Mary Ann Jones takes 5 mg", "[NAME] takes 5 mg"),
        ("my name is José Álvarez and I", "[NAME] and I"),
        ("Mr. O'Neil, 94-year-old", "[NAME], [AGE]"),
        ("lives at 12 Old Mill Road", "lives at [STREET]"),
        ("from 192.168.7.11, see https://x.example/p?id=7", "from [ADDRESS], see [URL]"),
        ("member id A1234567 of the plan", "[RECORD] of the plan"),
        ("born 4 March 1962 in", "[DATE] in"),
        ("seen on the 4th of March 1962", "seen on the [DATE]"),
        ("seen 12 Jan. 2024 and 3rd February, 2024", "seen [DATE] and [DATE]"),
        ("my name is john smith and i take 5 mg", "[NAME] and i take 5 mg"),
        ("My name's Maria Lopez, I take 5 mg", "[NAME], I take 5 mg"),
        ("patient: john doe, 5 mg", "[NAME], 5 mg"),
        ("my phone is 5551234567.", "my phone is [PHONE]."),
        ("SSN 123 45 6789; ssn: 123456789", "SSN [SSN]; [SSN]"),
        ("see www.clinic.example/p/7", "see [URL]"),
        ("aged 93, 92 years of age, 91yo", "[AGE], [AGE], [AGE]"),
    ],
)
def test_what_names_a_person_is_taken_out(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Take 5 mg/kg/day in 2-3 divided doses, not over 1,000 mg.",
        "A 67-year-old patient with CrCl 30-50 mL/min takes 0.5-1 mg.",
        "Code 8-4 to 10-20 IU; NDC 0002-8215-01; 500 mg/125 mg tablets",
        "St. John's wort lowers warfarin; Dr. means doctor",
        "10 to 20 mg once daily for 14 days, at 8.00 and 20.00",
        "Drug name: metformin 500 mg; generic name: warfarin; brand name: Coumadin",
        "aged 9 to 17, aged 65 or over; 90 mg/day; at most 120 mg",
        "my name is on the label, 3 mg may 2 times be given",
    ],
)
def test_what_a_clinician_needs_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("piece", ["a@", "1.", "Patient: A ", "(555) ", "12 Old ", "MRN ", "+1 2 ", "May ", "A" * 10])
def test_pathological_text_is_redacted_in_time(piece: str) -> None:
    began = time.process_time()
    redacted(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 2


def test_texts_within_json_are_redacted_as_texts() -> None:
    """What a newline parts in a message, JSON writes as a backslash and a letter."""
    prompt = json.dumps(
        [
            {"role": "user", "content": [{"type": "text", "text": 'Patient:\tMary "Ann"\nDOB:\n04/12/1961 5 mg'}]},
            {"n": 1},
        ],
        separators=(",", ":"),
    )
    left = redacted_json(prompt)
    assert "Mary" not in left
    assert "1961" not in left
    assert "5 mg" in left
    assert json.loads(left)[1] == {"n": 1}


@pytest.mark.parametrize("text", ["write to a@b.example", "[1, 2", '"unfinished', "", "{'a': 'b@c.example'}"])
def test_what_is_no_json_is_redacted_as_it_stands(text: str) -> None:
    assert redacted_json(text) == redacted(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Call me at 555-123-4567.", "Call me at [PHONE]."),
        ("Call (555) 123-4567, or 555.123.4567!", "Call [PHONE], or [PHONE]!"),
        ("My name is Mary Jones. What is the dose?", "[NAME]. What is the dose?"),
        ("Patient: John A. Smith. Takes warfarin.", "[NAME]. Takes warfarin."),
        ("Dr. Miller. Aspirin was given.", "[NAME]. Aspirin was given."),
    ],
)
def test_the_end_of_a_sentence_neither_saves_an_identifier_nor_goes_with_it(text: str, kept: str) -> None:
    assert redacted(text) == kept
