"""Pairs without anything clinical in them."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re

from posology.curation.domain import GENERAL, REFUSAL, Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register
from posology.curation.text.normal import normal, tokens
from posology.curation.text.quantities import COMMON_DRUGS, QUANTITY

# One of these is enough: outside of medicine nobody says them.
_STRONG = re.compile(
    r"\b(?:tablets?|capsules?|inject(?:ions?|ed|able)|infusions?|infused|intravenous\w*|subcutaneous\w*|intramuscular\w*|orally|topical\w*|clinical\w*|contraindicat\w*|adverse (?:reaction|event|effect)s?|side effects?|"
    r"pharmac\w*|overdos\w*|hypersensitiv\w*|anaphyla\w*|allergic|allerg(?:y|ies)|asthma|diabet\w*|hypertens\w*|hypotens\w*|cancers?|carcinoma\w*|tumou?rs?|fever|nausea|vomiting|diarrhea|constipation|headaches?|seizures?|"
    r"epilepsy|stroke|infections?|pregnan\w*|breast-?feed\w*|lactation|renal|hepatic|plasma (?:levels?|concentrations?|proteins?)|serum|half-life|bioavailab\w*|metaboli[sz]\w*|metabolites?|enzymes?|receptors?|inhibitors?|agonists?|antagonists?|"
    r"syndrome|symptoms?|diseases?|disorders?|physicians?|pharmacists?|antibod\w*|vaccin\w*|virus|viral|bacteri\w*|antibiotics?|insulin|toxicit\w*|rash|hives|edema|insomnia|pediatric|geriatric|dialysis|creatinine|glaucoma|gout|ulcers?|"
    r"dizz\w*|drows\w*|sedati\w*|bleeding|hemorrhag\w*|thrombo\w*|arrhythmi\w*|tachycard\w*|bradycard\w*|QT|liver (?:damage|injury|failure|enzymes)|kidney (?:failure|disease|function)|heart (?:failure|attack|rate|block)|blood (?:pressure|sugar|clots?|glucose)|"
    r"jaundice|fetus|fetal|dosages?|dosing|antidotes?|placebo|medications?|medicines?|prescri\w*|therap(?:y|ies|eutic)|palpitations?|vertigo|tinnitus|cramps?|dehydration|itching|swelling|chemotherapy|steroids?|opioids?|analges\w*|naloxone|inhalers?|eye drops?|sublingual\w*|CYP\w+|MAOIs?|NSAIDs?|SSRIs?)\b"
    r"|\b(?!sympath|empath|apath|telepath|nostalg|academi|bohemi|aroma\b|diploma|idiom|proposal|april\b|metamorphosis|diagnosis of the)\w{3,}(?:itis|osis|emias?|uria|pathy|algia|ectomy|penia|cillin|mycin|azoles?|pril|sartan|statins?|olol|[a-z]mab|[a-z]tinib|navir|tegravir|buvir|azepam|zolam|barbital|dipine|cycline|floxacin|gliptin|gliflozin|glutide|parin|tidine|setron|triptan|thiazide|semide|prazole|profen|oxetine|azepine|solone|phylline|triptyline|caine|codone|morphone)\b",
    re.IGNORECASE,
)  # fmt: skip
# Two different ones of these: each has a life outside of medicine.
_WEAK = re.compile(
    r"\b(doses?|mg|treat(?:s|ed|ment|ments)?|patients?|drugs?|blood|plasma|skin|eyes?|liver|kidneys?|heart|pain|doctors?|reactions?|administer(?:ed|ing)?|indicated|swallow(?:ed)?|mouth|"
    r"daily|meals?|stomach|lungs?|breath(?:ing)?|nurses?|hospitals?|wounds?|muscles?|nerves?|bones?|brain|sleepiness|toxic|cells|ingredients?|oral|expos(?:ed|ure)|inhale[ds]?|hormones?|health|weeks? of treatment|newborns?|infants?|surgery|tests?)\b",
    re.IGNORECASE,
)
_DOSE_UNIT = re.compile(r"^(?:mg|mcg|µg|iu|units?|meq|ml|milligrams?|micrograms?)\b", re.IGNORECASE)


@register("clinical_terms", when=lambda recipe: {} if recipe.require_clinical_terms else None, order=40)
def clinical_terms(pair: Pair, context: Context) -> FilterResult:
    """Drop pairs that neither name the drug nor use a clinical word or a dose; general and refusal pairs are exempt."""
    if GENERAL in pair.tags or REFUSAL in pair.tags:
        return keep
    text = normal(pair.text)
    if pair.drug and pair.drug in text:
        return keep
    doses = any(_DOSE_UNIT.match(m.group("unit")) for m in QUANTITY.finditer(pair.text))
    weak = {m.group(1).casefold().rstrip("s") for m in _WEAK.finditer(text)}
    clinical = doses or _STRONG.search(text) or len(weak) >= 2 or set(tokens(text)) & (COMMON_DRUGS - {"alcohol"})
    return keep if clinical else drop("no drug, dose or clinical term in question or answer")
