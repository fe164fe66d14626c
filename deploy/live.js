// Asks for the run's state again and again; loads picture and episodes anew when a step or a held-out point was added.
const POLL_MILLISECONDS = 2000;
const LOAD_MILLISECONDS = 60000;
const at = (id) => document.getElementById(id);
let stamp = "";

function cells(parent, name, texts) {
  const row = parent.insertRow();
  for (const text of texts) row.appendChild(document.createElement(name)).textContent = text;
}

function table(state) {
  const [head, body] = [at("steps").tHead, at("steps").tBodies[0]];
  head.replaceChildren();
  body.replaceChildren();
  cells(head, "th", state.columns);
  for (const row of state.rows) cells(body, "td", row);
  at("steps").hidden = !state.rows.length;
}

function seconds(age) {
  return age < 90 ? Math.round(age) + " s" : Math.round(age / 60) + " min";
}

function show(state) {
  document.title = state.run + ": " + state.state;
  at("run").textContent = state.run;
  at("state").textContent = state.state;
  at("state").className = "state " + state.state;
  at("messages").textContent = state.messages.join("\n");
  if (state.of === null || state.of === undefined) return;
  const age = state.age === null ? "" : ", the newest " + seconds(state.age) + " ago";
  const left = state.left ? "; " + state.left : "";
  at("progress-text").textContent = "step " + state.steps + " of " + state.of + age + left;
  at("progress").max = state.of;
  at("progress").value = state.steps;
  at("heldout").textContent = state.heldout;
  at("error").textContent = [state.error, ...state.damaged].filter(Boolean).join("; ");
  at("resume").hidden = !state.resume;
  at("resume").querySelector("code").textContent = state.resume;
  at("alarms").replaceChildren(...state.alarms.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  at("alarms").parentElement.hidden = !state.alarms.length;
  table(state);
}

function loaded(element) {
  return new Promise((done) => {
    for (const event of ["load", "error"]) element.addEventListener(event, done, { once: true });
    setTimeout(done, LOAD_MILLISECONDS);
  });
}

async function results(state) {
  if (!state.rows || !state.rows.length || state.stamp === stamp) return;
  at("results").hidden = false;
  const both = [loaded(at("picture")), loaded(at("episodes"))];
  at("picture").src = "/progress.png?" + state.stamp;
  at("episodes").src = "/episodes.html?" + state.stamp;  // not a reload, which would end a load that still goes on
  stamp = state.stamp;
  document.body.dataset.steps = state.steps;
  await Promise.all(both);
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch("/state.json");
      if (!answer.ok) throw new Error(await answer.text());
      const state = await answer.json();
      show(state);
      await results(state);
    } catch (error) {
      at("state").textContent = "no answer";
      at("state").className = "state lost";
      at("error").textContent = "medserl view --live does not answer: " + error.message;
    }
    await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
  }
}

follow();
