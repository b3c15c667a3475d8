"""Raised and lowered characters in plain text: exponents, isotopes, charges and fractions keep their meaning.

A footnote mark is dropped, because what it points at stands elsewhere; everything else that is raised means something:
"<sup>177</sup>Lu" is 177Lu, "10<sup>-9</sup>" is 10^-9, "Ca<sup>2+</sup>" is Ca2+, and "1<sup>1</sup>/<sub>2</sub>"
is 1 1/2.
"""

import re

_ELEMENTS_TEXT = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo
    Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl
    Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf
"""
_PROTONS = {symbol: number for number, symbol in enumerate(_ELEMENTS_TEXT.split(), 1)}
_ELEMENT_AFTER = re.compile(r"\s?-?([A-Z][a-z]?)(?![a-z])")
_ELEMENT_BEFORE = re.compile(r"(?<![A-Za-z])([A-Z][a-z]?)-?$")
_UNIT = re.compile(
    r"(?:(?<![A-Za-z])(?:[mckdnµμ]?m|inch(?:es)?|f(?:oo|ee)?t|yd|sec|s|min|h|hr|[kmµμ]?g|[mdµμ]?L|kg/m|[rRχ])"
    r"|(?<=\d )in|(?<=\d)in)$"
)
_MARKS = frozenset("®™©℠†‡§¶*#‖◊")
_KEPT = {"®": "®", "™": "™", "©": "©", "℠": "℠", "TM": "™", "tm": "™", "SM": "℠", "(R)": "®", "(TM)": "™"}
_GENE = re.compile(r"(?<![A-Za-z])[A-Z]{2}[A-Z0-9-]*\d?[A-Z]?\d*\s?\*?$")
_LOCANT = re.compile(r"(?:(?<![A-Za-z])[A-Z]|[α-ωΑ-Ω∆])$")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def raised(text: str, *, before: str, after: str = "", fraction: bool = False) -> str:
    """What a raised text becomes, given the plain text before and after it; "" for a footnote mark.

    `fraction` says that a slash and a lowered text follow, so that this is the upper half of a fraction.
    """
    text, before = text.strip(), before.rstrip("\ufeff")
    if text in _KEPT:
        return _KEPT[text]
    if _GENE.search(before) and re.fullmatch(r"\*?\d*[A-Z]?", text) and ("*" in text or before.rstrip()[-1:] == "*"):
        return text if text.strip("*") or re.match(r"\d", after) else ""  # CYP2C19*2, but no mark behind a gene
    if not text or all(character in _MARKS for character in text):
        return ""
    signed = text.replace("−", "-").replace("–", "-")
    if text in {"o", "O", "0", "º", "°", "ο"} and re.search(r"\d\s*$", before):
        return "°"
    if fraction or re.fullmatch(r"\d+/\d+", text):
        return (" " if before[-1:].isdigit() else "") + text
    if _mass_number(text, before, after):
        parted = " " if _ELEMENT_AFTER.match(after) else "-"
        return (parted if before[-1:].isalpha() else "") + text
    if text.isdigit() and _LOCANT.search(before) and re.match(r"-\w", after):
        return text  # O6-methylguanine, Δ9-tetrahydrocannabinol
    if re.fullmatch(r"-\d+(?:\.\d+)?", signed):
        return "^" + signed
    if re.fullmatch(r"\d{0,2}[+-]{1,3}", signed):
        return ("^" if before[-1:].isdigit() and signed[:1].isdigit() else "") + signed
    if _NUMBER.fullmatch(text):
        return "^" + text if _takes_exponent(before.rstrip(), text) else ""
    if re.fullmatch(r"\+\d+", text):
        return "^" + text
    return "" if _is_footnote(text) else text


def lowered(text: str, *, before: str) -> str:
    """CO<sub>2</sub> -> CO2, C<sub>max</sub> -> Cmax; after a digit an underscore keeps numbers apart."""
    return ("_" if text[:1].isdigit() and before[-1:].isdigit() else "") + text


def _mass_number(text: str, before: str, after: str) -> bool:
    """Whether this is an isotope's: a number that some nucleus of the element next to it can have, or "99m"."""
    number = re.fullmatch(r"(\d{1,3})(m\d?)?", text)
    if number is None:
        return False
    if number.group(2):
        return True
    glued = before[-1:].isalnum() and not (len(text) == 3 and before[-2:].islower() and after[:1].isupper())
    ahead = None if glued else _ELEMENT_AFTER.match(after)
    element = ahead or _ELEMENT_BEFORE.search(before)
    protons = _PROTONS.get(element.group(1), 0) if element else 0
    least = protons if protons < 3 else round(1.7 * protons)
    return bool(protons) and least <= int(number.group(1)) <= 3 * protons


def _takes_exponent(before: str, text: str) -> bool:
    """Powers of ten, square and cubic units, r squared; a raised number after any other word is a footnote."""
    if re.search(r"(?<![\d.,])10$", before) or (
        before.endswith((")", "]")) and re.search(r"\^-?\d+[)\]]$|/m[)\]]$", before)
    ):
        return True
    return bool(_UNIT.search(before)) and text in {"2", "3", "4"}


_MARK = r"(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4}|[*†‡§¶#])"
_FOOTNOTE = re.compile(rf"[\[(]?{_MARK}(?:(?:\s*[,;–—-]\s*|\s+){_MARK}|[*†‡§¶#])*[\])]?,?|,\s*")


def _is_footnote(text: str) -> bool:
    """1,2 or a,b or [3] or (c) or 4-6 or 1† and the like; "1st" and "4th" are none."""
    return bool(_FOOTNOTE.fullmatch(text)) and text not in {"st", "nd", "rd", "th"}
