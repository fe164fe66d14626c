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
form.hidden = false;
form.addEventListener("change", show);
show();
