"""Health Canada's product monographs: their section codes as LOINC, so that the rest of curation knows one code system.

Source: Health Canada, Structured Product Monograph, section types (OID 2.16.840.1.113883.3.989.5.1.4.1.8) and document
types (2.16.840.1.113883.3.989.5.1.4.1.10). A code such as 210-210-10 belongs to 210-210, and that to 210.
"""

DOCUMENT_SYSTEM = "2.16.840.1.113883.3.989.5.1.4.1.10"
SECTION_SYSTEM = "2.16.840.1.113883.3.989.5.1.4.1.8"

_SKIPPED = "48780-1"
_LOINC = {
    "10": _SKIPPED, "520": _SKIPPED, "180": _SKIPPED, "350": _SKIPPED,  # cover, contents, product summary, references
    "20": "", "30": "", "40": "68498-5", "60": "68498-5",  # the three parts; the third is written for patients
    "190": "34067-9", "190-10-10": "34082-8", "190-10-20": "34081-0",
    "200": "34070-3", "210": "43685-7", "210-20": "34083-6", "210-210": "43684-0", "210-210-10": "42228-7",
    "210-210-20": "77290-5", "210-210-30": "34081-0", "210-210-40": "34082-8",
    "215": "34066-1", "220": "34084-4", "220-20": "90374-0", "230": "34073-7", "240": "34068-7", "250": "34088-5",
    "260": "34090-1", "260-10": "43679-0", "260-20": "43681-6", "260-30": "43682-4",
    "270": "44425-7", "280": "44425-7", "290": "43678-2", "300": "34089-3", "310": "34092-7", "320": "34090-1",
    "330": "49489-8", "340": "43680-8",
    "360": "68498-5", "370": "68498-5", "380": "68498-5", "390": "68498-5", "400": "68498-5", "410": "68498-5",
}  # fmt: skip
_PARTS = frozenset({"20", "30", "40"})
_ANYWHERE = frozenset(
    {"210-10", "190-10-10", "190-10-20"}
)  # "General", "Geriatrics", "Pediatrics" stand below anything


class Monograph:
    """The sections of one monograph, to be asked for in document order: most files keep them flat, side by side."""

    def __init__(self) -> None:
        self._part = self._before = ""

    def loinc(self, code: str) -> str:
        """The LOINC code of the next section; "" when it has none. All of part III is for patients."""
        if code in _PARTS:
            self._part = code
        if self._part == "40":
            return _LOINC["40"]
        if code in _ANYWHERE and self._before and code.split("-")[0] != self._before.split("-")[0]:
            return _known(self._before)
        self._before = code
        return _known(code)


def _known(code: str) -> str:
    while code and code not in _LOINC:
        code = code.rpartition("-")[0]
    return _LOINC.get(code, "")
