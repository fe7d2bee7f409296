/* What is served and how it does, from /metrics, /readyz and /v1/models. */

const REFRESH_MS = 5000;
/* What this page asks for by itself is no traffic. */
const OWN_ROUTES = ["/", "/metrics", "/readyz", "/v1/models"];

/* Prometheus text: [{name, labels, value}] */
function read_metrics(text) {
  const rows = [];
  for (const line of text.split("\n")) {
    const [, name, quoted, value] = line.match(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/) || [];
    if (name === undefined) continue;
    const labels = [...(quoted || "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    rows.push({name, labels: Object.fromEntries(labels), value: Number(value)});
  }
  return rows;
}

const rows_of = (metrics, name) => metrics.filter(row => row.name === name && !OWN_ROUTES.includes(row.labels.route));
const sum_of = (metrics, name) => rows_of(metrics, name).reduce((sum, row) => sum + row.value, 0);

/* {"METHOD path": Map(bound → requests within it)} */
function by_route(metrics) {
  const routes = {};
  for (const {labels, value} of rows_of(metrics, "attentd_request_seconds_bucket")) {
    const buckets = (routes[labels.method + " " + labels.route] ||= new Map());
    buckets.set(labels.le, (buckets.get(labels.le) || 0) + value);
  }
  return routes;
}

/* The bound of the bucket in which this share of the requests is reached. */
function within(buckets, share) {
  for (const [bound, count] of buckets)
    if (count >= share * buckets.get("+Inf")) return bound === "+Inf" ? "> 10 s" : Number(bound) * 1000 + " ms";
  return "–";
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  return days > 0 ? word("days", days, hours) : word("hours", hours, minutes);
}

function card(name, value, state) {
  return make("div", {class: "card"}, make("b", {class: state}, value), make("span", {}, word(name)));
}

/* now, before: {metrics, at (milliseconds, the daemon's clock)}; before may be null */
function metric_cards(now, before) {
  const one = name => sum_of(now.metrics, name);
  const rate = name =>
    before === null
      ? "–"
      : (Math.max(0, one(name) - sum_of(before.metrics, name)) / ((now.at - before.at) / 1000)).toFixed(1);
  return [
    card("version", rows_of(now.metrics, "attentd_build_info")[0]?.labels.version || "–"),
    card("up", duration(Math.max(0, now.at / 1000 - one("process_start_time_seconds")))),
    card("rate", rate("attentd_requests_total")),
    card("token_rate", rate("attentd_tokens_total")),
    card("underway", one("attentd_queue_requests")),
    card("idle", one("attentd_idle_workers")),
    card("memory", (one("process_resident_memory_bytes") / 1048576).toFixed(0) + " MiB"),
  ];
}

function route_table(metrics) {
  const routes = Object.entries(by_route(metrics)).sort(([, a], [, b]) => b.get("+Inf") - a.get("+Inf"));
  const row = ([path, buckets]) => [
    path,
    ...[buckets.get("+Inf"), within(buckets, 0.5), within(buckets, 0.99)].map(number),
  ];
  return table(["route", "count", "median", "p99"], routes.map(row));
}

function model_table(list) {
  const place = make("div");
  const show_card = async id =>
    place.replaceChildren(
      make("pre", {}, JSON.stringify(await call("GET", "v1/models/" + encodeURIComponent(id)), null, 1)),
    );
  const row = model => [
    text_button(model.id, event => attempt(event.target, () => show_card(model.id))),
    model.task || "–",
    model.dtype || "–",
    number(model.version || "–"),
    (model.digest || "–").slice(0, 12),
    chip(model.status),
  ];
  const columns = ["model", "task", "dtype", "version", "digest", "ready"];
  return make("div", {}, table(columns, list.map(row)), place);
}

/* "ready", "not ready", or nothing where /readyz is closed to us */
function ready_card(outcome) {
  if (outcome.status === "fulfilled") return card("ready", word("is_ready"), "positive");
  const {status} = outcome.reason;
  return status === 503 || status === 0 ? card("ready", word("is_not_ready"), "negative") : null;
}

/* A view builds its nodes, and returns what is to be done when it comes into sight and leaves it. */
function view_overview(main) {
  const cards = make("div", {class: "cards"});
  const models = make("div");
  const routes = make("div");
  let timer = null;
  let before = null;
  let listed = "";

  function show_metrics(outcome, ready) {
    const now = outcome.status === "fulfilled" ? outcome.value : null;
    cards.replaceChildren(...[ready_card(ready), now && metric_cards(now, before)].flat().filter(Boolean));
    routes.replaceChildren(now ? route_table(now.metrics) : faint(outcome.reason.message));
    before = now;
  }

  function show_models(outcome) {
    const text = outcome.status === "fulfilled" ? JSON.stringify(outcome.value) : outcome.reason.message;
    if (text === listed) return; /* an open card and the focus stay */
    listed = text;
    models.replaceChildren(outcome.status === "fulfilled" ? model_table(outcome.value.data) : faint(text));
  }

  async function get_metrics(signal) {
    const response = await ask("GET", "metrics", undefined, signal);
    return {metrics: read_metrics(await response.text()), at: Date.parse(response.headers.get("Date")) || Date.now()};
  }

  async function refresh() {
    const own = {};
    timer = own;
    const signal = AbortSignal.timeout(REFRESH_MS);
    const [metrics, ready, list] = await Promise.allSettled([
      get_metrics(signal),
      ask("GET", "readyz", undefined, signal),
      call("GET", "v1/models", undefined, signal),
    ]);
    if (timer !== own) return; /* left meanwhile */
    show_metrics(metrics, ready);
    show_models(list);
    timer = setTimeout(refresh, REFRESH_MS);
  }

  main.append(cards, make("h2", {}, word("models")), models, make("h2", {}, word("routes")), routes);
  return {
    resume: refresh,
    pause: () => {
      clearTimeout(timer);
      timer = null;
      before = null;
    },
  };
}
