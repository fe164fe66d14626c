const form = document.querySelector("form");
const count = document.querySelector("#shown");
function show() {
  const quadrant = form.elements.quadrant.value;
  const outcome = form.elements.outcome.value;
  let shown = 0;
  for (const episode of document.querySelectorAll("article")) {
    const outcomes = episode.dataset.outcomes.split(" ");
    const fits = (!quadrant || episode.dataset.quadrant === quadrant) && (!outcome || outcomes.includes(outcome));
    episode.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown === 1 ? "1 episode shown" : shown + " episodes shown";
}
form.hidden = false;
form.addEventListener("change", show);
show();
