"""The reports of a run that plays the verdict game."""

from __future__ import annotations

from envs.verdict.report import VerdictReport

REPORTS = {"verdict": VerdictReport()}
