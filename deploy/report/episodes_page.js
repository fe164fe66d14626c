const form = document.querySelector("form");
const count = document.querySelector("#shown");
const tasks = document.querySelector("#tasks");
function show() {
  const kind = form.elements.kind.value;
  const outcome = form.elements.outcome.value;
  const ended = form.elements.ended ? form.elements.ended.value : "";
  for (const episode of document.querySelectorAll("article")) {
    const outcomes = episode.dataset.outcomes.split("|");
    const ends = episode.dataset.ends.split("|");
    episode.hidden = !((!kind || episode.dataset.kind === kind) && (!outcome || outcomes.includes(outcome))
      && (!ended || ends.includes(ended)));
  }
  const shown = tasks.querySelectorAll("article:not([hidden])").length;
  count.textContent = shown === 1 ? "1 training task shown" : shown + " training tasks shown";
}
const by = {
  step: (a, b) => a.step - b.step,
  worst: (a, b) => a.reward - b.reward,
  best: (a, b) => b.reward - a.reward,
  vignette: (a, b) => a.vignette.localeCompare(b.vignette) || a.step - b.step,
};
function sort() {
  const order = by[form.elements.order.value];
  const episodes = [...tasks.querySelectorAll("article")].sort((a, b) => order(a.dataset, b.dataset));
  tasks.append(...episodes);
}
// The page is made anew while a run goes on: the reader's choices and place outlive that.
const key = document.title;
function remember() {
  const chosen = [...form.elements].map((element) => [element.name, element.value]);
  sessionStorage.setItem(key, JSON.stringify({ chosen, top: window.scrollY }));
}
function recall() {
  const known = JSON.parse(sessionStorage.getItem(key) || '{"chosen": [], "top": 0}');
  for (const [name, value] of known.chosen) {
    const element = form.elements[name];
    if (element && [...element.options].some((option) => option.value === value)) element.value = value;
  }
  return known.top;
}
form.hidden = false;
const place = recall();
sort();
show();
window.scrollTo(0, place);
form.addEventListener("change", () => { sort(); show(); });
window.addEventListener("pagehide", remember);
