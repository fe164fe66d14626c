"""Conditions of abdominal pain and of confusion."""

from __future__ import annotations

from envs.clinic.diagnosis.condition import HOME, HYPOGLYCAEMIA, INTENSIVE, WARD, Condition
from envs.clinic.diagnosis.criteria import Osmolality, Points, is_, limit

TOKYO = "Yokoe et al., Tokyo Guidelines 2018, J Hepatobiliary Pancreat Sci 2018;25:41"
BELLY = (
    Condition(
        code="K35.80",
        name="acute appendicitis",
        place=INTENSIVE,
        source="Di Saverio et al., WSES Jerusalem guidelines, World J Emerg Surg 2020;15:27",
        criteria=(is_("ct_abdomen", "appendix"),),
        calls="surgery",
    ),
    Condition(
        code="K57.32",
        name="diverticulitis of the large intestine",
        place=WARD,
        source="Sartelli et al., WSES guidelines, World J Emerg Surg 2020;15:32",
        criteria=(is_("ct_abdomen", "diverticulitis"),),
    ),
    Condition(
        code="K56.609",
        name="intestinal obstruction",
        place=WARD,
        source="Ten Broek et al., Bologna guidelines, World J Emerg Surg 2018;13:24",
        criteria=(is_("ct_abdomen", "obstruction"),),
        calls="surgery",
    ),
    Condition(
        code="N20.1",
        name="ureteric stone",
        place=HOME,
        source="Assimos et al., AUA/Endourology guideline, J Urol 2016;196:1153",
        criteria=(is_("ct_abdomen", "stone"), limit("urine_leucocytes", "<", 10)),
    ),
    Condition(
        code="K81.0",
        name="acute cholecystitis",
        place=WARD,
        source=TOKYO,
        criteria=(
            Points(least=1, parts=((1, is_("belly", "murphy")), (1, is_("belly_pain", "right_upper")))),
            limit("crp", ">=", 30),
            is_("ultrasound", "cholecystitis"),
        ),
        calls="surgery",
    ),
    Condition(
        code="K80.20",
        name="gallstones without cholecystitis",
        place=WARD,
        source=TOKYO,
        criteria=(is_("ultrasound", "stones"), limit("lipase", "<", 180)),
    ),
    Condition(
        code="K85.90",
        name="acute pancreatitis",
        place=WARD,
        source="Banks et al., Revised Atlanta classification, Gut 2013;62:102 (lipase three times the limit, here 60)",
        criteria=(is_("belly_pain", "epigastric"), limit("lipase", ">=", 180)),
    ),
    Condition(
        code="N10",
        name="acute pyelonephritis",
        place=WARD,
        source="Gupta et al., IDSA guideline, Clin Infect Dis 2011;52:e103; pyuria of 10/uL",
        criteria=(
            is_("belly_pain", "flank"),
            limit("temp", ">=", 38),
            limit("urine_leucocytes", ">=", 10),
            is_("ct_abdomen", "normal"),
        ),
        gives="ceftriaxone",
    ),
    Condition(
        code="O00.90",
        name="ectopic pregnancy",
        place=INTENSIVE,
        source="ACOG Practice Bulletin 193, Obstet Gynecol 2018;131:e91",
        criteria=(is_("ultrasound", "adnexal_mass"), limit("hcg", ">", 25)),
        calls="gynaecology",
    ),
    Condition(
        code="N83.209",
        name="ovarian cyst",
        place=HOME,
        source="ACOG Practice Bulletin 174, Obstet Gynecol 2016;128:e210",
        criteria=(is_("ultrasound", "adnexal_mass"), limit("hcg", "<=", 25)),
    ),
    Condition(code="R10.9", name="abdominal pain, none of the others", place=WARD, source="ICD-10-CM"),
)
CRISES = "Umpierrez et al., Hyperglycemic crises in adults with diabetes, Diabetes Care 2024;47:1257"
LOW_POTASSIUM = limit("potassium", "<", 3.5)
"""No insulin then: the same source."""
MIND = (
    Condition(
        code="E11.10",
        name="type 2 diabetes with ketoacidosis",
        place=INTENSIVE,
        source=CRISES,
        criteria=(
            limit("glucose", ">=", 200),
            limit("hydroxybutyrate", ">=", 3),
            Points(least=1, parts=((1, limit("ph", "<", 7.3)), (1, limit("bicarbonate", "<", 18)))),
        ),
        gives="insulin",
        unless=LOW_POTASSIUM,
    ),
    Condition(
        code="E11.00",
        name="type 2 diabetes with hyperosmolar state",
        place=INTENSIVE,
        source=CRISES,
        criteria=(
            limit("glucose", ">=", 600),
            Osmolality(above=300),
            limit("hydroxybutyrate", "<", 3),
            limit("ph", ">=", 7.3),
            limit("bicarbonate", ">=", 15),
        ),
        gives="insulin",
        unless=LOW_POTASSIUM,
    ),
    Condition(
        code="E11.65",
        name="type 2 diabetes with hyperglycaemia",
        place=WARD,
        source=CRISES,
        criteria=(limit("glucose", ">=", 200), limit("glucose", "<", 600), limit("hydroxybutyrate", "<", 3)),
        gives="insulin",
        unless=LOW_POTASSIUM,
    ),
    HYPOGLYCAEMIA,
    Condition(
        code="E87.1",
        name="profound hyponatraemia",
        place=INTENSIVE,
        source="Spasovski et al., European guideline on hyponatraemia, Eur J Endocrinol 2014;170:G1 (below 125 mmol/L)",
        criteria=(limit("sodium", "<", 125), limit("cortisol", ">=", 5)),
    ),
    Condition(
        code="E27.2",
        name="adrenal crisis",
        place=INTENSIVE,
        source="Bornstein et al., Endocrine Society guideline, J Clin Endocrinol Metab 2016;101:364 (cortisol below 5)",
        criteria=(limit("sbp", "<", 100), limit("cortisol", "<", 5)),
        gives="hydrocortisone",
    ),
    Condition(code="R41.0", name="disorientation, none of the others", place=WARD, source="ICD-10-CM"),
)
