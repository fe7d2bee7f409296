/* Alerts as they come: the stored ones, then the daemon's stream of events, begun again whenever it ends. */

const ALERTS_SHOWN = 50;
const RETRY_MS = [1000, 2000, 5000, 15000, 30000];

function alert_row({time, level, rule, subject, reasons}) {
  const name =
    subject.kind === "all" ? word("all_items") : subject.kind === "topic" ? label_word(subject.name) : subject.name;
  const said = reasons.map(
    each => `${label_word(each.measure)} ${each.value} ${each.relation === ">=" ? "≥" : "≤"} ${each.limit}`,
  );
  return [make("td", {class: "number"}, local_time(time)), chip(level, label_word(level)), rule, name, said.join("; ")];
}

/* The events of a text/event-stream; fetch, since an EventSource can send no key. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n").filter(line => line.startsWith("data:"));
      if (lines.length > 0) yield JSON.parse(lines.map(line => line.slice(5)).join("\n"));
    }
  }
}

const pause_for = (ms, signal) =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/* {nodes, resume, pause} */
async function alerts_panel() {
  const alerts = (await call("GET", "v1/alerts?order=newest&limit=20")).data;
  const list = make("div", {"aria-live": "polite"});
  const state = make("p", {class: "faint"});
  const columns = ["time", "level", "rule", "subject", "reasons"].map(name => word(name));
  let leaving = null;

  const show = () => list.replaceChildren(table(columns, alerts.map(alert_row)));
  const set_state = (name, why = "") =>
    state.replaceChildren(chip(name === "live" ? "positive" : "clarify", word(name)), " ", why);

  async function follow(signal) {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const response = await ask("GET", "v1/stream?after=" + (alerts[0]?.id || 0), undefined, signal);
        set_state("live");
        failures = 0;
        for await (const alert of events(response)) {
          alerts.unshift(alert);
          alerts.splice(ALERTS_SHOWN);
          show();
        }
        set_state("not_live");
      } catch (problem) {
        if (!signal.aborted) set_state("not_live", problem.message);
      }
      await pause_for(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], signal);
    }
  }

  show();
  return {
    nodes: [state, list],
    resume: () => {
      leaving = new AbortController();
      follow(leaving.signal);
    },
    pause: () => leaving?.abort(),
  };
}
