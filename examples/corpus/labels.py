"""Label texts in SPL XML for the drugs of `facts.tsv`: real SPL structure, invented drugs, our own words."""

from __future__ import annotations

import csv
import random
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from examples.corpus.world import KINDS, Drug, draw, names, sentence

FACTS = Path(__file__).with_name("facts.tsv")
LABELLED_DRUGS = 24
_KINDS = {kind.name: kind for kind in KINDS}
_LOINC = "2.16.840.1.113883.6.1"

# (code, heading, kinds of facts stated here, subsections): nesting and codes as prescription labels have them; a
# subsection without a code of its own carries 42229-5 and belongs to its parent.
Outline = Sequence[tuple[str, str, tuple[str, ...], "Outline"]]
OUTLINE: Outline = (
    ("34067-9", "1 INDICATIONS AND USAGE", ("indication",), ()),
    (
        "34068-7",
        "2 DOSAGE AND ADMINISTRATION",
        (),
        (
            ("42229-5", "2.1 Recommended dose", ("dose", "@swallow"), ()),
            ("42229-5", "2.2 Maximum dose", ("maximum_dose", "@missed"), ()),
        ),
    ),
    ("43678-2", "3 DOSAGE FORMS AND STRENGTHS", ("strength",), ()),
    ("34070-3", "4 CONTRAINDICATIONS", ("contraindication",), ()),
    ("43685-7", "5 WARNINGS AND PRECAUTIONS", (), (("42229-5", "5.1 Main risk", ("warning", "@tell"), ()),)),
    ("34084-4", "6 ADVERSE REACTIONS", (), (("90374-0", "6.1 Clinical trials experience", ("adverse_reaction",), ()),)),
    ("34073-7", "7 DRUG INTERACTIONS", ("interaction",), ()),
    ("34088-5", "10 OVERDOSAGE", ("overdose", "@poison"), ()),
    (
        "34090-1",
        "12 CLINICAL PHARMACOLOGY",
        (),
        (
            ("43679-0", "12.1 Mechanism of action", ("mechanism",), ()),
            ("43682-4", "12.3 Pharmacokinetics", ("half_life",), ()),
        ),
    ),
    ("34069-5", "16 HOW SUPPLIED", ("@supplied",), (("44425-7", "16.2 Storage and handling", ("storage",), ()),)),
)
_FILLERS = {
    "@swallow": "Take {drug} with a full glass of water.",
    "@missed": "Skip a missed {form} of {drug} and go on as planned.",
    "@tell": "Ask patients to report any new sign while they use {drug}.",
    "@poison": "Call a poison center and treat what you see.",
    "@supplied": "{drug} comes in a carton with one {form} in each blister.",
}


def write_fact_table(path: Path = FACTS) -> None:
    """Draw the invented drugs once: two labels a drug, of two dosage forms, whose facts differ."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["drug", "form", "set_id", "version", *_KINDS])
        for name in names("labels")[:LABELLED_DRUGS]:
            rng = random.Random(f"labels of {name}")
            for form in rng.sample(("tablet", "capsule", "vial", "sachet"), 2):
                facts = draw(name, rng).facts
                set_id = uuid.uuid5(uuid.NAMESPACE_URL, f"posology sample {name} {form}")
                table.writerow([name, form, set_id, rng.randint(1, 6), *facts.values()])


def read_fact_table(path: Path = FACTS) -> Iterator[tuple[Drug, str, int]]:
    """Yield (drug, set id, version) of each row."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield Drug(row["drug"], row["form"], {k: row[k] for k in _KINDS}), row["set_id"], int(row["version"])


def label_sentence(name: str, drug: Drug, rng: random.Random) -> str:
    """The sentence of one entry of the outline: a filler, or a fact in one of its two label forms."""
    if name in _FILLERS:
        text = _FILLERS[name].format(drug=drug.name, form=drug.form)
        return text[0].upper() + text[1:]
    kind = _KINDS[name]
    return sentence(kind, drug, rng.choice(kind.label_forms))


def _section(outline: Outline, drug: Drug, set_id: str, rng: random.Random, indent: str) -> Iterator[str]:
    for code, heading, entries, below in outline:
        text = " ".join(label_sentence(entry, drug, rng) for entry in entries)
        yield f"{indent}<component>"
        yield f'{indent} <section ID="s{heading.split()[0].replace(".", "_")}">'
        yield f'{indent}  <id root="{uuid.uuid5(uuid.UUID(set_id), heading)}"/>'
        yield f'{indent}  <code code="{code}" codeSystem="{_LOINC}"/>'
        yield f"{indent}  <title>{escape(heading)}</title>"
        if text:
            yield f"{indent}  <text>\n{indent}   <paragraph>{escape(text)}</paragraph>\n{indent}  </text>"
        yield from _section(below, drug, set_id, rng, indent + "  ")
        yield f"{indent} </section>"
        yield f"{indent}</component>"


def spl(drug: Drug, set_id: str, version: int) -> str:
    """One SPL document (type 34391-3, human prescription label)."""
    rng = random.Random(f"wording of {set_id}")
    body = "\n".join(_section(OUTLINE, drug, set_id, rng, "   "))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<document xmlns="urn:hl7-org:v3">
 <id root="{uuid.uuid5(uuid.UUID(set_id), f"version {version}")}"/>
 <code code="34391-3" codeSystem="{_LOINC}" displayName="HUMAN PRESCRIPTION DRUG LABEL"/>
 <title>{drug.name} {drug.form}. Invented for Posology; not a real medicine.</title>
 <effectiveTime value="20250101"/>
 <setId root="{set_id}"/>
 <versionNumber value="{version}"/>
 <component>
  <structuredBody>
   <component>
    <section>
     <id root="{uuid.uuid5(uuid.UUID(set_id), "product data")}"/>
     <code code="48780-1" codeSystem="{_LOINC}"/>
     <subject>
      <manufacturedProduct>
       <manufacturedProduct>
        <name>{drug.name}</name>
        <formCode displayName="{drug.form.upper()}"/>
        <asEntityWithGeneric><genericMedicine><name>{drug.name.lower()}</name></genericMedicine></asEntityWithGeneric>
        <ingredient classCode="ACTIB">
         <ingredientSubstance><name>{drug.name.upper()}</name></ingredientSubstance>
        </ingredient>
       </manufacturedProduct>
      </manufacturedProduct>
     </subject>
    </section>
   </component>
{body}
  </structuredBody>
 </component>
</document>
"""


def write_labels(folder: Path) -> int:
    """Write one XML file a label into `folder`; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for drug, set_id, version in read_fact_table():
        (folder / f"{drug.name.lower()}-{drug.form}.xml").write_text(spl(drug, set_id, version), encoding="utf-8")
        count += 1
    return count
