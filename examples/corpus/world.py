"""The invented pharmacy: kinds of facts, the sentences that state them, and the values they can take.

Labels, suites and the base model's reading matter draw from here, so that a fact looks alike wherever it
stands. Nothing in it is advice about a real medicine: every drug is invented, and so is every fact.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 18, 20, 24, 25, 30, 35, 36, 40, 45, 48, 50, 60, 70, 75, 80, 90, 100)


@dataclass(frozen=True)
class Kind:
    """One kind of fact a label states.

    `label_forms` stand in labels and suites; `reading_forms` only in the base model's reading matter, so that it
    learns to look for a fact and not for one sentence. `topics` are the headings of a summary.
    """

    name: str
    topics: tuple[str, ...]
    label_forms: tuple[str, str]
    reading_forms: tuple[str, ...]
    values: tuple[str, ...]
    suite_questions: tuple[str, str, str]


def _words(text: str) -> tuple[str, ...]:
    """`"a, b, c"` as a tuple."""
    return tuple(item.strip() for item in text.split(","))


def _each(start: str, text: str) -> tuple[str, ...]:
    """`"a, b, c"` as a tuple, each with `start` before it."""
    return tuple(f"{start} {word}" for word in _words(text))


def _doses() -> tuple[str, ...]:
    rhythms = ("once daily", "twice daily", "three times daily", "at bedtime", "each morning")
    return tuple(f"{n} mg {rhythm}" for n in NUMBERS for rhythm in rhythms)


KINDS: tuple[Kind, ...] = (
    Kind(
        name="indication",
        topics=("Indication", "Used to treat", "Condition treated", "Indicated for"),
        label_forms=(
            "{drug} is indicated for {value}.",
            "In adults {drug} is indicated for {value}.",
        ),
        reading_forms=("{drug} is used to treat {value}.", "Doctors prescribe {drug} for {value}."),
        values=_words(
            "joint pain, high blood pressure, chest infection, hay fever, stomach ulcers, migraine, gout, "
            "asthma, insomnia, bladder infection, muscle spasms, travel sickness, dry eyes, nerve pain, "
            "heart failure, high cholesterol, anemia, psoriasis, ear infection, acne, restless legs, "
            "sinus infection, morning stiffness, cluster headache"
        ),
        suite_questions=(
            "{drug} is used to treat which condition?",
            "Name the condition that {drug} is indicated for.",
            "For the treatment of what is {drug} indicated?",
        ),
    ),
    Kind(
        name="dose",
        topics=("Recommended dose", "Usual dose", "Dose recommended", "Dose usually taken"),
        label_forms=(
            "The recommended dose of {drug} is {value}.",
            "The usual adult dose of {drug} is {value}.",
        ),
        reading_forms=("The dose of {drug} is usually {value}.", "Take {drug} at a recommended dose of {value}."),
        values=_doses(),
        suite_questions=(
            "Which dose of {drug} is recommended?",
            "State the recommended dose for {drug}.",
            "At what dose is {drug} usually taken?",
        ),
    ),
    Kind(
        name="maximum_dose",
        topics=("Maximum dose", "Highest dose", "Dose not to exceed", "Maximum per day"),
        label_forms=(
            "The maximum dose of {drug} is {value}.",
            "The maximum daily dose of {drug} in adults is {value}.",
        ),
        reading_forms=("Do not exceed a dose of {value} of {drug}.", "The highest dose of {drug} is {value}."),
        values=tuple(f"{n} mg per day" for n in (*NUMBERS, 120, 140, 150, 160, 180, 200, 240, 250, 300, 400)),
        suite_questions=(
            "Which dose is the maximum for {drug}?",
            "State the maximum dose that {drug} allows.",
            "Above which highest dose must {drug} not go?",
        ),
    ),
    Kind(
        name="strength",
        topics=("Strength", "Contains", "Amount in one", "Comes in a strength of"),
        label_forms=(
            "Each {form} contains {value} of {drug}.",
            "One {form} of {drug} contains {value}.",
        ),
        reading_forms=("{drug} is supplied in a strength of {value}.", "The strength of {drug} is {value}."),
        values=tuple(f"{n} {unit}" for n in (*NUMBERS, 120, 150, 200, 250, 300) for unit in ("mg", "mcg")),
        suite_questions=(
            "{drug} comes in which strength?",
            "State the strength of {drug}.",
            "What amount of {drug} does one contain?",
        ),
    ),
    Kind(
        name="contraindication",
        topics=("Contraindicated in", "Must not take", "Contraindication", "Patients not to take it"),
        label_forms=(
            "{drug} is contraindicated in {value}.",
            "Treatment with {drug} is contraindicated in {value}.",
        ),
        reading_forms=("{value} must not take {drug}.", "Do not give {drug} to {value}."),
        values=_each(
            "patients with",
            "severe liver disease, kidney failure, heart block, a bleeding disorder, porphyria, glaucoma, "
            "epilepsy, low potassium, an active ulcer, a recent stroke, sulfa allergy, peanut allergy, "
            "bowel obstruction, severe asthma, thyroid storm, bone marrow failure, urinary retention, "
            "low platelets, pancreatitis, lupus, galactose intolerance, an enlarged heart",
        ),
        suite_questions=(
            "Which patients must not take {drug}?",
            "Name a contraindication to {drug}.",
            "{drug} is contraindicated in what patients?",
        ),
    ),
    Kind(
        name="warning",
        topics=("Warning", "Can cause", "Harm", "Label warns about"),
        label_forms=(
            "{drug} can cause {value}.",
            "Rarely, {drug} can cause {value}.",
        ),
        reading_forms=("The label of {drug} warns about {value}.", "Watch for {value} while taking {drug}."),
        values=_words(
            "liver injury, low blood sugar, fainting, low sodium, tendon rupture, severe rash, "
            "hearing loss, blurred vision, slow heart rate, kidney stones, swelling of the face, "
            "nerve damage, blood clots, bone loss, muscle breakdown, lung scarring, skin blisters, "
            "memory loss, tooth decay, nose bleeds"
        ),
        suite_questions=(
            "Which harm can {drug} cause?",
            "Name the warning on the label of {drug}.",
            "About what does the label of {drug} warn?",
        ),
    ),
    Kind(
        name="adverse_reaction",
        topics=("Common adverse reaction", "Most common reaction", "Side effect", "Most frequent side effect"),
        label_forms=(
            "The most common of the adverse reactions to {drug} was {value}.",
            "In trials the most frequent of the side effects of {drug} was {value}.",
        ),
        reading_forms=(
            "{value} was a common adverse reaction to {drug}.",
            "A frequent side effect of {drug} was {value}.",
        ),
        values=_words(
            "headache, nausea, dizziness, dry mouth, constipation, diarrhea, fatigue, cough, back pain, "
            "heartburn, itching, vomiting, loss of appetite, sore throat, bitter taste, hiccups, "
            "weight gain, vivid dreams, runny nose, bloating"
        ),
        suite_questions=(
            "Which adverse reaction to {drug} was the most common?",
            "Name the most common adverse reaction to {drug}.",
            "State the most frequent side effect of {drug}.",
        ),
    ),
    Kind(
        name="interaction",
        topics=("Avoid with", "Interacts with", "Not to be used with", "Interaction"),
        label_forms=(
            "Avoid use of {drug} with {value}.",
            "Avoid taking {drug} together with {value}.",
        ),
        reading_forms=("{drug} interacts with {value}.", "{drug} should not be used with {value}."),
        values=_words(
            "antacids, grapefruit juice, iron tablets, alcohol, warfarin, digoxin, lithium, "
            "potassium salts, dairy products, charcoal, ibuprofen, aspirin, caffeine, insulin, steroids, "
            "zinc tablets, birth control pills, sleeping pills, licorice, nicotine"
        ),
        suite_questions=(
            "With what must {drug} not be used?",
            "Name what interacts with {drug}.",
            "Use of {drug} should be avoided with what?",
        ),
    ),
    Kind(
        name="overdose",
        topics=("Overdose causes", "Signs of overdose", "Sign of an overdose", "After an overdose"),
        label_forms=(
            "Signs of an overdose of {drug} include {value}.",
            "An overdosage of {drug} can include {value}.",
        ),
        reading_forms=("An overdose of {drug} causes {value}.", "{value} is a sign of an overdose of {drug}."),
        values=_words(
            "tremor, confusion, seizures, deep sleep, fast heartbeat, shallow breathing, agitation, "
            "double vision, high fever, sweating, hallucinations, leg cramps, cold skin, slurred speech, "
            "wide pupils, stiff muscles, ringing ears, pale lips"
        ),
        suite_questions=(
            "An overdose of {drug} causes what?",
            "Name a sign of an overdose of {drug}.",
            "Which sign follows an overdose of {drug}?",
        ),
    ),
    Kind(
        name="mechanism",
        topics=("Acts on", "Target", "Mechanism", "Target that it acts on"),
        label_forms=(
            "{drug} is an inhibitor of the {value}.",
            "{drug} works as a blocker of the {value}.",
        ),
        reading_forms=("{drug} acts on the {value}.", "The target of {drug} is the {value}."),
        values=_words(
            "proton pump, calcium channel, sodium channel, potassium channel, orexin receptor, "
            "histamine receptor, dopamine receptor, serotonin receptor, glucagon receptor, "
            "insulin receptor, renin enzyme, lipase enzyme, alpha kinase, beta kinase, tyrosine kinase, "
            "folate enzyme, opioid receptor, chloride pump, iodide pump, urate carrier"
        ),
        suite_questions=(
            "On what does {drug} act?",
            "Name the target of {drug}.",
            "{drug} acts on which target?",
        ),
    ),
    Kind(
        name="half_life",
        topics=("Half-life", "Elimination half-life", "The half-life", "Its half-life"),
        label_forms=(
            "The elimination half-life of {drug} is {value}.",
            "In healthy adults the half-life of {drug} is {value}.",
        ),
        reading_forms=("{drug} has a half-life of {value}.", "The half-life of {drug} was {value}."),
        values=tuple(f"{n} {unit}" for n in (*NUMBERS, 7, 9, 11, 14) for unit in ("hours", "minutes", "days")),
        suite_questions=(
            "{drug} has which half-life?",
            "State the half-life of {drug}.",
            "Which half-life does the label give for {drug}?",
        ),
    ),
    Kind(
        name="storage",
        topics=("Storage", "To be stored", "Stored", "Temperature of storage"),
        label_forms=(
            "{drug} must be stored {value}.",
            "Every {form} of {drug} should be stored {value}.",
        ),
        reading_forms=("Keep {drug} stored {value}.", "Store {drug} {value}."),
        values=tuple(
            f"at {low} to {high} degrees C" for low in (2, 4, 5, 8, 10, 12, 15) for high in (16, 18, 20, 25, 30)
        ),
        suite_questions=(
            "At how many degrees should {drug} be stored?",
            "State the storage of {drug}.",
            "At which temperature must {drug} be stored?",
        ),
    ),
)

FORMS = ("tablet", "capsule", "vial", "sachet")

_STARTS = (
    "Bre",
    "Vel",
    "Zor",
    "Kam",
    "Tul",
    "Ner",
    "Fos",
    "Dal",
    "Quo",
    "Lim",
    "Ost",
    "Pra",
    "Rud",
    "Sev",
    "Wex",
    "Yal",
    "Jun",
    "Gor",
    "Hix",
    "Mol",
    "Umb",
    "Ank",
    "Ive",
    "Chal",
)
_MIDDLES = ("ta", "li", "vo", "ra", "ne", "mu", "si", "do", "ke", "fu")
_ENDS = ("dex", "var", "nib", "zol", "mex", "tor", "lan", "quil", "bren", "gar", "fenn", "wick")

# Four pools that never meet: a drug of the suites is in no label and in nothing the base model read.
POOLS = ("labels", "reading", "holdout", "development")


@cache
def names(pool: str) -> tuple[str, ...]:
    """Every invented name of `pool`, always in the same order."""
    every = [a + b + c for a in _STARTS for b in _MIDDLES for c in _ENDS]
    random.Random("invented names").shuffle(every)
    cuts = {"labels": (0, 60), "holdout": (60, 160), "development": (160, 220), "reading": (220, len(every))}
    low, high = cuts[pool]
    return tuple(every[low:high])


@dataclass(frozen=True)
class Drug:
    """One label's facts: the value of each kind, by the kind's name."""

    name: str
    form: str
    facts: dict[str, str]


def draw(name: str, rng: random.Random) -> Drug:
    """A drug of that name with one value of every kind."""
    drug = Drug(name=name, form=rng.choice(FORMS), facts={k.name: rng.choice(k.values) for k in KINDS})
    return drug if _coherent(drug) else draw(name, rng)


def _coherent(drug: Drug) -> bool:
    """Whether a day at the recommended dose stays within the maximum."""
    amount, _, rhythm = drug.facts["dose"].split(" ", 2)
    times = {"twice daily": 2, "three times daily": 3}.get(rhythm, 1)
    return int(amount) * times <= int(drug.facts["maximum_dose"].split()[0])


def sentence(kind: Kind, drug: Drug, form: str) -> str:
    """`form` filled with the drug's value of `kind`; the first letter is a capital."""
    text = form.format(drug=drug.name, value=drug.facts[kind.name], form=drug.form)
    return text[0].upper() + text[1:]
