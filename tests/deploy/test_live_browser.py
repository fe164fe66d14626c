"""The page that follows a run, and the page of episodes in it, as a person meets them: in a browser."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import browser
from bench.browser import Tab
from tests.deploy.job.test_run_folder import log
from tests.deploy.live_world import begun, served

FOUND = browser.find()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("drawn"),
    pytest.mark.skipif(
        FOUND is None,
        reason="no Chromium on the path, and MEDSERL_BROWSER names none (Debian: apt install chromium)",
    ),
]
INSIDE = "document.getElementById('episodes').contentDocument?.body?"
"""Nothing while a page is replaced by the next one."""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    assert FOUND is not None
    with browser.browser(FOUND) as made:
        yield made


def text(tab: Tab, name: str) -> str:
    return str(tab.ask(f"document.getElementById('{name}').textContent"))


def test_the_page_follows_a_run_through_its_steps_a_kill_and_a_resume(tmp_path: Path, tab: Tab, drawn: None) -> None:
    folder = begun(tmp_path)
    with served(folder.path) as port:
        tab.open(f"http://127.0.0.1:{port}/")
        tab.wait("document.getElementById('state').textContent === 'running'")
        assert text(tab, "progress-text") == "step 0 of 4" and tab.ask("document.getElementById('results').hidden")

        for number in (1, 2):
            log(folder, number)
            tab.wait(f"document.body.dataset.steps === '{number}'")
            tab.wait(f"{INSIDE}.textContent.includes('task-{number}')")
        tab.wait("document.getElementById('picture').naturalWidth > 500")
        assert tab.ask("document.querySelectorAll('#steps tbody tr').length") == 2

        fcntl.flock(folder._lock, fcntl.LOCK_UN)
        tab.wait("document.getElementById('state').textContent === 'failed'")
        assert "--resume" in text(tab, "resume") and not tab.ask("document.getElementById('resume').hidden")

        fcntl.flock(folder._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.resume(1)
        tab.wait("document.getElementById('state').textContent === 'running'")
        tab.wait("document.body.dataset.steps === '1'")
        tab.wait(f"{INSIDE}.textContent.includes('task-2') === false")
    tab.wait("document.getElementById('state').textContent === 'no answer'")


def test_what_the_reader_chose_on_the_episodes_outlives_a_new_step(tmp_path: Path, tab: Tab, drawn: None) -> None:
    folder = begun(tmp_path)
    for number in (1, 2, 3):
        log(folder, number)
    with served(folder.path) as port:
        tab.open(f"http://127.0.0.1:{port}/")
        tab.wait(f"{INSIDE}.querySelectorAll('#tasks article').length === 3")
        form = f"{INSIDE}.querySelector('form')?"
        tab.ask(
            f"(form => {{ form.elements.order.value = 'worst'; form.elements.kind.value = 'synthetic_injection'; "
            f"form.dispatchEvent(new Event('change')) }})({form.removesuffix('?')})"
        )
        log(folder, 4)
        tab.wait(f"{INSIDE}.querySelectorAll('#tasks article').length === 4")
        tab.wait(f"{form}.elements.order.value === 'worst'")
        assert tab.ask(f"{form}.elements.kind.value") == "synthetic_injection"


def test_the_episodes_are_filtered_and_sorted(tmp_path: Path, tab: Tab) -> None:
    folder = begun(tmp_path)
    for number in (1, 2):
        log(folder, number)
    with served(folder.path) as port:
        tab.open(f"http://127.0.0.1:{port}/episodes.html")
        order = "[...document.querySelectorAll('#tasks article')].map((one) => one.dataset.step).join()"
        choose = "(name, value) => { const form = document.querySelector('form'); form.elements[name].value = value; \
form.dispatchEvent(new Event('change')); }"
        assert tab.ask(order) == "1,2"
        tab.ask("document.querySelectorAll('#tasks article')[1].dataset.reward = '-3'")
        tab.ask(f"({choose})('order', 'worst')")
        assert tab.ask(order) == "2,1"
        tab.ask("document.querySelectorAll('#tasks article')[0].dataset.outcomes = 'clean'")
        tab.ask(f"({choose})('outcome', 'missed')")
        assert tab.ask("document.querySelector('#shown').textContent") == "1 training task shown"
