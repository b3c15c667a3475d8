"""LOINC codes of drug labels: which documents and sections count, and what they are called.

Match codes, never display names: those differ between labelers for the same code.
"""

from dataclasses import dataclass

UNCLASSIFIED = "42229-5"  # by far the commonest code; such a section belongs to its nearest coded ancestor

DOCUMENTS = {  # labels of human medicines
    "34391-3": "human prescription",
    "45129-4": "human prescription with highlights",
    "34390-5": "human over the counter",
    "53404-0": "vaccine",
    "60683-0": "plasma derivative",
    "60684-8": "cellular therapy",
    "53406-5": "minimally manipulated cells",
    "60682-2": "standardized allergenic",
    "53405-7": "non-standardized allergenic",
    "75031-5": "human compounded drug",
}
NOT_LABELS = {
    "60685-5": "indexing file",
    "64124-1": "indexing file",
    "81203-2": "bulk ingredient",
    "53409-9": "bulk ingredient",
    "53408-1": "bulk intermediate",
    "53407-3": "blood intermediate",
    "53411-5": "drug for further processing",
    "50577-6": "animal over-the-counter label",
    "50578-4": "animal prescription label",
    "50576-8": "animal label",
    "58474-8": "cosmetic",
    "58475-5": "medical food",
    "58476-3": "dietary supplement",
}
HOMEOPATHIC = "C73614"  # marketing category "unapproved homeopathic"
KIT = "C47916"  # dosage form

SKIPPED = frozenset({"48780-1", "51945-4", "43683-2", "34093-5"})  # product data, package art, changes, references


@dataclass(frozen=True)
class Kind:
    """A kind of section, and its usual heading."""

    code: str
    title: str
    fields: tuple[str, ...] = ()  # openFDA names


_TABLE = (
    Kind("34066-1", "Boxed Warning", ("boxed_warning",)),
    Kind("34067-9", "Indications and Usage", ("indications_and_usage",)),
    Kind("34068-7", "Dosage and Administration", ("dosage_and_administration",)),
    Kind("43678-2", "Dosage Forms and Strengths", ("dosage_forms_and_strengths",)),
    Kind("34070-3", "Contraindications", ("contraindications",)),
    Kind("43685-7", "Warnings and Precautions", ("warnings_and_cautions",)),
    Kind("34084-4", "Adverse Reactions", ("adverse_reactions",)),
    Kind("90374-0", "Clinical Trials Experience"),
    Kind("34073-7", "Drug Interactions", ("drug_interactions",)),
    Kind("34088-5", "Overdosage", ("overdosage",)),
    Kind("34089-3", "Description", ("description",)),
    Kind("34069-5", "How Supplied", ("how_supplied",)),
    Kind("44425-7", "Storage and Handling", ("storage_and_handling", "safe_handling_warning")),
    Kind("34092-7", "Clinical Studies", ("clinical_studies",)),
    Kind("43684-0", "Use in Specific Populations", ("use_in_specific_populations",)),
    Kind("42228-7", "Pregnancy", ("pregnancy",)),
    Kind("77290-5", "Lactation", ("lactation",)),
    Kind("34080-2", "Nursing Mothers", ("nursing_mothers",)),
    Kind("34077-8", "Teratogenic Effects", ("teratogenic_effects", "nonteratogenic_effects")),
    Kind("34079-4", "Labor and Delivery", ("labor_and_delivery",)),
    Kind("34081-0", "Pediatric Use", ("pediatric_use",)),
    Kind("34082-8", "Geriatric Use", ("geriatric_use",)),
    Kind("88828-9", "Renal Impairment"),
    Kind("88829-7", "Hepatic Impairment"),
    Kind("34090-1", "Clinical Pharmacology", ("clinical_pharmacology", "pharmacogenomics")),
    Kind("43679-0", "Mechanism of Action", ("mechanism_of_action",)),
    Kind("43681-6", "Pharmacodynamics", ("pharmacodynamics",)),
    Kind("43682-4", "Pharmacokinetics", ("pharmacokinetics",)),
    Kind("49489-8", "Microbiology", ("microbiology",)),
    Kind(
        "43680-8",
        "Nonclinical Toxicology",
        ("nonclinical_toxicology", "animal_pharmacology_and_or_toxicology"),
    ),
    Kind(
        "34083-6",
        "Carcinogenesis, Mutagenesis, Impairment of Fertility",
        ("carcinogenesis_and_mutagenesis_and_impairment_of_fertility",),
    ),
    Kind("34071-1", "Warnings", ("warnings",)),
    Kind("42232-9", "Precautions", ("precautions",)),
    Kind("34072-9", "General Precautions", ("general_precautions",)),
    Kind("34075-2", "Laboratory Tests", ("laboratory_tests",)),
    Kind(
        "34074-5",
        "Drug/Laboratory Test Interactions",
        ("drug_and_or_laboratory_test_interactions",),
    ),
    Kind("42227-9", "Drug Abuse and Dependence", ("drug_abuse_and_dependence",)),
    Kind("34085-1", "Controlled Substance", ("controlled_substance",)),
    Kind("34086-9", "Abuse", ("abuse",)),
    Kind("34087-7", "Dependence", ("dependence",)),
    Kind("34076-0", "Information for Patients", ("information_for_patients",)),
    Kind("42230-3", "Patient Package Insert", ("spl_patient_package_insert",)),
    Kind("42231-1", "Medication Guide", ("spl_medguide",)),
    Kind("59845-8", "Instructions for Use", ("instructions_for_use",)),
    Kind("68498-5", "Patient Medication Information", ("patient_medication_information",)),
    Kind("55106-9", "Active Ingredient", ("active_ingredient",)),
    Kind("55105-1", "Purpose", ("purpose",)),
    Kind("51727-6", "Inactive Ingredients", ("inactive_ingredient",)),
    Kind("50565-1", "Keep Out of Reach of Children", ("keep_out_of_reach_of_children",)),
    Kind("50566-9", "Stop Use", ("stop_use",)),
    Kind("50567-7", "When Using", ("when_using",)),
    Kind("50568-5", "Ask a Doctor or Pharmacist", ("ask_doctor_or_pharmacist",)),
    Kind("50569-3", "Ask a Doctor", ("ask_doctor",)),
    Kind("50570-1", "Do Not Use", ("do_not_use",)),
    Kind("53413-1", "Other Safety Information", ("questions",)),
    Kind(
        "53414-9",
        "Pregnancy or Breast Feeding",
        ("pregnancy_or_breast_feeding",),
    ),
)

KINDS = {kind.code: kind for kind in _TABLE}
CODE_OF_FIELD = {name: kind.code for kind in _TABLE for name in kind.fields}
SKIPPED_FIELDS = frozenset(
    {"spl_product_data_elements", "package_label_principal_display_panel", "recent_major_changes", "references"}
)
_CODE_OF_TITLE = {kind.title.casefold().replace("and", "&"): kind.code for kind in _TABLE}


def code_of_title(heading: str) -> str:
    """The LOINC code of a section that is only known by its heading; "" when no code has this name."""
    plain = heading.strip().strip("0123456789.# ").casefold().replace("and", "&")
    return _CODE_OF_TITLE.get(plain, "")


def title_of(code: str) -> str:
    """The usual heading of a code, or "" for an unknown one."""
    return KINDS[code].title if code in KINDS else ""
