/* Alerts as they come: the stored ones, then the daemon's stream of events, begun again whenever it ends or falls silent.
 * The daemon sends a comment every heartbeat_ms, so that silence means a lost connection. */

const ALERTS_SHOWN = 50;
const SILENCE_MS = 60000;
const RETRY_MS = [1000, 2000, 5000, 15000, 30000];

function alert_row({time, level, rule, subject, reasons}) {
  const name =
    subject.kind === "all" ? word("all_items") : subject.kind === "topic" ? label_word(subject.name) : subject.name;
  const said = reasons.map(
    each => `${label_word(each.measure)} ${each.value} ${each.relation === ">=" ? "≥" : "≤"} ${each.limit}`,
  );
  return [make("td", {class: "number"}, local_time(time)), chip(level, label_word(level)), rule, name, said.join("; ")];
}

/* What a text/event-stream brings, as arrays: the alerts of a block that came, none where it was a heartbeat. fetch, since
 * an EventSource can send no key. */
async function* arrivals(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    const data = events.map(event => event.split("\n").filter(line => line.startsWith("data:")));
    yield data.filter(lines => lines.length > 0).map(lines => JSON.parse(lines.map(line => line.slice(5)).join("\n")));
  }
}

/* Resolves after so long, or when the signal fires. */
function pause_for(ms, signal) {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/* {nodes, resume, pause} */
function alerts_panel() {
  const alerts = [];
  const list = make("div");
  const state = make("p", {class: "faint", role: "status"});
  const columns = ["time", "level", "rule", "subject", "reasons"];
  let is_read = false;
  let leaving = null;

  const show = () => list.replaceChildren(table(columns, alerts.map(alert_row)));
  const set_state = (name, why = "") =>
    state.replaceChildren(chip(name === "live" ? "positive" : "clarify", word(name)), " ", why);

  async function read_stored(signal) {
    alerts.push(...(await call("GET", "v1/alerts?order=newest&limit=20", undefined, signal)).data);
    is_read = true;
    show();
  }

  /* Until the stream ends; throws where it cannot be had, and when the page is left. */
  async function listen(leaving_signal) {
    const silent = new AbortController();
    const signal = AbortSignal.any([leaving_signal, silent.signal]);
    let timer = null;
    const wait_on = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
    };
    try {
      wait_on();
      if (!is_read) await read_stored(signal);
      const response = await ask("GET", "v1/stream?after=" + (alerts[0]?.id || 0), undefined, signal);
      set_state("live");
      for await (const some of arrivals(response)) {
        wait_on();
        if (some.length === 0) continue;
        alerts.unshift(...some.reverse());
        alerts.splice(ALERTS_SHOWN);
        show();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async function follow(signal) {
    for (let failures = 0; !signal.aborted; failures++) {
      let why = "";
      const begun = Date.now();
      await listen(signal).catch(problem => (why = problem.name === "AbortError" ? "" : problem.message));
      if (signal.aborted) return;
      set_state("not_live", why);
      if (Date.now() - begun > SILENCE_MS) failures = 0;
      await pause_for(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], signal);
    }
  }

  return {
    nodes: [state, list],
    resume: () => {
      leaving = new AbortController();
      set_state("not_live");
      follow(leaving.signal);
    },
    pause: () => leaving?.abort(),
  };
}
