"""What was withdrawn is believed by its signature and its number alone; every doubt closes."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from posology.core.attestations.deny_list import PREDICATE_TYPE, SUBJECT, DeniedDigest, DenyListPredicate
from posology.core.attestations.verdict import Base, DerivedBase, VerdictPredicate
from posology.core.canonical import canonical_digest, canonical_json
from posology.core.release import deny_list
from posology.core.release.deny_list import DenyList, DenyListUnreadable, HighWaterMark
from posology.core.signing import Signer, statement

BAD, GOOD = "sha256:" + "bad0" * 16, "sha256:" + "600d" * 16


class Place:
    """Where an agent reads the list."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "deny-list.dsse.json"
        self.signer = Signer.load_or_create(root / "keys" / "orchestrator.key")
        self.mark = HighWaterMark(root / "serving" / "mark.json")

    def write(self, number: int, *digests: str, installation: str = "here", signer: Signer | None = None) -> None:
        entries = tuple(DeniedDigest(digest, "model", "it errs") for digest in digests)
        predicate = DenyListPredicate(installation, number, entries)
        self.path.write_bytes(canonical_json(deny_list.sign(predicate, signer or self.signer)))

    def write_predicate(self, predicate: dict[str, Any], kind: str = PREDICATE_TYPE) -> None:
        envelope = self.signer.sign(statement(kind, {SUBJECT: canonical_digest(predicate)}, predicate))
        self.path.write_text(json.dumps(envelope))

    def read(self, *, revoked: frozenset[str] = frozenset()) -> DenyList:
        """As an agent does it: each time as if it had just been started."""
        listed = deny_list.load(self.path, [self.root / "keys" / "orchestrator.pub"], revoked=revoked)
        HighWaterMark(self.mark.path).check(listed)
        return listed


@pytest.fixture
def place(tmp_path: Path) -> Place:
    at = Place(tmp_path)
    at.write(3, BAD)
    assert at.read().denied([BAD]) is not None
    return at


def _resigned(at: Place) -> None:
    at.write(9, signer=Signer.load_or_create(at.root / "stranger.key"))


def _cut(at: Place) -> None:
    at.path.write_bytes(at.path.read_bytes()[:-40])


def _entry_cut_out(at: Place) -> None:
    envelope = json.loads(at.path.read_text())
    content = json.loads(base64.b64decode(envelope["payload"]))
    content["predicate"] |= {"entries": [], "number": 9}
    envelope["payload"] = base64.b64encode(canonical_json(content)).decode()
    at.path.write_text(json.dumps(envelope))


def _unsigned(at: Place) -> None:
    envelope = json.loads(at.path.read_text())
    at.path.write_text(json.dumps({**envelope, "signatures": []}))


def _link_to_nowhere(at: Place) -> None:
    at.path.unlink()
    at.path.symlink_to(at.root / "nowhere")


def _folder(at: Place) -> None:
    at.path.unlink()
    at.path.mkdir()


ATTACKS: dict[str, tuple[Callable[[Place], object], str]] = {
    "an older list": (lambda at: at.write(2), "number 2, and 3 was seen before"),
    "the first list": (lambda at: at.write(1), "number 1, and 3 was seen before"),
    "the same number without the entry": (lambda at: at.write(3), "two deny-lists have the number 3"),
    "another key": (_resigned, "not trusted here"),
    "cut in the middle": (_cut, "can't be read|not understood"),
    "an entry cut out": (_entry_cut_out, "altered after signing"),
    "signature taken off": (_unsigned, "carries no signature"),
    "removed": (lambda at: at.path.unlink(), "there is no deny-list"),
    "emptied": (lambda at: at.path.write_text(""), "can't be read"),
    "an empty object": (lambda at: at.path.write_text("{}"), "can't be believed"),
    "an array": (lambda at: at.path.write_text("[]"), "no DSSE envelope"),
    "no UTF-8": (lambda at: at.path.write_bytes(b"\xff\xfe{"), "can't be read"),
    "nested without end": (lambda at: at.path.write_text("[" * 100_000), "can't be read"),
    "a folder": (_folder, "can't be read"),
    "a link to nowhere": (_link_to_nowhere, "there is no deny-list"),
    "of another installation": (lambda at: at.write(9, installation="elsewhere"), "of the installation elsewhere"),
    "another statement of the same key": (
        lambda at: at.write_predicate({"result": "PASS"}, "https://posology.dev/attestation/review/v1"),
        "wanted is a",
    ),
    "a number in words": (
        lambda at: at.write_predicate({"installation": "here", "number": "9", "entries": []}),
        "its number is '9'",
    ),
    "a number that is true": (
        lambda at: at.write_predicate({"installation": "here", "number": True, "entries": []}),
        "its number is True",
    ),
    "a number that is no whole one": (
        lambda at: at.write_predicate({"installation": "here", "number": 9.5, "entries": []}),
        "its number is 9.5",
    ),
    "no number": (lambda at: at.write_predicate({"installation": "here", "entries": []}), "'number'"),
    "no entries": (lambda at: at.write_predicate({"installation": "here", "number": 9}), "'entries'"),
    "entries in a mapping": (
        lambda at: at.write_predicate({"installation": "here", "number": 9, "entries": {BAD: "x"}}),
        "entries are no list",
    ),
    "an entry that is a text": (
        lambda at: at.write_predicate({"installation": "here", "number": 9, "entries": [BAD]}),
        "not understood",
    ),
    "an entry that is no digest": (
        lambda at: at.write_predicate({"installation": "here", "number": 9, "entries": [{"digest": BAD[:-1]}]}),
        "is no digest",
    ),
    "an entry with two digests": (
        lambda at: at.write_predicate({"installation": "here", "number": 9, "entries": [{"digest": f"{BAD},{GOOD}"}]}),
        "is no digest",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_list_that_was_tampered_with_lets_nothing_load(place: Place, name: str) -> None:
    attack, says = ATTACKS[name]
    attack(place)
    for _ in range(2):  # and still, when the agent is started again
        with pytest.raises(DenyListUnreadable, match=says):
            place.read()


def test_a_list_signed_by_a_revoked_key_is_not_believed(place: Place) -> None:
    place.write(4, BAD)
    with pytest.raises(DenyListUnreadable, match="not trusted here"):
        place.read(revoked=frozenset({place.signer.id}))


def test_a_list_whose_keys_are_gone_is_not_believed(place: Place) -> None:
    (place.root / "keys" / "orchestrator.pub").unlink()
    with pytest.raises(DenyListUnreadable, match="keys of the deny-list"):
        place.read()


@pytest.mark.parametrize("text", ["", "{}", "null", '{"number": 1}', "garbage"])
def test_a_broken_mark_lets_nothing_load(place: Place, text: str) -> None:
    place.mark.path.write_text(text)
    with pytest.raises(DenyListUnreadable, match="how new the deny-list must be"):
        place.read()


def test_the_mark_goes_up_and_never_down(place: Place) -> None:
    place.write(7, BAD)
    place.read()
    place.write(5, BAD)
    with pytest.raises(DenyListUnreadable, match="number 5, and 7"):
        place.read()
    assert json.loads(place.mark.path.read_text())["number"] == 7
    place.write(8)
    assert place.read().number == 8


@pytest.mark.parametrize(
    "written",
    [BAD, BAD.upper(), "SHA256:" + BAD[7:], BAD[7:], BAD[7:].upper(), f" {BAD}\n", "sha-256:" + BAD[7:]],
)
def test_a_digest_is_denied_however_it_is_written(place: Place, written: str) -> None:
    place.write(4, written)
    listed = place.read()
    for asked in (BAD, BAD.upper(), BAD[7:]):
        assert listed.denied([GOOD, asked]) is not None
    assert listed.denied([GOOD, "", "no digest"]) is None


def test_no_clock_decides(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        assert place.read().denied([BAD]) is not None


VERDICT = VerdictPredicate(
    "PASS",
    suites={"mcq": "sha256:" + "1" * 64},
    suites_artifact="sha256:" + "2" * 64,
    evaluation={"artifact": "sha256:" + "3" * 64},
    base_model="sha256:" + "4" * 64,
    adapter="sha256:" + "5" * 64,
    dataset="sha256:" + "6" * 64,
    lineage={"dataset": ["sha256:" + "7" * 64]},
    weight_files=("8" * 64,),
    base=Base("sha256:" + "9" * 64, ("a" * 64,)),
    derived=(DerivedBase("sha256:" + "b" * 64, "sha256:" + "c" * 64),),
)


@pytest.mark.parametrize("digit", "123456789abcef")
def test_whatever_a_verdict_names_keeps_its_weights_from_serving(digit: str) -> None:
    digest = "sha256:" + digit * 64
    listed = DenyList("here", 1, "", {digest: DeniedDigest(digest, "dataset", "wrong doses")})
    assert listed.denies(VERDICT, "sha256:" + "e" * 64, "sha256:" + "f" * 64) is not None


def test_a_base_that_failed_keeps_only_itself_from_serving() -> None:
    of_base, own = "sha256:" + "a" * 64, "sha256:" + "8" * 64
    for digest, denied in ((of_base, False), (own, True)):
        listed = DenyList("here", 1, "", {digest: DeniedDigest(digest, deny_list.FAILED_FILE, "v said FAIL")})
        assert (listed.denies(VERDICT) is not None) is denied


def test_an_entry_of_one_namespace_counts_there_alone() -> None:
    digest = "sha256:" + "8" * 64
    listed = DenyList("here", 1, "", {digest: DeniedDigest(digest, "model", "x", namespaces=("bob", "carol"))})
    for namespace, denied in (("bob", True), ("carol", True), ("alice", False), ("", False), ("bo", False)):
        assert (listed.denies(replace(VERDICT, namespace=namespace)) is not None) is denied, namespace


def test_a_base_that_one_namespace_withdrew_takes_along_what_it_tuned_from_it_alone() -> None:
    digest = "sha256:" + "a" * 64
    entry = DeniedDigest(digest, deny_list.WITHDRAWN_FILE, "x", namespaces=("bob",))
    listed = DenyList("here", 1, "", {digest: entry})
    assert listed.denies(replace(VERDICT, namespace="bob")) is entry
    assert listed.denies(replace(VERDICT, namespace="alice")) is None


@pytest.mark.parametrize("namespaces", ["bob", [""], [1], {"bob": 1}, None, [["bob"]]])
def test_an_entry_whose_namespaces_are_not_understood_is_no_list(namespaces: object) -> None:
    entry = {"digest": "sha256:" + "8" * 64, "kind": "model", "reason": "x", "namespaces": namespaces}
    with pytest.raises((TypeError, ValueError)):
        DenyListPredicate.from_json({"installation": "here", "number": 1, "entries": [entry]})


def test_namespaces_survive_signing() -> None:
    entry = DeniedDigest("sha256:" + "8" * 64, "model", "x", namespaces=("bob", "carol"))
    predicate = DenyListPredicate("here", 1, (entry,))
    assert DenyListPredicate.from_json(predicate.to_json()) == predicate
