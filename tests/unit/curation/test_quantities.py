"""Two texts that differ in one clinical slot never share a fingerprint; two wordings of one fact do."""

import pytest

from posology.curation.text.quantities import QUANTITY, fingerprint

# The audit's classes, then as many of our own that were written before the code.
CONTRASTS = [
    ("Infuse at 5 mg/h.", "Infuse at 5 mcg/h."),
    ("Store the vials at -20°C.", "Store the vials at -80°C."),
    ("Store between -25 °C and -15 °C.", "Store between 25 °C and 15 °C."),
    ("Take 20 mg once daily.", "Take 20 mg twice daily."),
    ("Give 1 g orally.", "Give 1 g intravenously."),
    ("It may cause hyperkalemia.", "It may cause hypokalemia."),
    ("Take three tablets.", "Take four tablets."),
    ("CrCl below 30 mL/min", "CrCl above 30 mL/min"),
    ("It is contraindicated in asthma.", "It is not contraindicated in asthma."),
    ("Give 10 mg/kg.", "Give 10 mg/m2."),
    ("Give 2 mg/kg/hour.", "Give 2 mg/kg/min."),
    ("It causes tachycardia.", "It causes bradycardia."),
    ("It increases exposure.", "It decreases exposure."),
    ("Take it with food.", "Take it without food."),
    ("Take it 1 hour before meals.", "Take it 1 hour after meals."),
    ("Mild renal impairment", "Severe renal impairment"),
    ("Renal impairment", "Hepatic impairment"),
    ("Adults take 10 mg and children 5 mg.", "Adults take 5 mg and children 10 mg."),
    ("It is a receptor agonist.", "It is a receptor antagonist."),
    ("Strong CYP3A inhibitors", "Strong CYP3A inducers"),
    ("Inject it into a muscle IM.", "Inject it SC."),
    ("Give every 6 hours.", "Give every 8 hours."),
    ("Give every 2 weeks.", "Give every 4 weeks."),
    ("Use at most 4 g.", "Use at least 4 g."),
    ("Child-Pugh class A", "Child-Pugh class C"),
    ("Start treatment.", "Stop treatment."),
    ("It is recommended.", "It is not recommended."),
    ("The half-life is 5 hours.", "The half-life is 5 days."),
    ("For acute pain", "For chronic pain"),
    ("Take it in the morning.", "Take it in the evening."),
    ("Avoid use with warfarin.", "Avoid use with digoxin."),
    # our own
    ("Give 0.5 mL.", "Give .05 mL."),
    ("Give 10 mL of a 5% solution.", "Give 10 mL of a 0.5% solution."),
    ("Weight under 40 kg", "Weight of 40 kg or more"),
    ("Instill one drop in the left eye.", "Instill one drop in the right eye."),
    ("Instill it in the eye.", "Instill it in the ear."),
    ("Extended-release tablets", "Immediate-release tablets"),
    ("Type 1 diabetes", "Type 2 diabetes"),
    ("Use it in the first trimester.", "Use it in the third trimester."),
    ("Pregnant women", "Nursing women"),
    ("Postmenopausal women", "Premenopausal women"),
    ("Systolic pressure above 90 mmHg", "Diastolic pressure above 90 mmHg"),
    ("A loading dose of 300 mg", "A maintenance dose of 300 mg"),
    ("It is a Schedule II drug.", "It is a Schedule IV drug."),
    ("Give 1,000 units.", "Give 100 units."),
    ("Give 100 mcg.", "Give 100 ng."),
    ("Give it daily.", "Give it weekly."),
    ("Give it weekly.", "Give it monthly."),
    ("Give it every other day.", "Give it every day."),
    ("Give it as a bolus.", "Give it as an infusion."),
    ("Protect from light.", "Expose to light."),
    ("It is effective.", "It is ineffective."),
    ("It is unlikely to occur.", "It is likely to occur."),
    ("Do not freeze.", "Freeze."),
    ("Neonates", "Adolescents"),
    ("Susceptible bacteria", "Resistant bacteria"),
    ("Grade 2 diarrhea", "Grade 4 diarrhea"),
    ("A weak inhibitor", "A strong inhibitor"),
    ("Twice weekly", "Twice daily"),
    ("Inhale two puffs.", "Inhale six puffs."),
    ("Double the dose.", "Halve the dose to half."),
    ("Use sublingual tablets.", "Use buccal tablets."),
    # units and numbers in spellings that the labels' own style does not have
    ("Give 1000U.", "Give 100U."),
    ("Give 1ml.", "Give 10ml."),
    ("Give 5 MCG.", "Give 5 MG."),
    ("Give 10 µCi.", "Give 10 mCi."),
    ("Give 37 GBq.", "Give 37 MBq."),
    ("Infuse 10^6 cells.", "Infuse 10^9 cells."),
    ("Keep above 10⁹/L.", "Keep above 10⁶/L."),
    ("Take ½ tablet.", "Take 1½ tablets."),
    ("Take 1/2 tablet.", "Take 1/4 tablet."),
    ("Give 2\u202f000 units.", "Give 5\u202f000 units."),
    ("Take 500xyz.", "Take 50xyz."),
]

WORDINGS = [
    ("The dose is 12.5 milligrams a day.", "A day's dose: 12.50 mg."),
    ("About 1,000 units are given.", "One gives 1000 IU."),
    ("It is reduced by 40 percent in children.", "In children, it is reduced by 40%."),
    ("Take 1 g.", "Take 1,000 mg."),
    ("Give 250 µg.", "Give 250 mcg."),
    ("Give 0.25 mg.", "Give 250 micrograms."),
    ("Take 5 mg twice a day.", "Take 5 mg twice daily."),
    ("Take 5 mg every 12 hours.", "Take 5 mg two times a day."),
    ("Give 10 mg/day.", "Give 10 mg daily."),
    ("Store at 20° to 25°C.", "Store at 20°C to 25°C."),
    ("Store at 20-25°C.", "Store at 20°C to 25°C."),
    ("Given IV.", "Given intravenously."),
    ("It is contraindicated in asthma.", "Do not use it in asthma."),
    ("Use is not recommended.", "Use should be avoided."),
    ("Take it on an empty stomach.", "Take it without food."),
    ("Give 250 µg.", "Give 250μg."),
    ("Give 250 MCG.", "Give 250mcgs."),
    ("Give 1000U.", "Give 1,000 units."),
    ("Give 1 cc.", "Give 1ml."),
    ("Give 5mcg/ml.", "Give 5 µg/mL."),
    ("Give 37 GBq.", "Give 37,000 MBq."),
    ("Give 500 µCi.", "Give 0.5 mCi."),
    ("Give 10 millimoles.", "Give 10mmol."),
    ("Keep 50 × 10⁹/L.", "Keep 50 x 10^9/L."),
    ("Take ½ tablet.", "Take 1/2 tablet."),
    ("Give 40 mg/m².", "Give 40 mg/m^2."),
    ("Give 40 mg/m².", "Give 40 mg/m 2."),
    ("Give 40 mg/m².", "Give 40 mg per m2."),
    ("A body surface of 0.39 m^2 and above.", "A body surface of 0.39 m 2 and above."),
    ("eGFR 15 mL/min/1.73 m^2 to 29 mL/min/1.73 m²", "eGFR 15 mL/min/1.73 m 2 to 29 mL/min/1.73m 2"),
    ("eGFR 15 mL/min/1.73 m2", "eGFR 15 mL/min/1.73 m^2"),
    ("Give 10\u202f000 units.", "Give 10,000 units."),
    ("Give 5 µmol.", "Give 5 μmol."),
]


@pytest.mark.parametrize(("one", "other"), CONTRASTS)
def test_a_contrast_is_seen(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(("one", "other"), WORDINGS)
def test_a_wording_is_not_a_fact(one: str, other: str) -> None:
    assert fingerprint(one).differences(fingerprint(other)) == ()


def test_seventy_three_contrasts_are_watched() -> None:
    assert len(CONTRASTS) == 73


@pytest.mark.parametrize(
    "mutation", ["exon 21 L858R", "exon 21 L861Q", "exon 20 L747S", "codon 12 G12C", "exon 17 D816V", "codon 600 V600E"]
)
def test_the_name_of_a_mutation_holds_no_amount(mutation: str) -> None:
    assert not QUANTITY.findall(f"Tumors with an {mutation} substitution.")


@pytest.mark.parametrize("amount", ["21 L", "5 mg", "60 mg/m2", "10 mL"])
@pytest.mark.parametrize("after", [".", " daily", "1", "-tablet"])
def test_an_amount_stays_one_whatever_stands_behind_it(amount: str, after: str) -> None:
    assert [match.group() for match in QUANTITY.finditer(f"Give {amount}{after}")] == [amount]
