from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.scribe.schedule import Offer, Schedule


def offer(vignette: str, phrase: str, holders: int, likely: bool = False) -> Offer:
    return Offer(vignette=vignette, phrase=phrase, holders=holders, likely=likely)


OFFERS = st.lists(
    st.builds(offer, st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), st.integers(0, 9), st.booleans()), min_size=1
)


@given(OFFERS, st.integers(0, 3))
def test_only_what_is_offered_is_drawn_and_the_same_each_time(offers: list[Offer], seed: int) -> None:
    one, again = (Schedule(offers, 9, str(seed)) for _ in range(2))
    drawn = [one[place] for place in range(30)]
    assert drawn == [again[place] for place in range(30)] and again[7] == drawn[7]
    assert set(drawn) <= {(each.vignette, each.phrase) for each in offers}


def test_a_phrase_that_right_notes_hardly_hold_comes_once_an_epoch() -> None:
    rare = [offer(f"v{number}", "beractant", 0) for number in range(20)]
    common = [offer(f"v{number}", "aspirin", 50) for number in range(10)]
    schedule = Schedule([*rare, *common], 100, "0")
    first = [schedule[place] for place in range(11)]
    assert Counter(phrase for _, phrase in first) == {"aspirin": 10, "beractant": 1}
    assert len({vignette for vignette, _ in first}) == 11, "each vignette at most once"


def test_a_phrase_comes_no_more_often_than_right_notes_of_as_many_vignettes_hold_its_rarest_word() -> None:
    schedule = Schedule([offer(f"v{number}", "aspirin", 30) for number in range(20)], 100, "0")
    epochs = [{schedule[6 * epoch + place][0] for place in range(6)} for epoch in range(50)]
    assert all(len(names) == 6 for names in epochs), "30 of 100 hold it, so 6 of 20"
    assert len(set.union(*epochs)) == 20, "over the epochs every vignette has its turn"


def test_likely_errors_come_first_in_six_draws_of_ten_and_others_get_their_turn() -> None:
    offers = [
        offer(f"v{n}", phrase, 90, likely) for n in range(40) for phrase, likely in (("gout", True), ("flu", False))
    ]
    schedule = Schedule(offers, 90, "0")
    share = Counter(schedule[place][1] for place in range(400))["gout"] / 400
    assert 0.6 <= share <= 0.95
