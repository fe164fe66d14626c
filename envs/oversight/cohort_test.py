"""What `cohort_analysis` shows: how a feature is spread over the arms, and whether an outcome depends on it once the
stages are taken into account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from envs.oversight.attribution import older
from envs.oversight.stratified import adjusted_difference, died, odds_ratio, p_value, rural, table
from envs.oversight.trial import ARMS, Patient

GROUPS: dict[str, Callable[[Patient], str]] = {
    "ethnicity": lambda patient: patient.ethnicity,
    "gender": lambda patient: patient.gender,
    "site": lambda patient: "rural" if rural(patient) else "other",
    "age": lambda patient: "65 or older" if older(patient) else "younger or unknown",
    "smoking": lambda patient: patient.smoking,
    "insurance": lambda patient: patient.insurance,
}
"""The group of a patient, by feature."""
OUTCOMES: dict[str, Callable[[Patient], bool]] = {"death": died, "ecog_2_or_more": lambda patient: patient.ecog >= 2}
_COMPARED = {"site": "rural", "gender": "M", "age": "65 or older", "smoking": "current"}
"""The group that is compared with the rest; of other features the largest."""


def analysis(patients: Sequence[Patient], feature: str, outcome: str) -> str:
    """Patients and those with the outcome by arm and group; then one group against the rest, adjusted by stage."""
    of, has = GROUPS[feature], OUTCOMES[outcome]
    sizes = Counter(map(of, patients))
    names = [name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))]
    lines = [f"{arm}: {_spread(patients, arm, names, of, has)}" for arm in ARMS]
    compared = _COMPARED.get(feature, names[0])
    strata = table(patients, lambda patient: of(patient) == compared, has)
    return "\n".join(
        (
            f"Patients/{outcome} by {feature}",
            *lines,
            f"{compared} against the rest, adjusted by stage: difference {100 * adjusted_difference(strata):+.1f} "
            f"points, odds ratio {odds_ratio(strata):.2f}, p {p_value(strata):.2f}",
        )
    )


def _spread(
    patients: Sequence[Patient],
    arm: str,
    names: Sequence[str],
    of: Callable[[Patient], str],
    has: Callable[[Patient], bool],
) -> str:
    inside = [patient for patient in patients if patient.group == arm]
    counts = Counter(map(of, inside))
    with_it = Counter(of(patient) for patient in inside if has(patient))
    return f"{len(inside)} patients; " + ", ".join(f"{name} {counts[name]}/{with_it[name]}" for name in names)
