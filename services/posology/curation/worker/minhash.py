"""Near copies: MinHash finds candidates, exact Jaccard similarity of word 3-grams decides."""

from collections.abc import Sequence

import rensa

from posology.curation.domain import Drop, Pair
from posology.curation.screens.screening import Screened, compared
from posology.curation.text.normal import tokens
from posology.curation.text.quantities import fingerprint
from posology.curation.text.questions import bare_question, is_open_book

_PERMUTATIONS, _BANDS = 128, 32  # 32 bands of 4 find 0.8-similar texts with probability > 0.9999
_WORDS = 3


class MinHashScreen:
    """Drops a pair whose question and answer share at least `threshold` of their 3-grams with an accepted pair's."""

    def __init__(self, threshold: float, *, drugs: frozenset[str]) -> None:
        self._threshold = threshold
        self._drugs = drugs
        self._buckets: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        self._grams: list[frozenset[str]] = []
        self._pairs: list[Pair] = []

    def screen(self, batch: Sequence[Pair]) -> Screened:
        grams = [_grams(pair) for pair in batch]
        digests = rensa.RMinHash.digests_from_token_sets([sorted(g) for g in grams], _PERMUTATIONS, 0)
        kept: list[Pair] = []
        drops: list[Drop] = []
        for pair, words, digest in zip(batch, grams, digests, strict=True):
            bands = _bands(list(digest))
            drop = self._near(pair, words, bands)
            if drop:
                drops.append(drop)
            else:
                self._remember(pair, words, bands)
                kept.append(pair)
        return Screened(tuple(kept), tuple(drops))

    def _near(self, pair: Pair, words: frozenset[str], bands: list[tuple[int, tuple[int, ...]]]) -> Drop | None:
        """The most similar accepted pair at or above the threshold; facts decide whether it is a copy."""
        candidates = sorted({number for band in bands for number in self._buckets.get(band, ())})
        for number in candidates:
            similarity = _jaccard(words, self._grams[number])
            if similarity >= self._threshold and same_facts(pair, self._pairs[number], drugs=self._drugs):
                detail = f"Jaccard {similarity:.2f} with {self._pairs[number].id}, at least {self._threshold} is a copy"
                return Drop("duplicate", "near_copy", detail, pair=pair)
        return None

    def _remember(self, pair: Pair, words: frozenset[str], bands: list[tuple[int, tuple[int, ...]]]) -> None:
        for band in bands:
            self._buckets.setdefault(band, []).append(len(self._pairs))
        self._pairs.append(pair)
        self._grams.append(words)


def _grams(pair: Pair) -> frozenset[str]:
    words = tokens(f"{bare_question(pair.question)} {pair.answer}")
    return frozenset(" ".join(words[i : i + _WORDS]) for i in range(max(1, len(words) - _WORDS + 1)))


def _bands(digest: list[int]) -> list[tuple[int, tuple[int, ...]]]:
    rows = _PERMUTATIONS // _BANDS
    return [(band, tuple(digest[band * rows : (band + 1) * rows])) for band in range(_BANDS)]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def same_facts(one: Pair, other: Pair, *, drugs: frozenset[str]) -> bool:
    """ "10 mg" and "100 mg" in sixty equal words are a Jaccard of .9 and two different doses: never a copy."""
    alike = one.family == other.family and is_open_book(one.question) == is_open_book(other.question)
    return alike and fingerprint(compared(one), drugs=drugs) == fingerprint(compared(other), drugs=drugs)
