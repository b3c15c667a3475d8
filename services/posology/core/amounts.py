"""Amounts in text as people write them, in the one spelling that readers of quantities know.

"½ tablet" and "1/2 tablet" are 0.5 tablet, "5 000 mg" is 5000 mg, "2·5 mg" is 2.5 mg, "10⁹" is 10^9: as they stand,
the last number alone would count, which is another dose.
"""

import re
import unicodedata

_THOUSANDS = re.compile(r"(?<=\d)[\u2009\u202f\u00a0](?=\d{3}(?!\d))|(?<=\d) (?=000(?!\d))")
_MIDDLE_DOT = re.compile(r"(?<=\d)·(?=\d)(?!10\s?[\^⁰-⁹⁻])")
_VULGAR = re.compile(r"(?:(?P<whole>\d{1,3})\s?)?(?P<part>[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_COUNTED = r"tablet|tab\b|capsule|patch|teaspoon|tablespoon|dose|vial"
_FRACTION = re.compile(
    r"(?<![\d/.,])(?:(?P<whole>\d{1,3})[ -])?(?P<upper>[1-9])/(?P<lower>[2-8])"
    rf"(?= (?:of (?:a|an|one) |an? )?(?:{_COUNTED}))"
)
_RAISED = re.compile(r"(?<=[\w)])[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_RAISED_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def in_one_spelling(text: str) -> str:
    """The text with fractions as decimals, thousands joined, raised digits behind ^, and one letter µ (U+00B5)."""
    text = _THOUSANDS.sub("", text.replace("μ", "µ"))
    if not text.isascii():
        text = _MIDDLE_DOT.sub(".", text)
        text = _VULGAR.sub(lambda m: f"{int(m['whole'] or 0) + unicodedata.numeric(m['part']):.4g}", text)
        text = _RAISED.sub(lambda m: "^" + m.group().translate(_RAISED_DIGITS), text)
    return _FRACTION.sub(lambda m: f"{int(m['whole'] or 0) + int(m['upper']) / int(m['lower']):.4g}", text)
