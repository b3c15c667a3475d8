"""Which drugs belong together: an original label and its repackaging are near copies, so they must never be split."""

from collections.abc import Iterable, Mapping

from posology.curation.domain import Label

_SALTS_TEXT = """
    hydrochloride hcl hydrobromide sodium potassium calcium magnesium sulfate sulphate maleate mesylate
    besylate tartrate bitartrate succinate fumarate citrate phosphate acetate chloride bromide nitrate
    gluconate lactate monohydrate dihydrate trihydrate hydrate hemihydrate anhydrous sesquihydrate dimeglumine
    meglumine tosylate malate pamoate lauroxil benzoate stearate valerate dipropionate propionate disodium
    dipotassium disoproxil alafenamide medoxomil hydroxide oxide carbonate aluminum zinc iron lithium
    hemifumarate
"""
_SALTS = frozenset(_SALTS_TEXT.split())


def moiety(name: str) -> str:
    """An ingredient without its salt and water: "atorvastatin calcium trihydrate" -> "atorvastatin".

    A name that consists of salt words only ("sodium chloride") stays whole.
    """
    words = name.casefold().replace(",", " ").split()
    kept = list(words)
    while kept and kept[-1] in _SALTS:
        kept.pop()
    return " ".join(kept or words)


def brand_names(names: Iterable[str], drug: str) -> tuple[str, ...]:
    """The names of a label's products, sorted, without the name that it is already known by."""
    plain = {" ".join(name.split()) for name in names}
    return tuple(sorted(name for name in plain if 2 < len(name) <= 60 and name.casefold() != drug.casefold()))


def family_names(labels: Iterable[Label]) -> Mapping[tuple[str, str], str]:
    """(set_id, drug) of each label -> the name of its family.

    Labels fall together when they share a set_id or the same set of active ingredients.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    listed = sorted(labels, key=lambda label: (label.drug, label.set_id, label.source))
    for label in listed:
        nodes = ["i:" + _ingredients(label)] + (["s:" + label.set_id] if label.set_id else [])
        for node in nodes[1:]:
            first, second = sorted((root(nodes[0]), root(node)))
            parent[second] = first
    names: dict[str, str] = {}
    for label in listed:
        names.setdefault(root("i:" + _ingredients(label)), _ingredients(label))
    return {(label.set_id, label.drug): names[root("i:" + _ingredients(label))] for label in listed}


def _ingredients(label: Label) -> str:
    moieties = sorted({moiety(name) for name in label.ingredients if name.strip()})
    return " + ".join(moieties) or moiety(label.drug)
