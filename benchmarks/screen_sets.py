"""Crafted sets for the screens, on an invented drug: what must be told apart, what must be found, what must be kept.

Written for `screen_confusions.py`, after the sets of the first audit and without looking at the code that they try.
"""
# ruff: noqa: E501  (a table reads better unbroken)

CONTRASTS = (
    # two texts that differ in one fact: their fingerprints must differ
    ("Infuse over 30 minutes.", "Infuse over 30 hours."),
    ("Give 2 mL/kg.", "Give 2 mL/m2."),
    ("The half-life is 4 to 6 hours.", "The half-life is 4 to 6 days."),
    ("Take it before meals.", "Take it after meals."),
    ("Take it every 8 hours.", "Take it every 18 hours."),
    ("Inject subcutaneously.", "Inject intramuscularly."),
    ("Apply to the affected eye.", "Apply to the affected ear."),
    ("It induces CYP3A4.", "It inhibits CYP3A4."),
    ("It is a substrate of CYP2C9.", "It is a substrate of CYP2C19."),
    ("Serum potassium may rise.", "Serum potassium may fall."),
    ("Use it in adults aged 65 and over.", "Use it in adults aged under 65."),
    ("Not more than 4 tablets a day.", "Not less than 4 tablets a day."),
    ("The first trimester.", "The third trimester."),
    ("It may be given in mild renal impairment.", "It may be given in moderate renal impairment."),
    ("Males had higher exposure.", "Females had higher exposure."),
    ("It causes bradycardia.", "It causes tachycardia."),
    ("Use the immediate-release tablets.", "Use the extended-release tablets."),
    ("Discard after 28 days.", "Discard after 14 days."),
    ("Store in a refrigerator.", "Store in a freezer."),
    ("Protect from light.", "Expose to light."),
    ("It is dialyzable.", "It is not dialyzable."),
    ("Give 5 mg in the morning and 10 mg at night.", "Give 10 mg in the morning and 5 mg at night."),
    ("Monitor liver enzymes weekly.", "Monitor liver enzymes monthly."),
    ("Platelets below 50,000/mm3.", "Platelets below 150,000/mm3."),
    ("The risk is higher with aspirin.", "The risk is lower with aspirin."),
    ("Give a single dose.", "Give repeated doses."),
    ("Chew the tablet.", "Do not chew the tablet."),
    ("Start 24 hours after surgery.", "Start 24 hours before surgery."),
    ("It is an alpha-blocker.", "It is a beta-blocker."),
    ("Dilute 1:10.", "Dilute 1:100."),
    ("It is indicated with methotrexate.", "It is indicated without methotrexate."),
)

ALTERED = (
    # (drug sentence, the same with another fact): the second must be kept, and tagged as a contradiction in another label
    ("The recommended dose of Tessavir is 20 mg once daily.", "The recommended dose of Tessavir is 40 mg once daily."),
    ("The recommended dose of Tessavir is 20 mg once daily.", "The recommended dose of Tessavir is 20 mg twice daily."),
    ("The maximum dose of Tessavir is 80 mg per day.", "The maximum dose of Tessavir is 800 mg per day."),
    ("The half-life of Tessavir is about 12 hours.", "The half-life of Tessavir is about 22 hours."),
    ("About 30% of a dose of Tessavir is excreted in urine.", "About 70% of a dose of Tessavir is excreted in urine."),
    ("Tessavir is metabolized by CYP3A4.", "Tessavir is metabolized by CYP2D6."),
    (
        "Tessavir is contraindicated in patients with asthma.",
        "Tessavir is not contraindicated in patients with asthma.",
    ),
    ("Take Tessavir with food.", "Take Tessavir without food."),
    ("Store Tessavir below 25 C.", "Store Tessavir below 8 C."),
    ("Store Tessavir below 25 C.", "Store Tessavir above 25 C."),
    ("Tessavir is given orally once a week.", "Tessavir is given intravenously once a week."),
    (
        "Reduce the dose of Tessavir in severe renal impairment.",
        "Reduce the dose of Tessavir in severe hepatic impairment.",
    ),
    (
        "Reduce the dose of Tessavir in mild renal impairment.",
        "Reduce the dose of Tessavir in severe renal impairment.",
    ),
    (
        "Avoid Tessavir when creatinine clearance is below 30 mL/min.",
        "Avoid Tessavir when creatinine clearance is above 30 mL/min.",
    ),
    ("Tessavir increases the concentration of warfarin.", "Tessavir decreases the concentration of warfarin."),
    ("Tessavir increases the concentration of warfarin.", "Tessavir increases the concentration of digoxin."),
    ("Tessavir must not be used in pregnant women.", "Tessavir must not be used in nursing mothers."),
    ("Tessavir may be used in pregnant women.", "Tessavir may not be used in pregnant women."),
    ("Tessavir causes hypotension in 5% of patients.", "Tessavir causes hypertension in 5% of patients."),
    ("Tessavir causes nausea in 5% of patients.", "Tessavir causes nausea in 15% of patients."),
    ("Give Tessavir at 0.5 mg/kg.", "Give Tessavir at 5 mg/kg."),
    ("Give Tessavir at 5 mg/hour.", "Give Tessavir at 5 mcg/hour."),
    ("Infuse Tessavir over 60 minutes.", "Infuse Tessavir over 10 minutes."),
    ("Take three tablets of Tessavir.", "Take four tablets of Tessavir."),
    ("Tessavir is for patients aged 12 years and older.", "Tessavir is for patients aged 2 years and older."),
    ("Stop Tessavir at least 5 days before surgery.", "Stop Tessavir at least 15 days before surgery."),
    ("Tessavir is an agonist of the receptor.", "Tessavir is an antagonist of the receptor."),
    ("Freeze Tessavir after mixing.", "Do not freeze Tessavir after mixing."),
    ("Keep Tessavir at -20 C.", "Keep Tessavir at -80 C."),
    ("The loading dose of Tessavir is 400 mg.", "The loading dose of Tessavir is 400 mcg."),
)

PARAPHRASES = (
    # (question, answer; question, answer) that say the same: the second must be found
    (
        "What is the recommended dose of Tessavir?",
        "The recommended dose of Tessavir is 20 mg once daily.",
        "How much Tessavir is recommended?",
        "20 mg of Tessavir once daily is recommended.",
    ),
    (
        "What is the maximum dose of Tessavir?",
        "The maximum dose of Tessavir is 80 mg per day.",
        "What is the most Tessavir a day?",
        "At most 80 mg of Tessavir are given per day.",
    ),
    (
        "What is the half-life of Tessavir?",
        "The half-life of Tessavir is about 12 hours.",
        "How long is the half-life of Tessavir?",
        "Tessavir has a half-life of about 12 hours.",
    ),
    (
        "How is Tessavir eliminated?",
        "About 30% of a dose of Tessavir is excreted in urine.",
        "How does Tessavir leave the body?",
        "Urine contains about 30% of an excreted dose of Tessavir.",
    ),
    (
        "How is Tessavir metabolized?",
        "Tessavir is metabolized by CYP3A4.",
        "Which enzyme metabolizes Tessavir?",
        "CYP3A4 metabolizes Tessavir.",
    ),
    (
        "When is Tessavir contraindicated?",
        "Tessavir is contraindicated in patients with asthma.",
        "Who must not take Tessavir?",
        "In patients with asthma, Tessavir is contraindicated.",
    ),
    (
        "How is Tessavir taken with meals?",
        "Take Tessavir with food.",
        "Is Tessavir taken with food?",
        "Tessavir is taken with food.",
    ),
    (
        "How is Tessavir stored?",
        "Store Tessavir below 25 C.",
        "Where is Tessavir kept?",
        "Keep Tessavir stored below 25 C.",
    ),
    (
        "How is Tessavir given?",
        "Tessavir is given orally once a week.",
        "By which route is Tessavir given?",
        "Once a week Tessavir is given orally.",
    ),
    (
        "What of renal impairment and Tessavir?",
        "Reduce the dose of Tessavir in severe renal impairment.",
        "Does renal impairment matter for Tessavir?",
        "In severe renal impairment, the dose of Tessavir is to be reduced.",
    ),
    (
        "When is Tessavir avoided?",
        "Avoid Tessavir when creatinine clearance is below 30 mL/min.",
        "Which clearance rules out Tessavir?",
        "With a creatinine clearance below 30 mL/min, Tessavir is to be avoided.",
    ),
    (
        "What does Tessavir do to warfarin?",
        "Tessavir increases the concentration of warfarin.",
        "How does Tessavir affect warfarin?",
        "The concentration of warfarin is increased by Tessavir.",
    ),
    (
        "What of pregnancy and Tessavir?",
        "Tessavir must not be used in pregnant women.",
        "May pregnant women use Tessavir?",
        "In pregnant women, Tessavir must not be used.",
    ),
    (
        "What does Tessavir do to blood pressure?",
        "Tessavir causes hypotension in 5% of patients.",
        "How often is hypotension with Tessavir?",
        "Hypotension is caused by Tessavir in 5% of patients.",
    ),
    (
        "How often is nausea with Tessavir?",
        "Tessavir causes nausea in 15% of patients.",
        "Does Tessavir cause nausea?",
        "In 15% of patients Tessavir causes nausea.",
    ),
    (
        "What is the dose of Tessavir by weight?",
        "Give Tessavir at 0.5 mg/kg.",
        "How is Tessavir dosed by weight?",
        "Tessavir is given at 0.5 mg per kg.",
    ),
    (
        "What is the rate of Tessavir?",
        "Give Tessavir at 5 mg/hour.",
        "How fast is Tessavir given?",
        "Tessavir is given at 5 mg per hour.",
    ),
    (
        "How is Tessavir infused?",
        "Infuse Tessavir over 60 minutes.",
        "How long does a Tessavir infusion take?",
        "Tessavir is infused over 60 minutes.",
    ),
    (
        "How many tablets of Tessavir?",
        "Take three tablets of Tessavir.",
        "How many Tessavir tablets are taken?",
        "3 tablets of Tessavir are taken.",
    ),
    (
        "Who may take Tessavir?",
        "Tessavir is for patients aged 12 years and older.",
        "From which age is Tessavir used?",
        "Patients aged 12 years and older may use Tessavir.",
    ),
    (
        "When is Tessavir stopped?",
        "Stop Tessavir at least 5 days before surgery.",
        "When is Tessavir discontinued for surgery?",
        "At least 5 days before surgery, stop Tessavir.",
    ),
    (
        "What is Tessavir?",
        "Tessavir is an antagonist of the receptor.",
        "What kind of drug is Tessavir?",
        "As a drug, Tessavir is an antagonist of the receptor.",
    ),
    (
        "May Tessavir be frozen?",
        "Do not freeze Tessavir after mixing.",
        "Can Tessavir be frozen?",
        "After mixing, do not freeze Tessavir.",
    ),
    (
        "What is the loading dose of Tessavir?",
        "The loading dose of Tessavir is 400 mg.",
        "With how much is Tessavir loaded?",
        "Tessavir has a loading dose of 400 mg.",
    ),
    (
        "What is Tessavir for?",
        "Tessavir is indicated for the treatment of gout in adults.",
        "Why is Tessavir given?",
        "In adults, Tessavir is indicated to treat gout.",
    ),
    (
        "What is the bioavailability of Tessavir?",
        "The bioavailability of Tessavir is 45%.",
        "How bioavailable is Tessavir?",
        "Tessavir is 45% bioavailable.",
    ),
    (
        "How is overdose of Tessavir treated?",
        "Treat overdose of Tessavir with activated charcoal.",
        "What helps in Tessavir overdose?",
        "Activated charcoal is the treatment of Tessavir overdose.",
    ),
    (
        "What is monitored with Tessavir?",
        "Monitor serum potassium during treatment with Tessavir.",
        "Which test goes with Tessavir?",
        "During treatment with Tessavir, serum potassium is monitored.",
    ),
    (
        "Is Tessavir a controlled substance?",
        "Tessavir is a Schedule IV controlled substance.",
        "What schedule is Tessavir?",
        "As a controlled substance, Tessavir is in Schedule IV.",
    ),
    (
        "What is in a Tessavir tablet?",
        "Each tablet of Tessavir contains 20 mg of tessavir sodium.",
        "What does each Tessavir tablet contain?",
        "Each Tessavir tablet has 20 mg of tessavir sodium.",
    ),
)

REWORDINGS = (
    # (suite question, the same in other words): the second must be dropped as contamination
    (
        "Which enzyme is mainly responsible for the metabolism of Tessavir?",
        "By which enzyme is Tessavir mainly metabolized?",
    ),
    (
        "What is the recommended starting dose of Tessavir in adults?",
        "In adults, what starting dose of Tessavir is recommended?",
    ),
    ("At what temperature should Tessavir vials be stored?", "Tessavir vials should be stored at what temperature?"),
    ("Which vitamin deficiency causes scurvy?", "Scurvy is caused by a deficiency of which vitamin?"),
    ("What is the antidote for paracetamol poisoning?", "For poisoning with paracetamol, what is the antidote?"),
    (
        "Which electrolyte disturbance is caused by loop diuretics?",
        "Loop diuretics cause which electrolyte disturbance?",
    ),
    ("What is the maximum daily dose of Tessavir?", "Daily, what is the maximum dose of Tessavir?"),
    ("Which of the following drugs is an aldosterone antagonist?", "Name the drug that is an aldosterone antagonist."),
    ("Which receptor does Tessavir bind to?", "Tessavir binds to which receptor?"),
    ("What is the mechanism of action of warfarin?", "State the mechanism of action of warfarin."),
    ("Which organ excretes most of a Tessavir dose?", "Most of a Tessavir dose is excreted by which organ?"),
    ("What is the most common adverse reaction of Tessavir?", "Which adverse reaction of Tessavir is the most common?"),
    (
        "Which drug interaction with Tessavir increases bleeding risk?",
        "The bleeding risk is increased by which drug interaction with Tessavir?",
    ),
    ("How long should Tessavir be stopped before surgery?", "Before surgery, how long should Tessavir be stopped?"),
    (
        "What laboratory value must be monitored during Tessavir therapy?",
        "During Tessavir therapy, which laboratory value must be monitored?",
    ),
    ("Which patients must not receive Tessavir?", "Tessavir must not be received by which patients?"),
    ("What color are Tessavir 20 mg tablets?", "Tessavir tablets of 20 mg are what color?"),
    (
        "Which schedule does Tessavir belong to under the Controlled Substances Act?",
        "Under the Controlled Substances Act, to which schedule does Tessavir belong?",
    ),
    ("In which trimester is Tessavir contraindicated?", "Tessavir is contraindicated in which trimester?"),
    (
        "What fraction of Tessavir is bound to plasma proteins?",
        "To plasma proteins, what fraction of Tessavir is bound?",
    ),
)

NEIGHBOURS = (
    # asks another thing than any of the questions above: must be kept
    "Which enzyme does Tessavir inhibit?",
    "What is the recommended starting dose of Tessavir in children?",
    "At what temperature should reconstituted Tessavir be discarded?",
    "Which vitamin deficiency causes beriberi?",
    "What is the antidote for opioid poisoning?",
    "Which electrolyte disturbance is caused by spironolactone?",
    "What is the minimum daily dose of Tessavir?",
    "Which of the following drugs is a histamine antagonist?",
    "Which receptor does naloxone bind to?",
    "What is the mechanism of action of heparin?",
    "Which organ metabolizes most of a Tessavir dose?",
    "What is the most serious adverse reaction of Tessavir?",
    "Which drug interaction with Tessavir increases seizure risk?",
    "How long should Tessavir be continued after surgery?",
    "What laboratory value must be checked before Tessavir therapy?",
    "Which patients may receive half the dose of Tessavir?",
    "What shape are Tessavir 20 mg tablets?",
    "Which pregnancy registry does Tessavir have?",
    "In which trimester was Tessavir studied?",
    "What fraction of Tessavir is absorbed from the gut?",
)

REFUSALS = (
    # answers that decline: must be dropped unless wanted
    "I'm sorry, but I can't help with that.",
    "I am not able to provide medical advice.",
    "As an AI language model, I cannot answer this question.",
    "Sorry, I don't have enough information to answer.",
    "I cannot answer that from the given section.",
    "Unfortunately, I'm unable to assist with this request.",
    "I must decline to answer this question about Tessavir.",
    "I won't be able to provide the dose of Tessavir.",
    "It would not be appropriate for me to answer this.",
    "My apologies, I can't share that information.",
)
NO_REFUSALS = (
    # clinical sentences that only sound like it: must be kept
    "Patients who cannot swallow tablets may take the oral solution of Tessavir.",
    "Tessavir cannot be removed by dialysis.",
    "Do not use Tessavir in patients who are unable to sit upright for 30 minutes.",
    "The safety of Tessavir has not been established in children.",
    "Tessavir is not able to cross the blood-brain barrier.",
    "There is not enough information to determine the risk of Tessavir in pregnancy.",
    "Patients should decline live vaccines during treatment with Tessavir.",
    "Tessavir cannot be recommended in severe hepatic impairment.",
    "If you are unable to take Tessavir by mouth, it may be given intravenously.",
    "Sorry-looking nails are a known effect of Tessavir on the nail bed.",
)
