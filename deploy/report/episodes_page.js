const form = document.querySelector("form");
const count = document.querySelector("#shown");
function show() {
  const kind = form.elements.kind.value;
  const outcome = form.elements.outcome.value;
  const ended = form.elements.ended ? form.elements.ended.value : "";
  let shown = 0;
  for (const episode of document.querySelectorAll("article")) {
    const outcomes = episode.dataset.outcomes.split("|");
    const ends = episode.dataset.ends.split("|");
    const fits = (!kind || episode.dataset.kind === kind) && (!outcome || outcomes.includes(outcome))
      && (!ended || ends.includes(ended));
    episode.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown === 1 ? "1 task shown" : shown + " tasks shown";
}
const by = {
  step: (a, b) => a.step - b.step,
  worst: (a, b) => a.reward - b.reward,
  best: (a, b) => b.reward - a.reward,
  vignette: (a, b) => a.vignette.localeCompare(b.vignette) || a.step - b.step,
};
function sort() {
  const main = document.querySelector("main");
  const order = by[form.elements.order.value];
  const episodes = [...main.querySelectorAll("article")].sort((a, b) => order(a.dataset, b.dataset));
  main.replaceChildren(...episodes);
}
form.hidden = false;
form.addEventListener("change", show);
form.elements.order.addEventListener("change", sort);
show();
