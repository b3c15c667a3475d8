"""Readers of what whole sections, passages under a heading and lists state: complete, in the label's words, or silent."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Iterator
from dataclasses import replace

from posology.curation import codes
from posology.curation.teachers.facts import (
    Fact,
    Place,
    aliases,
    answered,
    clean_heading,
    covered,
    lacks_a_figure,
    leans_back,
    names_it,
    reader,
    two_headings,
    without_headings,
)
from posology.curation.teachers.patterns import KEEPING, heading_above
from posology.curation.text.normal import split_sentences
from posology.curation.text.repair import (
    Passage,
    heading_and_rest,
    is_fragment,
    is_sentence,
    joined,
    passages,
    plain_text,
    without_repeat,
)

_LONG, _PASSAGE = 200, 150  # words of an answer: all that a section says; what stands under one heading

# kind, authority, the words of the question for all that the section says.
_POPULATIONS = (
    ("pregnancy", ("42228-7",), r"^pregnancy(?! (?:exposure|testing|test|registry|prevention))", "use in pregnancy"),
    (
        "lactation",
        ("77290-5", "34080-2"),
        r"^(?:lactation|nursing mothers|breast-?feeding)$",
        "use during breastfeeding",
    ),
    ("pediatric", ("34081-0",), r"^p(?:a)?ediatric(?: use|s)?$", "use in pediatric patients"),
    ("geriatric", ("34082-8",), r"^geriatric(?: use|s)?$", "use in older patients"),
    (
        "renal",
        ("88828-9",),
        r"^(?:patients with |use in )?renal (?:impairment|insufficiency)$",
        "use in renal impairment",
    ),
    (
        "hepatic",
        ("88829-7",),
        r"^(?:patients with |use in )?hepatic (?:impairment|insufficiency)$",
        "use in hepatic impairment",
    ),
)
_GROUP_SECTIONS = frozenset({"43684-0", "42229-5"})


def _said(place: Place, kind: str, question: str, text: str) -> Fact:
    return Fact(kind, (question,), answered(place, text), evidence=without_headings(text))


def _quoted(place: Place, kind: str, topic: str, text: str) -> Fact:
    """One sentence, where the whole cannot be read: asked for as one, answered letter for letter."""
    question = f"Quote one sentence on {topic} from the label of {place.name}."
    return Fact(kind, (question,), f"The label of {place.name} states: {text}", evidence=text)


def _whole(place: Place, kind: str, question: str, words: int = _LONG) -> Iterator[Fact]:
    text = place.whole(words)
    if text and not _too_little(text):
        yield _said(place, kind, question.format(drug=place.name, headed=place.headed()), text)


def _too_little(text: str) -> bool:
    return len(text.split()) < 4


@reader("indication", codes="34067-9")
def indication(place: Place) -> Iterator[Fact]:
    """All of a section that fits an answer; of a longer one, single indications that name the drug."""
    if place.is_over_the_counter:
        return
    text = place.whole(_LONG)
    spoken = [s for line in text.split("\n") for s in split_sentences(line)]
    if any(len(re.findall(r"\bindicated\b", s)) > 1 and ": " in s for s in spoken):
        return  # two sentences whose stop got lost, with a list between them
    if text and re.search(r"\bindicated\b|\bused? (?:for|to|in|as)\b", text):
        question = f"What is {place.name} indicated for{place.headed()}, according to its label?"
        yield _said(place, "indication", question, text)
        return
    named = [
        (p, s)
        for p in place.passages
        for s in p.statements
        if not s.doubtful
        and s.words >= 6
        and re.search(
            r"\b(?:is|are) (?:\w+ly )?indicated\b|\b(?:inhibitor|antibody|agonist|antagonist|conjugate|agent|\w+) indicated (?:for|in|as|to)\b",
            s.text,
        )
        and not re.search(r"\bnot (?:\w+ )?indicated\b", s.text)
        and _is_one_indication(s.text)
        and names_it(place.section, s.text)
        and not leans_back(s.text)
    ]
    for number, (passage, statement) in enumerate(named[:4]):
        heading = clean_heading(passage.heading.split(" > ")[-1])
        beside = [s for p in place.passages if p.heading == passage.heading for s in p.statements if s is not statement]
        if re.match(r"Limitations? of [Uu]se", heading):
            continue  # an indication stands elsewhere
        one = "indications" if "\n- " in statement.text else "one indication"
        question = f"Name {one} of {place.name} that its label states{place.headed()}."
        if number and not heading:
            continue
        if number and any(re.search(r"\bindicated\b", s.text) for s in beside):
            question = f"Name one indication of {place.name} that its label states under the heading “{heading}”."
        elif number:
            question = f"What indication of {place.name} does its label state under the heading “{heading}”?"
        yield _said(place, "indication", question, statement.text)


def _with_its_items(text: str) -> str:
    """A list that a flat text set as sentences behind its stem, item by item; what explains an item stays with it."""
    first, *rest = split_sentences(text) if "\n" not in text else [text]
    match = re.match(r"(?P<stem>[^:]{12,160}:) (?P<item>[A-Z][^:]+)$", first)
    if not match or not any(is_fragment(s) for s in rest) or any("contraindicated" in s for s in rest):
        return text
    items = [match["item"]]
    for sentence in rest:
        if is_fragment(sentence):
            items.append(sentence)
        else:
            items[-1] += f" {sentence}"
    return "\n- ".join([match["stem"], *items])


def _is_one_indication(text: str) -> bool:
    """Whether it is whole: no list cut after its stem, no heading among its items, no second stem."""
    stem, *items = text.split("\n- ")
    bare = re.sub(r"\([^)]*\)", "", stem)
    opened = re.search(r"(?<!either): ?\S", bare)
    headings = any(len(item.split()) <= 3 and item.rstrip(".").istitle() for item in items[:1]) and len(items) > 1
    more = any(re.search(r"[a-z)]\. [A-Z]", item) for item in items)
    twice = len(re.findall(r"\bindicated\b", bare)) > 1
    return not (opened or twice or more or (headings and items[1][:1].islower()) or len(items) == 1)


@reader("contraindication", codes="34070-3")
def contraindication(place: Place) -> Iterator[Fact]:
    """The whole list, or one contraindication of it."""
    words = set(re.findall(r"[a-z]+", place.section.text.casefold()))
    if "none" in words and words <= {"none", "known", "contraindications", "contraindication", "there", "are", "no"}:
        yield Fact(
            "contraindication",
            (f"Does the label of {place.name} list any contraindications?",),
            f"No. The label of {place.name} lists no contraindications.",
            evidence=place.section.text,
        )
        return
    text = place.whole(_LONG, fragments=True)
    if text and not _too_little(text):
        question = f"What are the contraindications to {place.name}{place.headed()}?"
        listed = answered(place, _with_its_items(text))
        yield Fact("contraindication", (question,), listed, evidence=without_headings(text))
        return
    for s in place.statements:
        fits = not s.doubtful and s.words <= 60 and not leans_back(s.text) and "\n" not in s.text
        if (
            fits
            and re.search(
                r"\bcontraindicated\b|\bshould not be (?:used|given|administered)\b|\bshould be avoided\b|\b[Dd]o not (?:use|give|administer)\b",
                s.text,
            )
            and not re.search(r"\bnot contraindicated\b|:|\bfollowing\b", s.text)
            and not place.broken(s.text)
        ) and (names_it(place.section, s.text) or place.section.drug.split()[0] in s.text.casefold()):
            question = f"Name one contraindication to {place.name} that its label states{place.headed()}."
            yield _said(place, "contraindication", question, s.text)
            return


@reader("boxed-warning", codes="34066-1")
def boxed_warning(place: Place) -> Iterator[Fact]:
    """The warning's statement: whole when it is short, its first sentence, and the heading that names the risks."""
    titled = place.section.title
    if titled and not re.search(r"(?i)warning|box|contraindication", f"{titled} {place.section.text[:200]}"):
        return  # another text under the code
    apart = re.sub(r"(?<=[A-Z]{4})(?=[A-Z][a-z]{2})", " ", place.section.text)  # "PSYCHOSISElderly patients"
    printed = " \n".join(apart.split("\n"))
    flat = without_repeat(printed)
    # The first page's copy may say for whom it is not approved, which the warning itself does not.
    more = "not approved" in printed and "not approved" not in flat
    title = place.section.title
    heading = re.sub(r"^\d[\d.]*\s+", "", title) if re.match(r"(?:\d[\d.]*\s+)?WARNINGS?\b\s*:", title) else ""
    first, rest = heading_and_rest(flat)
    if re.match(r"WARNINGS?\b", first) and len(first.split()) >= 2:
        heading, flat = heading or first, rest
    elif first and re.match(r"(?:BOXED )?WARNINGS?\b", first):
        flat = rest
    body = passages(replace(place.section, title="Boxed Warning", text=flat.replace(" \n", "\n").strip()))
    inner = replace(
        place, section=replace(place.section, title="Boxed Warning", text=flat.replace(" \n", "\n").strip())
    )
    text = inner.whole(_LONG)
    where = place.headed() if not heading else ""
    if text and not _too_little(text) and not more:
        yield _said(place, "boxed-warning", f"What does the boxed warning of {place.name} state{where}?", text)
    elif body and body[0].statements:
        opening = body[0].statements[0]
        spoken = opening.text.capitalize() if opening.text.isupper() else opening.text
        if (not opening.doubtful or _shouted(opening.text)) and not leans_back(spoken):
            question = f"With which statement does the boxed warning of {place.name} begin{where}?"
            yield _said(place, "boxed-warning", question, opening.text)
        else:
            for s in inner.statements:
                alone = not s.doubtful and "\n" not in s.text and s.words <= 60 and not leans_back(s.text)
                spoken_to = re.search(r"\b[Yy]ou(?:r|rs)?\b", s.text)  # a leaflet's words among them
                if alone and not spoken_to and names_it(place.section, s.text) and not place.broken(s.text):
                    question = f"Quote one sentence of the boxed warning in the label of {place.name}."
                    answer = f"The label of {place.name} states: {s.text}"
                    yield Fact("boxed-warning", (question,), answer, evidence=s.text)
                    break
    heading = re.split(r"(?<=[A-Z)]) (?=WARNINGS?\s?:)", heading)[0]
    heading = re.split(rf"\s[•▪●]|(?<! WITH)(?<! OF)(?<! TO)(?<! FOR)(?<! AND) (?={_any_name(place)}\b)", heading)[0]
    named = re.sub(r"^(WARNINGS?)\s+:", r"\1:", " ".join(heading.split())).strip(" .*")
    broken = re.search(r"[A-Z]{3,} [B-Z] [A-Z]{3,}|\d\.\d|[.;:] [A-Z]?[a-z]", named) or named.count("(") != named.count(
        ")"
    )
    if 2 <= len(named.split()) <= 70 and re.match(r"WARNINGS?\b\s*:?\s+\S", named) and not broken:
        question = f"What does the heading of the boxed warning of {place.name} warn of?"
        answer = f"The boxed warning of {place.name} is headed “{named}”."
        yield Fact("boxed-warning", (question,), answer, evidence=named)


def _any_name(place: Place) -> str:
    return "(?:" + "|".join(re.escape(name.upper()) for name in aliases(place.section)) + ")"


def _shouted(text: str) -> bool:
    """A sentence in capitals, as old boxed warnings are printed."""
    return (
        text.isupper()
        and is_sentence(text.capitalize())
        and not re.match(r"WARNINGS?\b|TAMPER|DO NOT USE IF SAFETY", text)
    )


@reader("dosage-forms", codes="43678-2")
def dosage_forms(place: Place) -> Iterator[Fact]:
    """Forms and strengths, whole; fragments are right here."""
    texts: list[str] = []
    if any(p.rows for p in place.passages):
        return
    known: set[str] = set()
    for s in place.statements:
        bare = s.text.strip()
        if s.doubtful and not _sound_fragment(bare):
            return
        numbers = set(re.findall(r"\d[\d.,]*", bare))
        if (s.highlight or s.doubtful) and texts and numbers <= known and covered(bare, " ".join(texts)):
            continue
        known |= numbers
        texts.append(bare if bare[-1] in ".:" or "\n" in bare else bare + ".")
    text = joined(list(dict.fromkeys(texts)))
    if re.search(r"[a-z],\d", text):
        return  # glued where something stood between
    if re.search(r"\d ?(?:mg|mcg|g|mL)\b[^.\n]*: [^.\n]* \d+ ?(?:mg|mcg|g|mL)\b[^.\n]*: ", text):
        return  # strengths whose bullets got lost
    if re.search(r"[a-z0-9)\"”] (?:Tablets?|Capsules?|Injection|Oral \w+|For injection): \d", text):
        return  # the first page's line is glued behind
    again = rf"(?i)\blogo [A-Z]?[a-z]+ logo\b|\b(\w{{3,}} \w{{3,}}) \1\b|[^-\s] (?:[\w-]+ )?{_FORM_NAMES}: ?\d"
    if any(re.search(again, line) for line in text.split("\n")[1:]):
        return  # the first page's line is glued behind an item
    if 3 <= len(text.split()) <= 90 and re.search(r"\d", text) and not re.match(r"[a-z]", text):
        question = f"In which dosage forms and strengths is {place.name} available{place.headed()}?"
        yield _said(place, "dosage-forms", question, text)


_FORM_NAMES = r"(?:tablets?|capsules?|injection|suspension|solution|powder|cream|gel)"


def _sound_fragment(text: str) -> bool:
    clean = not re.search(
        r"https?:|\bNDC|Table|Figure|:[a-z]|\x22\x22|“”|\bsection \d|[a-z]\.[A-Z]|\bsee\b|\(\s*\)|\||SUPPLIED|STRENGTHS|\d \d|\bo [A-Z]",
        text,
    )
    repeats = text.count(" ".join(text.split()[:2])) > 1
    return (
        clean
        and not repeats
        and text.count("(") == text.count(")")
        and bool(re.match(r"[A-Z]", text))
        and len(text.split()) >= 3
    )


@reader("mechanism", codes="43679-0")
def mechanism(place: Place) -> Iterator[Fact]:
    """The whole section, or its first sentences when they stand alone."""
    text = place.whole(_LONG)
    if text:
        if names_it(place.section, text) and len(text.split()) >= 8 and _ACTION.search(text):
            question = f"What does the label of {place.name} state on its mechanism of action{place.headed()}?"
            yield _said(place, "mechanism", question, text)
        return
    taken: list[str] = []
    for s in place.statements:
        if s.doubtful or sum(len(t.split()) for t in taken) + s.words > 90:
            break
        taken.append(s.text)
    unknown = re.search(
        r"\b(?:unknown|not (?:been )?(?:fully|completely|precisely|clearly)?\s?(?:known|understood|elucidated|established))",
        place.section.text,
    )
    opening = joined(taken[:3])
    if (
        taken
        and _ACTION.search(opening)
        and names_it(place.section, taken[0])
        and not leans_back(taken[0])
        and (not unknown or unknown.group() in opening)
    ):
        question = f"How does the label of {place.name} begin its account of the mechanism of action{place.headed()}?"
        yield _said(place, "mechanism", question, opening)


_ACTION = re.compile(
    r"\b(?:mechanism|inhibit|block|bind|bound|agoni|antagoni|activat|modulat|stimulat|acts?\b|action|suppress|reduc|increas|decreas|prevent|interfer|enhanc|deplet|relax|replac|convert|releas|bactericid|disrupt|lower|promot)",
    re.IGNORECASE,
)


# Management of everybody's overdose; "Pediatric Management" is a part of it.
_MANAGEMENT = re.compile(
    r"(?:(?:recommended|general|clinical|suggested) )?(?:management|treatment)(?: (?:of|for|in|after))?(?: an?)?(?: acute)?(?: over(?:dose|dosage))?(?: .{0,3})?",
    re.IGNORECASE,
)


@reader("overdose", "overdose-management", codes="34088-5")
def overdose(place: Place) -> Iterator[Fact]:
    """The whole section; of a longer one the part under a heading on management, or its sentence on dialysis."""
    text = place.whole(_LONG)
    if text:
        managed = re.search(
            r"\b(?:supportive|symptomatic|dialy|antidote|lavage|charcoal|treat|manage|monitor|poison)", text
        )
        kind = "overdose-management" if managed else "overdose"
        question = f"What does the label of {place.name} state on overdosage{place.headed()}?"
        yield _said(place, kind, question, text)
        return
    for p in place.passages:
        managing = _MANAGEMENT.fullmatch(clean_heading(p.heading.split(" > ")[-1]))
        if managing and _fits(p):
            question = f"How is an overdose of {place.name} managed, according to its label?"
            yield _said(place, "overdose-management", question, p.text)
            return
    dialysis = [s for s in place.statements if re.search(r"\b(?:h[ae]*modialysis|dialy[sz]able|dialysis)\b", s.text)]
    if len(dialysis) == 1 and not dialysis[0].doubtful and not leans_back(dialysis[0].text):
        question = f"What does the label of {place.name} state on dialysis after an overdose?"
        yield _said(place, "overdose-management", question, dialysis[0].text)


@reader(*(kind for kind, *_ in _POPULATIONS))
def populations(place: Place) -> Iterator[Fact]:
    """A group's own section alone speaks on it: whole, or its risk summary, or sentences that are asked for exactly."""
    for kind, authority, heading, topic in _POPULATIONS:
        titled = place.code in _GROUP_SECTIONS and re.search(heading, clean_heading(place.section.title), re.IGNORECASE)
        if place.code in authority or titled:
            yield from _group(place, kind, topic)
            return
        if place.code == "43684-0" and not place.has(*authority):
            yield from _among_populations(place, kind, heading, topic)


def _among_populations(place: Place, kind: str, heading: str, topic: str) -> Iterator[Fact]:
    """A group's passage in the section on all of them; the first page's line is asked for as what it is."""
    parts = [(p, [clean_heading(part) for part in p.heading.split(" > ")]) for p in place.passages]
    own = [(p, names[1:]) for p, names in parts if re.search(heading, names[0], re.IGNORECASE)]
    full = [(p, rest) for p, rest in own if not all(s.highlight for s in p.statements)]
    plain = [p for p, rest in full if not rest]
    summaries = [p for p, rest in full if rest and rest[-1].casefold() == "risk summary"]
    if len(full) == len(plain) == 1 and _fits(plain[0], _PASSAGE) and _advises(kind, plain[0].text):
        yield _said(place, kind, f"What does the label of {place.name} state on its {topic}?", plain[0].text)
    elif len(summaries) == 1 and _fits(summaries[0]):
        question = f"What does the risk summary on {topic} in the label of {place.name} state?"
        yield _said(place, kind, question, summaries[0].text)
    else:
        lines = [p for p, rest in own if p.statements and all(s.highlight for s in p.statements) and not rest]
        if len(lines) == 1 and _fits(lines[0], _PASSAGE):
            question = f"What do the highlights of the label of {place.name} state on its {topic}?"
            yield _said(place, kind, question, lines[0].text)


def _group(place: Place, kind: str, topic: str) -> Iterator[Fact]:
    text = place.whole(_LONG)
    if not re.search(_TOPICAL[kind], place.section.text, re.IGNORECASE):
        return
    headed = "" if re.search(kind[:6], place.section.title, re.IGNORECASE) else place.headed()
    if text and not leans_back(text) and _advises(kind, text):
        yield _said(place, kind, f"What does the label of {place.name} state on its {topic}{headed}?", text)
        return
    summaries = [p for p in place.passages if p.heading.split(" > ")[-1].casefold() == "risk summary"]
    if len(summaries) == 1 and _fits(summaries[0]):
        question = f"What does the risk summary on {topic} in the label of {place.name} state{headed}?"
        yield _said(place, kind, question, summaries[0].text)
        return
    yield from _exact_sentences(place, kind)


# What to do, or that nothing is known; exposure alone leaves the advice to another chapter, which the text points to.
_ADVICE = re.compile(
    r"\b(?:avoid\w*|recommend\w*|contraindicat\w*|caution\w*|should|must|do not|monitor\w*|adjust\w*|reduce|reduction|"
    r"start\w*|initiat\w*|not (?:been )?(?:studied|evaluated|established|known)|(?:may|can) be (?:used|given|administered)|"
    r"no (?:dos\w+|clinically|data|information|studies|experience)|(?:required|needed|necessary|unknown))\b",
    re.IGNORECASE,
)


def _advises(kind: str, text: str) -> bool:
    return kind not in {"renal", "hepatic"} or bool(_ADVICE.search(text))


_LABELLED = re.compile(r"[A-Z][A-Za-z/,() -]{3,60}?\s?: [A-Z]")


def _fits(passage: Passage, words: int = _LONG) -> bool:
    return (
        passage.sound
        and not passage.rows
        and not any(_LABELLED.match(s.text) for s in passage.statements[1:])
        and 4 <= len(passage.text.split()) <= words
        and not leans_back(passage.text)
    )


# A field that holds another section's text (it happens) speaks of something else.
_TOPICAL = {
    "pregnancy": r"pregnan|fetal|fetus|embryo",
    "lactation": r"milk|breast|nurs|lactat",
    "pediatric": r"pediatric|child|infant|adolesc|neonat|years of age",
    "geriatric": r"geriatric|elderly|older|\b65\b|aged",
    "renal": r"renal|kidney|creatinine",
    "hepatic": r"hepatic|liver|child-pugh",
}
_SECTION_TOPICS = {
    "34083-6": r"carcinogen|mutagen|fertil|genotox|tumor",
    "34079-4": r"labor|deliver|obstet",
    "34077-8": r"terato|pregnan|fet",
}

_EXACT = {
    "pregnancy": (
        (r"\b(?:can|may|could) cause (?:\w+[ -])?fetal harm", "Can {drug} harm the fetus when a pregnant woman takes it, according to its label?"),
    ),
    "lactation": (),
    "pediatric": (),
    "geriatric": (),
    "renal": (),
    "hepatic": (),
}  # fmt: skip


def _exact_sentences(place: Place, kind: str) -> Iterator[Fact]:
    for expression, question in _EXACT[kind]:
        hits = [s for s in place.statements if re.search(expression, s.text)]
        sound = [s for s in hits if not s.doubtful and not leans_back(s.text)]
        if (
            hits
            and len(hits) == len(sound)
            and len(hits) <= 3
            and sum(s.words for s in sound) <= 90
            and (
                kind != "pregnancy"
                or not re.search(r"\b(?:rats?|rabbits?|mice|monkeys?|animals?)\b", sound[0].text)
                or "fetal harm" in sound[0].text
            )
        ):
            yield _said(place, kind, question.format(drug=place.name), joined(s.text for s in sound))
    if kind == "pediatric":
        for s in place.statements:
            named = re.search(r"\b(?:established|evaluated|studied|not recommended)\b", s.text) and re.search(
                _TOPICAL[kind], s.text
            )
            if named and not s.doubtful and "\n" not in s.text and s.words <= 60 and not leans_back(s.text):
                yield _quoted(place, kind, "pediatric use", s.text)
                return


@reader("warning", codes="43685-7 34071-1 42232-9 34072-9")
def warnings(place: Place) -> Iterator[Fact]:
    """What stands under each heading of the warnings; the highlight where the full text is too long or glued."""
    if place.is_over_the_counter:
        return
    done: set[str] = set()
    title = clean_heading(place.section.title)
    if (
        title
        and not place.alone()
        and title.casefold()
        not in {"warnings and precautions", "warnings", "precautions", "general", "drug interactions"}
    ):
        text = place.whole(_LONG)
        if text and not leans_back(text):
            done.add(title.casefold())
            yield _said(
                place, "warning", f"What does the label of {place.name} warn under the heading “{title}”?", text
            )
        yield from _harm(place, title)
    for heading, p in _headed(place):
        if _fits(p, _PASSAGE) and heading.casefold() not in done:
            done.add(heading.casefold())
            yield _said(
                place, "warning", f"What does the label of {place.name} warn under the heading “{heading}”?", p.text
            )
    for heading, text in highlights(place):
        if heading.casefold() not in done and len(text.split()) >= 6 and _has_a_subject(text):
            done.add(heading.casefold())
            question = f"What do the highlights of the label of {place.name} warn about “{heading}”?"
            yield Fact(
                "warning", (question,), f"On “{heading}”, the label of {place.name} states: {text}", evidence=text
            )


def _harm(place: Place, title: str) -> Iterator[Fact]:
    """The first sentence of a longer warning, when it says what the drug can cause."""
    if place.whole(_LONG) or not place.statements or place.statements[0].doubtful:
        return
    opening = place.statements[0].text
    if (
        re.search(
            r"\b(?:can|may) (?:cause|increase|result in|lead to)\b|\b(?:occurred|reported|increases? the risk)\b",
            opening,
        )
        and names_it(place.section, opening)
        and not leans_back(opening)
    ):
        question = f"Which risk does the label of {place.name} state first under the heading “{title}”?"
        yield _said(place, "warning", question, opening)


def _headed(place: Place) -> Iterator[tuple[str, Passage]]:
    """Passages that are all that stands below a numbered heading of the text; the first page's lines are none."""
    by_block: dict[int, list[Passage]] = {}
    for passage in place.passages:
        by_block.setdefault(passage.block, []).append(passage)
    for block, parts in by_block.items():
        heading = clean_heading(parts[0].heading) if " > " not in parts[0].heading else ""
        if block and len(parts) == 1 and heading and parts[0].heading != "?" and not two_headings(place, heading):
            yield heading, parts[0]


def _has_a_subject(text: str) -> bool:
    """Not a verb whose subject is the line's heading ("Can cause renal failure."), nor a dose change without its figure."""
    verb = r"(?:Can|May|Could|Has|Have|Is|Are|Was|Were|Increases?d?|Decreases?d?|Causes?d?|Occurs?|Occurred)\b"
    starts = any(re.match(verb, sentence) for sentence in split_sentences(text.replace("\n", " ")))
    return not starts and not lacks_a_figure(text)


_BARE = re.compile(r"\(\s*(?:\d{1,2}(?:\.\d{1,2})?[\s,;]*(?:and )?)+\)")


def highlights(place: Place) -> Iterator[tuple[str, str]]:
    """(heading, text) of "Hemorrhage: Monitor for bleeding. ( 5.1 )" on the label's first page; each once."""
    first = re.split(r"(?:^|\n)\d{1,2}\.\d{1,2}\s+[A-Z]", place.section.text)[0]
    if len(_BARE.findall(first)) < 2:
        return
    parts = re.split(_BARE.pattern.replace("(?:", "(?:"), first)
    for raw in parts:
        match = re.match(r"^[\s.•▪●\-]*([A-Z][A-Za-z/,() -]{3,70}?)\s?:\s+([A-Z].+)$", raw.strip(), re.DOTALL)
        if not match:
            continue
        heading, text = clean_heading(plain_text(match.group(1))), plain_text(" ".join(match.group(2).split()))
        sentences = passages(replace(place.section, title="", text=text))
        plain = [s for p in sentences for s in p.statements]
        whole = len(sentences) == 1 and not sentences[0].heading and bool(plain) and not any(s.doubtful for s in plain)
        if (
            heading
            and whole
            and len(text.split()) <= _PASSAGE
            and not re.search(r"[a-z] [A-Z][a-z]+(?: [A-Z][a-z]+)* ?:", text)
        ):
            yield heading, joined(s.text for s in plain)


@reader("interaction", codes="34073-7")
def interactions(place: Place) -> Iterator[Fact]:
    """What stands under each heading of the interactions, and in their highlights."""
    done: set[str] = set()
    title = clean_heading(place.section.title)
    whole = place.whole(_LONG)
    if whole and not leans_back(whole):
        if place.alone():
            yield _said(place, "interaction", f"What does the label of {place.name} state on drug interactions?", whole)
            return
        if title and title.casefold() != "drug interactions":
            question = f"What does the label of {place.name} state on drug interactions under the heading “{title}”?"
            yield _said(place, "interaction", question, whole)
            return
    for heading, p in _headed(place):
        if _fits(p, _PASSAGE):
            done.add(heading.casefold())
            question = f"What does the label of {place.name} state on drug interactions under the heading “{heading}”?"
            yield _said(place, "interaction", question, p.text)
    for heading, text in highlights(place):
        if re.search(r"\b(?:may|can|is|are|should|increases?|decreases?|avoid)\b", heading, re.IGNORECASE):
            continue  # a sentence, not a partner
        if heading.casefold() not in done and len(text.split()) >= 4 and _has_a_subject(text):
            question = f"What do the highlights of the label of {place.name} state on its interaction with “{heading}”?"
            answer = f"On “{heading}”, the label of {place.name} states: {text}"
            yield Fact("interaction", (question,), answer, evidence=text)


@reader("dosing", codes="34068-7")
def dosing(place: Place) -> Iterator[Fact]:
    """The dosing section whole, or what stands under one of its headings."""
    if place.is_over_the_counter:
        return
    text = place.whole(_LONG)
    title = clean_heading(place.section.title)
    plain_title = title.casefold() in {"", "dosage and administration"}
    if text and not leans_back(text) and (place.alone() or not plain_title):
        where = "" if plain_title else f" under the heading “{title}”"
        question = f"What does the label of {place.name} state on dosage and administration{where}?"
        whole = _said(place, "dosing", question, text)
        if not place.flaw(whole):  # else what stands under its headings may be sound
            yield whole
            return
    stated = False
    for heading, p in _headed(place):
        if _fits(p, _PASSAGE) and not lacks_a_figure(p.text):
            stated = stated or bool(_AN_AMOUNT.search(p.text))
            question = (
                f"What does the label of {place.name} state on dosage and administration under the heading “{heading}”?"
            )
            yield _said(place, "dosing", question, p.text)
    if not stated and place.alone():
        yield from _quoted_dose(place)


_AN_AMOUNT = re.compile(r"\d\s?(?:mg|mcg|g|mL|units?|IU|tablets?|capsules?|sprays?|drops?)(?![A-Za-z])")
_A_DOSE = re.compile(r"\b(?:recommended|usual|starting|initial|maintenance|maximum)\b[^.]{0,60}\b(?:dose|dosage)\b")
_FOR_WHOM = re.compile(
    r"\b(?:adults?|patients|children|infants|neonates|adolescents|women|men|pediatric|(?:for|in) the (?:treatment|management|prevention|reduction) of|years)\b"
)


def _quoted_dose(place: Place) -> Iterator[Fact]:
    """One sentence on the dose, asked as what it is: it says whom or what it is for, or no other dose stands beside it."""
    if place.several:
        return
    doses = [s for s in place.statements if _AN_AMOUNT.search(s.text) and _A_DOSE.search(s.text)]
    for passage in place.passages:
        for s in passage.statements:
            if s not in doses or s.doubtful or "\n" in s.text or s.words > 60 or leans_back(s.text):
                continue
            own = names_it(place.section, s.text) or not _BESIDE.search(place.section.text)
            alone = _GIVEN_WITH.search(s.text) or not _GIVEN_WITH.search(place.section.text)  # a slot of every dose
            plain = _STATES_A_DOSE.match(s.text) and not place.broken(s.text)
            scope, where = _of_whom(s.text), _narrowing(place, passage, s.text)
            headed = bool(passage.heading) and not heading_above(place, passage, s.text)  # and it narrows nothing
            whole = bool(headed or where or _FOR_WHOM.search(s.text))
            whole = whole or all(_same_dose(s.text, other.text) for other in doses)
            if own and alone and plain and whole and scope != "?" and where != "?":
                question = f"Name one dosage of {place.name}{scope} that its label recommends{where}."
                yield Fact("dosing", (question,), answered(place, s.text), evidence=s.text)
                return


_GIVEN_WITH = re.compile(
    r"\bin combination\b|\b[Cc]o-?administered with (?!(?:a |an )?(?:strong|moderate|weak|P-gp|CYP|inhibitors|inducers))|\b(?:as|with) (?:monotherapy|a single agent)\b|\b[Aa]djunct"
)
# What a sentence on a dose is about: the dose that treatment has, not what becomes of it.
_STATES_A_DOSE = re.compile(
    r"(?:(?:In|For|When|As) [^.]{3,120}?, )?(?:[Tt]he |A )?(?:recommended|usual)\b[^.]{0,80}?\b(?:dose|dosage)\b(?! (?:may|can|might) be)(?!.*\b(?:might be|may be delivered)\b)"
    r"|[A-Z](?:[^.]|\.(?=\d)){2,60}? is recommended as the dose for\b"
    r"|(?:[Tt]he )(?:starting|initial|adult|pediatric) (?:\w+ ){0,2}(?:dose|dosage)\b(?!.*\b(?:might be|may be delivered)\b)"
)
_SCOPES = (
    (r"\b(?:renal|kidney|creatinine)\b", " in renal impairment"),
    (r"\b(?:hepatic|liver|Child-Pugh)\b", " in hepatic impairment"),
    (r"\b(?:elderly|older|geriatric|debilitated)\b", " in older patients"),
)


def _of_whom(text: str) -> str:
    """The group whose dose a sentence states: "" for everybody's, "?" for several groups' at once."""
    hits = [scope for expression, scope in _SCOPES if re.search(expression, text)]
    return "?" if len(hits) > 1 else "".join(hits)


def _narrowing(place: Place, passage: Passage, text: str) -> str:
    """The heading that says whom or what a dose is for, to be named; "" when the sentence says it, "?" when unread."""
    heading = heading_above(place, passage, text)
    if heading in {"", "?"}:
        said = _FOR_WHOM.search(text) and _says_its_heading(passage.heading, text)
        return "?" if heading and not said else ""
    return "" if covered(heading, f"{text} recommended dosage dose use patients") else f" under the heading “{heading}”"


_OF_ANY_DOSE = frozenset(
    {
        "dosage",
        "dose",
        "doses",
        "dosing",
        "recommended",
        "administration",
        "general",
        "information",
        "usual",
        "schedule",
    }
)


def _says_its_heading(heading: str, text: str) -> bool:
    """Whether a sentence names whom and what the headings above it are of: quoted alone, it is read without them."""
    words = (word for word in re.findall(r"[a-z]{4,}", heading.casefold()) if word not in _OF_ANY_DOSE)
    return "?" not in heading and all(word[:5] in text.casefold() for word in words)


_BESIDE = re.compile(
    r"\b(?:[Pp]remedicat|[Cc]ombin|[Cc]o-?administ|[Cc]oncomitant|[Cc]oncurrent|[Aa]djunct|[Tt]ogether with)"
)


def _same_dose(one: str, other: str) -> bool:
    """Whether another sentence on a dose gives no other numbers, or speaks of patients with impaired organs."""
    numbers = [set(re.findall(r"\d[\d.,]*\d|\d", text)) for text in (one, other)]
    return numbers[1] <= numbers[0] or bool(re.search(r"\b(?:renal|hepatic|kidney|liver)\b", other))


_REPORT = re.compile(r"\s*To report SUSPECTED ADVERSE", re.IGNORECASE)
_COMMONEST = re.compile(r"(?:[Tt]he )?\b[Mm]ost (?:common(?:ly)?|frequent(?:ly)?)\b")
_LINE_STARTS = re.compile(r"(?:^|\n|(?<=[.)\]]) |[•▪●■]\s*)(?=[A-Z])")


@reader("common-reactions", codes="34084-4 90374-0")
def commonest_of_the_first_page(place: Place) -> Iterator[Fact]:
    """All that the first page lists as commonest, up to its line on where reactions are reported."""
    if place.is_over_the_counter:
        return
    report = _REPORT.search(place.section.text)
    if not report:
        return
    before = re.split(r"(?:^|\n| )6\.\d\s+[A-Z]", place.section.text[: report.start()])[-1]
    hits = [m.start() for m in _COMMONEST.finditer(before)]
    if not hits:
        return
    starts = [m.end() for m in _LINE_STARTS.finditer(before) if m.end() <= hits[0]]
    text = plain_text(before[max(starts, default=hits[0]) :]).strip()
    page = passages(replace(place.section, title="", text=text if text.endswith(".") else f"{text}."))
    listed = "\n".join(f"{p.heading}: {p.text}" if p.heading else p.text for p in page)
    listed = re.sub(r"\n- (?=(?:The m|M)ost )", "\n", listed)  # no item, but the next group's sentence
    sound = all("?" not in p.heading and not p.rows and all(_listing(s.text) for s in p.statements) for p in page)
    if (
        sound
        and 6 <= len(listed.split()) <= _LONG
        and not re.search(r"described|elsewhere|following (?:clinic|serious)", listed)
        and not any(_lists_run_together(s.text) for p in page for s in p.statements)
    ):
        question = f"Which adverse reactions do the highlights of the label of {place.name} name as most common?"
        yield _said(place, "common-reactions", question, listed)


def _lists_run_together(text: str) -> bool:
    """Two groups with their reactions, and nothing between the first group and the second one's reactions."""
    after = text.partition(":")[2]
    return "\n" not in text and ";" not in text and len(re.findall(r"\bin (?:\w+ )?(?:patients|adults)\b", after)) > 1


def _listing(text: str) -> bool:
    """A sentence, or a line that lists reactions behind a colon."""
    spoken = re.sub(r"\b(are|were|is|was|included?|includes):\s", r"\1 ", text)
    spoken = re.sub(r"(?<=[a-z)%]): (?=[A-Za-z])", " are ", spoken, count=1)
    return is_sentence(spoken) or ("\n- " in text and text.endswith("."))


@reader("patient-advice", codes="34076-0")
def counsel(place: Place) -> Iterator[Fact]:
    """What patients are to be told, heading by heading."""
    title = clean_heading(place.section.title)
    text = place.whole(_LONG)
    if text and not place.alone() and title and not leans_back(text):
        yield _said(
            place, "patient-advice", f"What should patients on {place.name} be told under the heading “{title}”?", text
        )
        return
    every = [clean_heading(p.heading) for p in place.passages]
    for heading, p in zip(every, place.passages, strict=True):
        told = re.match(
            r"(?:Advise|Inform|Instruct|Counsel|Tell|Warn|Caution|Encourage|Educate|Discuss|Remind)\b", p.text
        )
        if (
            heading
            and not heading.isupper()
            and " > " not in p.heading
            and told
            and every.count(heading) == 1
            and _fits(p, 90)
        ):
            yield _said(
                place,
                "patient-advice",
                f"What should patients on {place.name} be told under the heading “{heading}”?",
                p.text,
            )


_STORING = re.compile(r"^(?:Store|Keep|Protect|Refrigerate|Do not (?:freeze|refrigerate|shake|store)|Avoid (?:freezing|exposure)|Brief|Excursions|Dispense|Discard)\b|\bshould be (?:stored|kept|refrigerated|protected)\b|\bmust be (?:stored|kept|refrigerated)\b")  # fmt: skip
_CONDITION = re.compile(r"\d\s?°|º|degrees|room temperature|refrigerat|freez|\bF\b", re.IGNORECASE)
_KEEPING = re.compile(KEEPING, re.IGNORECASE)


@reader("storage", codes="44425-7 34069-5 60561-8 53413-1")
def storage(place: Place) -> Iterator[Fact]:
    """How the drug is kept: all that the section says beside packages and looks, or the section whole."""
    if place.code == "34069-5" and place.has("44425-7"):
        return
    every = [s for p in place.passages for s in p.statements]
    storing = [s for s in place.statements if _STORING.search(s.text)]
    if not any(_CONDITION.search(s.text) for s in storing):
        return
    left = [s for s in every if s not in storing and _KEEPING.search(s.text)]
    rows = " ".join(" ".join(row) for p in place.passages for row in p.rows)
    text = joined(s.text for s in storing)
    many = [s for s in storing if re.search(r"\d ?[°º]|\d degrees", s.text) and not s.text.startswith("Excursions")]
    once = not any(_other_product(s.text) for s in storing) and len(many) <= 1
    whole = place.whole(_LONG)
    named = codes.title_of(place.code)
    titled = clean_heading(place.section.title) or named
    if (
        not left
        and once
        and not _left_out(place.section.text, text)
        and not any(s.doubtful for s in storing)
        and not _KEEPING.search(rows)
        and len(text.split()) <= 90
        and not leans_back(text)
        and "\n" not in text
    ):
        question = f"How should {place.name} be stored{place.headed()}?"
        if _kept_elsewhere(place) or _UNOPENED.search(text):  # what is made of it is kept in another way
            question = f"What does the section “{titled}” of the label of {place.name} say on storage?"
        yield _said(place, "storage", question, text)
    elif whole and not leans_back(whole):
        question = f"What does the section “{titled}” of the label of {place.name} say?"
        yield _said(place, "storage", question, whole)


_UNOPENED = re.compile(
    r"\b(?:unopened|unreconstituted|undiluted|dry powder|vials?|ampules?|lyophilized|intact)\b", re.IGNORECASE
)
_KEPT = re.compile(r"\b(?:protect|fr(?:ee|oz)\w*|refrigerat|shak|light|moisture|humid|heat|upright|discard|original|tight|desiccant|unopened|open|expir|days|hours|weeks|months)", re.IGNORECASE)  # fmt: skip
_DEGREES = re.compile(r"\d+(?= ?[°º])")
_PREPARED = re.compile(
    r"\b(?:reconstitut|dilut|prepared|admix|infusion (?:solution|bag)|solutions?|suspension|opened|thaw|mixture)[^.]{0,120}?\b(?:stor(?:e|ed|age)|refrigerat|room temperature|stable|within \d|for up to \d)"
    r"|\b(?:[Ss]tor(?:e|ed|age)|refrigerat\w+|stable)\b[^.]{0,120}?\b(?:reconstitut|dilut|prepared|admix|infusion|suspension|opened|mixture)"
)


def _left_out(section: str, answer: str) -> str:
    """A word on keeping, or a temperature, that the section has anywhere and the answer has not."""
    wanted = {word.casefold() for word in _KEPT.findall(section)} | set(_DEGREES.findall(section))
    has = {word.casefold() for word in _KEPT.findall(answer)} | set(_DEGREES.findall(answer))
    return next(iter(sorted(wanted - has)), "")


def _kept_elsewhere(place: Place) -> bool:
    """Whether another section says how what is prepared from the product is kept."""
    return any(
        s.code in {"34068-7", "44425-7", "34069-5", "43678-2"} and _PREPARED.search(s.text) for s in place.siblings
    )


def _other_product(text: str) -> bool:
    return bool(
        re.search(
            r"\b(?:reconstituted|diluted|(?<!un)opened|admixture|solution prepared|infusion solution|after mixing|prepared)\b",
            text,
            re.IGNORECASE,
        )
    )


@reader("section", codes="34083-6 34079-4 34077-8 34075-2 34074-5 34086-9 34087-7 34085-1 43681-6 42227-9 49489-8")
def sections(place: Place) -> Iterator[Fact]:
    """Other short sections, whole."""
    topics = {
        "34083-6": "carcinogenesis, mutagenesis and impairment of fertility", "34079-4": "labor and delivery", "34077-8": "teratogenic effects",
        "34075-2": "laboratory tests", "34074-5": "interactions with laboratory tests", "34086-9": "abuse", "34087-7": "dependence",
        "34085-1": "its status as a controlled substance", "43681-6": "pharmacodynamics", "42227-9": "abuse and dependence", "49489-8": "microbiology",
    }  # fmt: skip
    topic = topics[place.code]
    text = place.whole(_LONG)
    if place.code == "34077-8" and re.search(r"non-?teratogenic", place.section.text, re.IGNORECASE):
        return
    on_topic = re.search(_SECTION_TOPICS.get(place.code, ""), place.section.text, re.IGNORECASE)
    if text and on_topic and not leans_back(text) and len(text.split()) >= 6:
        yield _said(place, "section", f"What does the label of {place.name} state on {topic}{place.headed()}?", text)
