"""What a reader does not see is written out, the same on a terminal, on a page and in what people sign."""

import pytest
from rich.text import Text

from posology.core.visible import hidden, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("safe\u202egnihton", "safe[U+202E]gnihton"),
        ("a\u200bb", "a[U+200B]b"),
        ("\x1b[8mgone", "[U+001B][8mgone"),
        ("20\x1b[2K mg", "20[U+001B][2K mg"),
        ("\u2066x\u2069", "[U+2066]x[U+2069]"),
        ("\ud800", "[U+D800]"),
        ("20 mg\r5 mg", "20 mg[U+000D]5 mg"),
        ("a\u2028b\u2029c\x85d", "a[U+2028]b[U+2029]c[U+0085]d"),
        ("do\u00adse", "do[U+00AD]se"),
        ("\u3164\uffa0\u2800\u115f", "[U+3164][U+FFA0][U+2800][U+115F]"),
        ("d\u034fose", "d[U+034F]ose"),
        ("10\U000e0031\U000e0121 mg", "10[U+E0031][U+E0121] mg"),
        ("\ufff9\uffff\ufdd0\U0001ffff\ue123", "[U+FFF9][U+FFFF][U+FDD0][U+1FFFF][U+E123]"),
        ("1\u200d0 mg", "1[U+200D]0 mg"),
        ("\x00\x7f\x08\ufeff", "[U+0000][U+007F][U+0008][U+FEFF]"),
        ("10\ufe01\ufe0f mg", "10[U+FE01][U+FE0F] mg"),
        ("10\U0001d159\U00016fe4 mg", "10[U+1D159][U+16FE4] mg"),
        ("1\ufffc0 mg", "1[U+FFFC]0 mg"),
        ("Take \u09ea mg", "Take [U+09EA] mg"),  # a Bengali four, in the shape of an 8
        ("Do not t\u0430ke, n\u03bft \u039fn", "Do not t[U+0430]ke, n[U+03BF]t [U+039F]n"),
        ("1" + "\u0336" * 6 + " mg", "1" + "\u0336" * 4 + "[U+0336][U+0336] mg"),
    ],
)
def test_what_does_not_show_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert hidden(text).startswith(shown[shown.index("[U+") + 1 : shown.index("]")])
    assert Text.from_markup(visible(text)).plain == shown  # it is no markup either


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5\u00a0\u00b5g, \u03b2-blocker \u2014 na\u00efve\nnext\tcell \u00bd \u65e5\u672c",
        "line\r\nline",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with the joiner that its spelling asks for
        "\u0915\u094d\u200d\u0937",
        "\U0001f469\u200d\u2695\ufe0f",  # one emoji of four characters
        "\u2265 30 mL/min \u00b1 2 \u00b0C \u2713 \u2022",
        "e\u0301",
        "\u09a6\u09bf\u09a8\u09c7 \u09ea \u09ac\u09be\u09b0",  # Bengali, with its own four
        "TNF-\u03b1, \u03bcg, IFN\u03b3, \u0394F508, 5\u03b1R",
        "\uff11\uff10 mg, 1\ufe0f\u20e3, \u00a9\ufe0f, \u845b\U000e0100".replace("\U000e0100", "\ufe00"),
        "\u041f\u0440\u0438\u043d\u0438\u043c\u0430\u0442\u044c 5 \u043c\u0433",
        "a" + " " * 300 + "b" + "\n" * 20 + "c",
    ],
)
def test_what_shows_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert hidden(text) == ""


def test_a_hidden_character_is_named() -> None:
    assert hidden("a\u202eb\u200b") == "U+202E (RIGHT-TO-LEFT OVERRIDE)"
    assert hidden("\ue123") == "U+E123 (private use, no known meaning)"
    assert hidden("\x1b") == "U+001B (control character)"


@pytest.mark.parametrize("gap", ["\n" * 300, " " * 2000, "\n \t" * 40, "\u3000" * 500, "\u00a0\u2003" * 300])
def test_text_beyond_a_gap_that_nobody_scrolls_through_is_announced(gap: str) -> None:
    text = f"Take 5 mg.{gap}Or take 500 mg."
    assert visible(text) == f"Take 5 mg. [{len(gap)} blanks] Or take 500 mg."
    assert hidden(text) == f"{len(gap)} blanks in a row"
