"""Names of the tools that read a chart."""

from __future__ import annotations

LABS, VITALS, INFUSIONS, FLUIDS = "chart_labs", "chart_vitals", "infusions", "intake_output"
STAY, PROBLEMS, ALLERGIES, NOTES = "admission", "problem_list", "allergy_list", "chart_notes"
HOME, ORDERS, RECONCILE, DOSES = "home_medications", "orders", "reconcile", "dose_table"
SUBMIT, ADMISSIONS, LOOKUP = "submit_chart", "admissions", "icd_lookup"
