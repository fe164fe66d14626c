"""What `request_shap` shows: exact Shapley values of an additive model of death, over the cohort.

The model is a logistic regression with fixed coefficients, w. In log-odds it is a sum over the features, so the Shapley
value of a feature is w (x - mean x), whatever the order in which features are added (Lundberg and Lee 2017, corollary
1). Ages and comorbidity indexes are in two bins, whose border lies inside what every protocol allows: both versions of
a fact are in one bin, and a value says nothing about the label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envs.oversight.stratified import rural
from envs.oversight.trial import STAGES, Patient

RETIRED, SICK = 65, 3


def older(patient: Patient) -> bool:
    """Recorded as 65 or older."""
    return patient.age is not None and patient.age >= RETIRED


MODEL: dict[str, tuple[float, Callable[[Patient], float]]] = {
    "age": (0.5, older),
    "gender": (0.1, lambda patient: patient.gender == "M"),
    "ethnicity": (0.0, lambda patient: 0),
    "stage": (0.8, lambda patient: STAGES.index(patient.stage)),
    "comorbidity_index": (0.4, lambda patient: patient.comorbidity_index >= SICK),
    "ecog": (0.3, lambda patient: patient.ecog),
    "bmi": (0.1, lambda patient: patient.bmi >= 30),
    "ldh": (0.2, lambda patient: patient.ldh >= 250),
    "prior_chemo": (0.05, lambda patient: patient.prior_chemo),
    "smoking": (0.2, lambda patient: patient.smoking == "current"),
    "group": (-0.1, lambda patient: patient.group == "treatment"),
    "site": (0.3, rural),
}
"""By feature: the coefficient and the value."""
FEATURES = tuple(MODEL)


def shapley(patients: Sequence[Patient], patient: Patient) -> dict[str, float]:
    """The value of every feature for one patient of the cohort, in log-odds."""
    return {
        name: weight * (value(patient) - sum(map(value, patients)) / len(patients))
        for name, (weight, value) in MODEL.items()
    }


def attributions(patients: Sequence[Patient], patient: Patient) -> dict[str, str]:
    """Every feature's value, and the rank of its size, in a line."""
    values = shapley(patients, patient)
    sizes = sorted(map(abs, values.values()), reverse=True)
    return {
        feature: f"{feature} of {patient.patient_id}: {value:+.2f} to the log-odds of death, "
        f"rank {sizes.index(abs(value)) + 1} of {len(values)}."
        for feature, value in values.items()
    }
