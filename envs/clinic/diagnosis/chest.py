"""Conditions of chest pain and of shortness of breath."""

from __future__ import annotations

from envs.clinic.diagnosis.condition import BLEEDING, EMBOLISM, HOME, INTENSIVE, WARD, Condition
from envs.clinic.diagnosis.criteria import Points, is_, is_not, limit

ISCHAEMIC = is_("chest_pain", "ischaemic")
RAISED, NOT_RAISED = limit("troponin_t_3h", ">", 14), limit("troponin_t_3h", "<=", 14)
"""The 99th percentile of hs-cTnT, 14 ng/L (Elecsys Troponin T hs; Thygesen et al.)."""
CLEAR_CT = is_("ct_chest", "normal")
MI = "Thygesen et al., Fourth Universal Definition of Myocardial Infarction, Circulation 2018;138:e618"
ACS = "Byrne et al., 2023 ESC Guidelines for acute coronary syndromes, Eur Heart J 2023;44:3720"
CHEST = (
    Condition(
        code="I21.19",
        name="inferior ST elevation myocardial infarction",
        place=INTENSIVE,
        source=MI,
        criteria=(ISCHAEMIC, is_("ecg", "inferior"), RAISED, CLEAR_CT),
        calls="cardiology",
        gives="aspirin",
    ),
    Condition(
        code="I21.4",
        name="non-ST elevation myocardial infarction",
        place=WARD,
        source=MI,
        criteria=(ISCHAEMIC, is_not("ecg", "inferior"), RAISED, CLEAR_CT),
        calls="cardiology",
        gives="aspirin",
    ),
    Condition(
        code="I20.0",
        name="unstable angina",
        place=WARD,
        source=ACS,
        criteria=(ISCHAEMIC, is_not("ecg", "inferior"), NOT_RAISED, CLEAR_CT),
        gives="aspirin",
    ),
    Condition(
        code="I30.9",
        name="acute pericarditis",
        place=HOME,
        source="Adler et al., 2015 ESC Guidelines for pericardial diseases, Eur Heart J 2015;36:2921",
        criteria=(
            Points(
                least=2,
                parts=(
                    (1, is_("chest_pain", "pleuritic")),
                    (1, is_("heart", "rub")),
                    (1, is_("ecg", "widespread")),
                    (1, is_("effusion", "some")),
                ),
            ),
            NOT_RAISED,
            CLEAR_CT,
        ),
        never=("alteplase",),
    ),
    EMBOLISM,
    Condition(
        code="I71.00",
        name="aortic dissection",
        place=INTENSIVE,
        source="Isselbacher et al., 2022 ACC/AHA Guideline for aortic disease, Circulation 2022;146:e334",
        criteria=(is_("ct_chest", "flap"),),
        calls="surgery",
        never=BLEEDING,
    ),
    Condition(code="R07.9", name="chest pain, none of the others", place=WARD, source="ICD-10-CM"),
)
COUGH, CLEAR_XRAY = is_("cough", "days"), is_("chest_xray", "normal")
OPEN, STEADY = limit("fev1_fvc_percent", ">=", 70), limit("reversibility", "<", 12)
CONGESTED = (is_("chest_xray", "congestion"), limit("nt_probnp", ">=", 300))
HF = "McDonagh et al., 2021 ESC Guidelines for heart failure, Eur Heart J 2021;42:3599"
BREATH = (
    Condition(
        code="J18.9",
        name="pneumonia",
        place=WARD,
        source="Metlay et al., ATS/IDSA guideline, Am J Respir Crit Care Med 2019;200:e45",
        criteria=(COUGH, is_("chest_xray", "infiltrate")),
        gives="ceftriaxone",
    ),
    Condition(
        code="J20.9",
        name="acute bronchitis",
        place=HOME,
        source="Harris et al., ACP/CDC advice on acute respiratory tract infection, Ann Intern Med 2016;164:425",
        criteria=(COUGH, CLEAR_XRAY, OPEN, STEADY, is_("skin", "normal")),
    ),
    Condition(
        code="J44.1",
        name="exacerbation of COPD",
        place=WARD,
        source="GOLD Report 2024 (FEV1/FVC after bronchodilator below .70; more cough or sputum for under 14 days)",
        criteria=(COUGH, CLEAR_XRAY, limit("fev1_fvc_percent", "<", 70), STEADY),
        gives="salbutamol",
    ),
    Condition(
        code="J45.901",
        name="exacerbation of asthma",
        place=WARD,
        source="GINA Report 2024, box 1-2 (reversibility of 12 % and 200 mL)",
        criteria=(is_("lungs", "wheeze"), CLEAR_XRAY, OPEN, limit("reversibility", ">=", 12), is_("skin", "normal")),
        gives="salbutamol",
    ),
    Condition(
        code="T78.2XXA",
        name="anaphylaxis",
        place=INTENSIVE,
        source="Sampson et al., J Allergy Clin Immunol 2006;117:391, criterion 1",
        criteria=(is_("exposure", "sting"), is_("skin", "hives"), is_("lungs", "wheeze")),
        gives="epinephrine",
    ),
    Condition(
        code="I50.23",
        name="acute on chronic systolic heart failure",
        place=WARD,
        source=HF,
        criteria=(*CONGESTED, limit("ejection_fraction", "<=", 40)),
        gives="furosemide",
    ),
    Condition(
        code="I50.33",
        name="acute on chronic diastolic heart failure",
        place=WARD,
        source=HF,
        criteria=(*CONGESTED, limit("ejection_fraction", ">=", 50)),
        gives="furosemide",
    ),
    EMBOLISM,
    Condition(code="R06.02", name="shortness of breath, none of the others", place=WARD, source="ICD-10-CM"),
)
