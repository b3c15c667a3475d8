"""An amount is one amount, however it is written: fractions, thousands, raised digits, letters for micro."""

import pytest

from posology.core.amounts import in_one_spelling
from posology.evaluation.facts import quantities


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("½ tablet", "0.5 tablet"),
        ("1½ tablets", "1.5 tablets"),
        ("1 1/2 tablets", "1.5 tablets"),
        ("1/4 of a tablet", "0.25 of a tablet"),
        ("5 000 mg", "5000 mg"),
        ("12\u202f500 units", "12500 units"),
        ("2·5 mg", "2.5 mg"),
        ("2·10⁹ cells", "2·10^9 cells"),
        ("10⁻³ mol", "10^-3 mol"),
        ("5 μg", "5 µg"),
        ("120/80 mmHg, 1/2 life, 24/7, take 5 100 mg tablets", "120/80 mmHg, 1/2 life, 24/7, take 5 100 mg tablets"),
    ],
)
def test_an_amount_has_one_spelling_and_the_rest_stays(written: str, plain: str) -> None:
    assert in_one_spelling(written) == plain


@pytest.mark.parametrize(
    "same",
    [
        ("5 mcg", "5 µg", "5μg", "5 MCG", "0.005 mg", "5,000 ng", "5 microgrammes"),
        ("1000U", "1,000 units", "1000 IU", "1 000 units", "1,000 international units"),
        ("370MBq", "0.37 GBq", "370,000 kBq"),
        ("10mCi", "10,000 µCi", "10 millicuries"),
        ("10mmol", "10 millimoles"),
        ("½ tablet", "1/2 tablet", "0.5 tablet"),
        ("1gm", "1 g", "1000mg", "1 gramme"),
        ("2·5 mg", "2.5 mg"),
        ("5 mg/m²", "5 mg/m2", "5 mg/m^2"),
        ("20 °C", "20°C"),
    ],
)
def test_an_answer_is_held_against_the_label_by_value_and_unit(same: tuple[str, ...]) -> None:
    read = [[(round(value, 9), dimension) for value, dimension in quantities(text)] for text in same]
    assert all(read), read
    assert all(amounts == read[0] for amounts in read), read
