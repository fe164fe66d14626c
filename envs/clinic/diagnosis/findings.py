"""What can be found out about a patient, and where. A finding is a number with a unit, or one of some sentences.

The first value of a text is the normal one; `low` and `high` are the range of a healthy adult from which numbers are
drawn that a case does not prescribe. They lie inside the usual reference ranges (ABIM Laboratory Test Reference Ranges,
January 2024; spirometry and echocardiography: see the conditions).
"""

from __future__ import annotations

from collections.abc import Mapping

from common.records import Record

INTERVIEW, EXAMINE, VITALS, LABS, STUDY, ECG = (
    "interview",
    "examine",
    "vital_signs",
    "order_labs",
    "order_study",
    "ecg",
)
"""The tools by which findings are found."""


class Finding(Record):
    """`tool` and `topic` are its place. A text has `texts` by value; a number `unit`, `low`, `high` and `decimals`."""

    tool: str
    topic: str
    texts: Mapping[str, str] = {}
    unit: str = ""
    low: float = 0
    high: float = 0
    decimals: int = 0

    @property
    def normal(self) -> str:
        """The first value of a text."""
        return next(iter(self.texts))


def _text(tool: str, topic: str, **texts: str) -> Finding:
    return Finding(tool=tool, topic=topic, texts=texts)


def _number(tool: str, topic: str, unit: str, low: float, high: float, decimals: int = 0) -> Finding:
    return Finding(tool=tool, topic=topic, unit=unit, low=low, high=high, decimals=decimals)


FINDINGS: dict[str, Finding] = {
    "chest_pain": _text(
        INTERVIEW,
        "chest",
        none="There is no chest pain.",
        wall="A stab on the left for a second or two, when turning.",
        ischaemic="For forty minutes, at rest, a pressure behind the breastbone and in the left arm.",
        pleuritic="A sharp pain, worse on breathing in and lying flat, better on sitting forward.",
    ),
    "belly_pain": _text(
        INTERVIEW,
        "belly",
        none="The belly does not hurt.",
        cramps="Cramps all over, now and then, since yesterday.",
        epigastric="Since last night a steady, severe pain in the upper belly, through to the back.",
        right_upper="A steady pain under the ribs on the right since yesterday.",
        lower="A pain low in the belly since yesterday.",
        flank="A pain in the right flank since yesterday.",
    ),
    "headache": _text(
        INTERVIEW,
        "head",
        none="The head does not ache.",
        dull="The head has ached since this morning.",
        thunderclap="The worst headache ever, at its full strength within seconds.",
        migrainous="One side throbs, stairs make it worse, light and noise are unbearable, with nausea.",
        pressing="A band around the whole head, bearable, no worse on stairs, without nausea.",
        temporal="For three weeks a new headache at the temple.",
    ),
    "earlier_headaches": _text(
        INTERVIEW,
        "earlier headaches",
        none="Never had such a headache before.",
        dozens="Some twenty such headaches over the years, each for most of a day.",
    ),
    "chewing": _text(
        INTERVIEW, "chewing", normal="Chewing is no trouble.", claudication="The jaw tires and aches after a few bites."
    ),
    "weakness": _text(
        INTERVIEW,
        "strength",
        none="Arms and legs are as strong as ever.",
        resolved="For half an hour the right arm would not lift; it has been well again for two hours.",
        lasting="Since this morning the right arm will not lift.",
    ),
    "seizure": _text(
        INTERVIEW,
        "witness",
        none="Nobody saw a seizure.",
        seen="Just before it the whole body stiffened and jerked for two minutes.",
    ),
    "cough": _text(INTERVIEW, "cough", none="There is no cough.", days="A cough with sputum for five days."),
    "exposure": _text(
        INTERVIEW,
        "exposure",
        none="Nothing new was eaten or taken, and nothing stung.",
        sting="A wasp stung twenty minutes ago.",
    ),
    "heart": _text(EXAMINE, "heart", normal="Heart sounds are normal.", rub="A friction rub is heard over the heart."),
    "lungs": _text(EXAMINE, "lungs", clear="The lungs are clear.", wheeze="There is wheeze over both lungs."),
    "skin": _text(
        EXAMINE, "skin", normal="The skin is unremarkable.", hives="There are weals on trunk and face, and lips swell."
    ),
    "belly": _text(
        EXAMINE,
        "abdomen",
        soft="The abdomen is soft.",
        murphy="Breathing in stops under a hand below the right ribs.",
    ),
    "temples": _text(
        EXAMINE,
        "temples",
        normal="Pulses at the temples are normal.",
        artery="The temporal artery is thick, tender and without a pulse.",
    ),
    "pulse": _number(VITALS, "", "/min", 66, 96),
    "resp_rate": _number(VITALS, "", "/min", 12, 19),
    "sbp": _number(VITALS, "", "mmHg", 112, 146),
    "spo2": _number(VITALS, "", "%", 95, 99),
    "temp": _number(VITALS, "", "C", 36.3, 37.4, 1),
    "troponin_t_3h": _number(LABS, "", "ng/L", 3, 12),
    "lipase": _number(LABS, "", "U/L", 12, 55),
    "crp": _number(LABS, "", "mg/L", 1, 5),
    "hcg": _number(LABS, "", "IU/L", 0, 3),
    "urine_leucocytes": _number(LABS, "", "/uL", 0, 5),
    "glucose": _number(LABS, "", "mg/dL", 82, 128),
    "hydroxybutyrate": _number(LABS, "", "mmol/L", 0.1, 0.3, 1),
    "ph": _number(LABS, "", "", 7.36, 7.43, 2),
    "bicarbonate": _number(LABS, "", "mmol/L", 23, 27),
    "sodium": _number(LABS, "", "mmol/L", 137, 143),
    "potassium": _number(LABS, "", "mmol/L", 3.7, 4.7, 1),
    "cortisol": _number(LABS, "", "ug/dL", 18, 30, 1),
    "esr": _number(LABS, "", "mm/h", 4, 15),
    "nt_probnp": _number(LABS, "", "pg/mL", 30, 110),
    "csf_leucocytes": _number(LABS, "", "/uL", 0, 3),
    "csf_glucose_ratio": _number(LABS, "", "", 0.68, 0.76, 2),
    "csf_colour": _text(
        LABS,
        "csf_colour",
        clear="The cerebrospinal fluid is clear.",
        xanthochromic="The cerebrospinal fluid is xanthochromic.",
    ),
    "ecg": _text(
        ECG,
        "",
        normal="Sinus rhythm, no ST deviation.",
        inferior="ST elevation of 2 mm in II, III and aVF.",
        depression="Horizontal ST depression of 1 mm in V4 to V6.",
        widespread="Concave ST elevation in most leads, with PR depression.",
    ),
    "chest_xray": _text(
        STUDY,
        "chest_xray",
        normal="Chest x-ray: lungs and heart are normal.",
        infiltrate="Chest x-ray: a new infiltrate in the right lower lobe.",
        congestion="Chest x-ray: interstitial oedema and small effusions on both sides.",
    ),
    "ct_chest": _text(
        STUDY,
        "ct_chest",
        normal="CT angiography: pulmonary arteries and aorta are normal.",
        embolus="CT angiography: filling defects in segmental pulmonary arteries.",
        flap="CT angiography: an intimal flap in the aorta.",
    ),
    "effusion": _text(STUDY, "echo", none="No pericardial effusion.", some="A new pericardial effusion."),
    "ejection_fraction": _number(STUDY, "echo", "%", 55, 66),
    "fev1_fvc_percent": _number(STUDY, "spirometry", "% after bronchodilator", 76, 85),
    "reversibility": _number(STUDY, "spirometry", "% (400 mL)", 1, 6),
    "head_imaging": _text(
        STUDY,
        "head_imaging",
        normal="CT, then MRI of the head: no blood, no infarct.",
        infarct="CT, then MRI of the head: no blood; restricted diffusion in the left middle cerebral territory.",
        intracerebral="CT of the head: blood in the left basal ganglia.",
        subdural="CT of the head: a subdural collection of blood on the left.",
        subarachnoid="CT of the head: blood in the basal cisterns.",
    ),
    "ct_abdomen": _text(
        STUDY,
        "ct_abdomen",
        normal="CT of the abdomen: nothing abnormal.",
        appendix="CT of the abdomen: the appendix is 11 mm wide, with stranding around it.",
        diverticulitis="CT of the abdomen: diverticula, a thick sigmoid wall and stranding of the fat, no abscess.",
        obstruction="CT of the abdomen: small bowel 4 cm wide down to a transition point, collapsed beyond it.",
        stone="CT of the abdomen: a stone of 5 mm in the right ureter.",
    ),
    "ultrasound": _text(
        STUDY,
        "ultrasound",
        normal="Ultrasound: nothing abnormal.",
        stones="Ultrasound: gallstones, the wall 2 mm thick, no fluid.",
        cholecystitis="Ultrasound: gallstones, the wall 6 mm thick, fluid around the gallbladder.",
        adnexal_mass="Ultrasound: a mass beside the ovary, no pregnancy in the uterus.",
    ),
}
Facts = dict[str, float | str]
"""A value of every finding."""
PREGNANT_IU_L = 25
"""hCG above it means a pregnancy (ACOG Practice Bulletin 193)."""
LAB_CODES = tuple(name for name, one in FINDINGS.items() if one.tool == LABS)
SHOWN_VITALS = tuple(name for name, one in FINDINGS.items() if one.tool == VITALS)


def topics(tool: str) -> tuple[str, ...]:
    """The topics of a tool, each once."""
    return tuple(dict.fromkeys(one.topic for one in FINDINGS.values() if one.tool == tool))


def place(name: str) -> str:
    """What must be called to read a finding: `order_study:echo`, `order_labs:sodium`, `vital_signs:`."""
    one = FINDINGS[name]
    return f"{one.tool}:{name if one.tool == LABS else one.topic}"


def written(name: str, value: float | str) -> str:
    """One finding as its tool answers it."""
    one = FINDINGS[name]
    return one.texts[str(value)] if one.texts else f"{name} {value:.{one.decimals}f} {one.unit}".rstrip()
