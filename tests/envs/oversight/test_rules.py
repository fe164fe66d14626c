from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.oversight.answers import Read
from envs.oversight.protocol import excerpt
from envs.oversight.rules import allowed_days, days_between, violations
from envs.oversight.trial import AGE, ORDER, OVERRIDE, WINDOW, Amendment, Protocol
from envs.oversight_checker.calendar_days import day_number
from envs.oversight_checker.clauses import read
from tests.envs.oversight.strategies import trial

RULES = Protocol(trial_id="ONC-0000AA", age_low=40, age_high=80, window=21, extension=7, override=4)
OLDER = Amendment(moves="age_high", value=85, text="the highest age in 4.1 is now 85 years.")
LONGER = Amendment(moves="window", value=24, text="the limit in 5.2 is now 24 days.")
IDLE = Amendment(moves="", value=0, text="blood samples are kept for 10 years.")


def patient(age: int | None = 60, stage: str = "I", delay: int = 10, index: int = 1, death: int | None = None) -> Read:
    start = date(2023, 2, 20) + timedelta(delay)
    return Read(
        age=age,
        stage=stage,
        comorbidity_index=index,
        enrollment_date="2023-02-20",
        treatment_start=start.isoformat(),
        death_date=None if death is None else (start + timedelta(death)).isoformat(),
    )


@pytest.mark.parametrize(
    ("amendment", "who", "wrong", "clauses"),
    [
        (None, patient(), "", ()),
        (None, patient(age=40), "", ()),
        (None, patient(age=80), "", ()),
        (None, patient(age=39), AGE, ("4.1",)),
        (None, patient(age=81), AGE, ("4.1",)),
        (None, patient(age=None), AGE, ("4.1",)),
        (OLDER, patient(age=81), "", ()),
        (OLDER, patient(age=86), AGE, ("4.1", "5.5")),
        (IDLE, patient(age=81), AGE, ("4.1",)),
        (None, patient(death=0), "", ()),
        (None, patient(death=-1), ORDER, ("6.1",)),
        (None, patient(delay=21), "", ()),
        (None, patient(delay=22), WINDOW, ("5.2",)),
        (LONGER, patient(delay=24), "", ()),
        (LONGER, patient(delay=25), WINDOW, ("5.2", "5.5")),
        (None, patient(delay=28, stage="IV"), "", ()),
        (None, patient(delay=29, stage="IV"), WINDOW, ("5.3", "5.2")),
        (LONGER, patient(delay=31, stage="IV"), "", ()),
        (None, patient(delay=28, stage="IV", index=4), "", ()),
        (None, patient(delay=28, stage="IV", index=5), OVERRIDE, ("5.4",)),
        (None, patient(delay=21, stage="IV", index=6), "", ()),
        (None, patient(delay=29, stage="IV", index=5), WINDOW, ("5.2",)),
    ],
)
def test_what_a_patient_breaks(amendment: Amendment | None, who: Read, wrong: str, clauses: tuple[str, ...]) -> None:
    found = violations(Protocol(**{**_fields(RULES), "amendment": amendment}), who)
    assert [(one.wrong, one.clauses) for one in found] == ([(wrong, clauses)] if wrong else [])


def _fields(protocol: Protocol) -> dict[str, object]:
    return {name: getattr(protocol, name) for name in protocol.__struct_fields__}


@settings(max_examples=200)
@given(st.dates(date(1999, 1, 1), date(2101, 12, 31)), st.dates(date(1999, 1, 1), date(2101, 12, 31)))
def test_the_checkers_calendar_is_the_games(one: date, two: date) -> None:
    assert day_number(two.isoformat()) - day_number(one.isoformat()) == days_between(one.isoformat(), two.isoformat())


@pytest.mark.parametrize("text", ["2023-02-29", "2023-13-01", "2023-00-10", "23-01-01", "2023-1-1", ""])
def test_the_checker_refuses_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        day_number(text)


@pytest.mark.parametrize("tier", ["duo", "easy", "medium", "hard"])
def test_the_checker_reads_the_same_numbers_out_of_the_text(tier: str) -> None:
    for seed in range(12):
        protocol = trial(tier, seed).trial.protocol
        found = read(excerpt(protocol))
        assert (found.youngest, found.oldest) == (protocol.age_low, protocol.oldest)
        assert (found.window, found.extension) == (protocol.days, protocol.extension)
        assert found.override == protocol.override


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("5.2 Treatment must start", "5.2 Treatment should start", "no rule is known that says"),
        ("\n6.1 A death must not be dated before the start of treatment.", "", "no clause says order"),
        ("\n6.1", "\n5.3 For Stage IV the limit of 5.2 is 9 days longer.\n6.1", "two clauses say extension"),
        ("Protocol ONC-0000AA", "Protocol", "the excerpt begins with"),
    ],
)
def test_the_checker_refuses_an_excerpt_that_it_cannot_read(old: str, new: str, said: str) -> None:
    text = excerpt(RULES)
    assert old in text
    with pytest.raises(ValueError, match=said):
        read(text.replace(old, new))


def test_the_window_of_stage_iv_is_longer_unless_the_index_is_above_the_limit() -> None:
    assert [allowed_days(RULES, patient(stage="IV", index=index)) for index in (0, 4, 5, 6)] == [28, 28, 21, 21]
