/* What is served and how it does, from /metrics and /v1/models. */

/* Prometheus text: [{name, labels, value}] */
function read_metrics(text) {
  return text
    .split("\n")
    .filter(line => line && !line.startsWith("#"))
    .map(line => {
      const [, name, labels, value] = line.match(/^([^{ ]+)(?:\{(.*)\})? (\S+)$/) || [];
      return {
        name,
        value: Number(value),
        labels: Object.fromEntries(
          [...(labels || "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, quoted]) => [key, quoted]),
        ),
      };
    })
    .filter(row => row.name);
}

const rows_of = (metrics, name) => metrics.filter(row => row.name === name);
const sum_of = (metrics, name) => rows_of(metrics, name).reduce((sum, row) => sum + row.value, 0);

/* {path: {count, buckets: Map(bound → count)}} */
function by_route(metrics) {
  const routes = {};
  for (const row of rows_of(metrics, "attentd_request_seconds_bucket")) {
    const path = row.labels.method + " " + row.labels.route;
    const route = (routes[path] ||= {count: 0, buckets: new Map()});
    route.buckets.set(row.labels.le, (route.buckets.get(row.labels.le) || 0) + row.value);
    if (row.labels.le === "+Inf") route.count += row.value;
  }
  return routes;
}

/* The bound of the bucket in which this share of the requests is reached. */
function within(route, share) {
  for (const [bound, count] of route.buckets)
    if (count >= share * route.count) return bound === "+Inf" ? "> 10 s" : Number(bound) * 1000 + " ms";
  return "–";
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400),
    hours = Math.floor(seconds / 3600) % 24,
    minutes = Math.floor(seconds / 60) % 60;
  return days > 0
    ? `${days} d ${hours} h`
    : hours > 0
      ? `${hours} h ${minutes} min`
      : `${minutes} min ${Math.floor(seconds % 60)} s`;
}

function card(name, value, state) {
  return make("div", {class: "card"}, make("b", {class: state}, value), make("span", {}, word(name)));
}

function overview_cards(metrics, before, is_ready) {
  const one = name => sum_of(metrics, name);
  const rate = name =>
    before === null
      ? "–"
      : Math.max(0, (one(name) - sum_of(before.metrics, name)) / ((Date.now() - before.at) / 1000)).toFixed(1);
  const build = rows_of(metrics, "attentd_build_info")[0];
  return make(
    "div",
    {class: "cards"},
    card("ready", word(is_ready ? "is_ready" : "is_not_ready"), is_ready ? "positive" : "negative"),
    card("version", build ? build.labels.version : "–"),
    card("up", duration(Date.now() / 1000 - one("process_start_time_seconds"))),
    card("rate", rate("attentd_requests_total")),
    card("token_rate", rate("attentd_tokens_total")),
    card("queue", String(one("attentd_queue_requests"))),
    card("idle", String(one("attentd_idle_workers"))),
    card("memory", (one("process_resident_memory_bytes") / 1048576).toFixed(0) + " MiB"),
  );
}

function overview_routes(metrics) {
  const routes = Object.entries(by_route(metrics)).sort(([, a], [, b]) => b.count - a.count);
  return table(
    [word("route"), word("count"), word("median"), word("p99")],
    routes.map(([path, route]) => [path, number(route.count), number(within(route, 0.5)), number(within(route, 0.99))]),
  );
}

async function show_card(id, place) {
  place.replaceChildren(
    make("pre", {}, JSON.stringify(await call("GET", "v1/models/" + encodeURIComponent(id)), null, 1)),
  );
}

function overview_models(list) {
  const place = make("div");
  return make(
    "div",
    {},
    table(
      [word("model"), word("task"), word("dtype"), word("version"), word("digest"), word("ready")],
      list.map(model => [
        make(
          "button",
          {type: "button", onclick: event => attempt(event.target, () => show_card(model.id, place))},
          model.id,
        ),
        model.task || "–",
        model.dtype || "–",
        model.version || "–",
        (model.digest || "–").slice(0, 12),
        chip(model.status),
      ]),
    ),
    place,
  );
}

/* A view: builds its nodes, and returns what is to be called when it is left. */
async function view_overview(main) {
  const cards = make("div"),
    models = make("div"),
    routes = make("div");
  let before = null;
  const refresh = async () => {
    const metrics = read_metrics(await (await ask("GET", "metrics")).text());
    const is_ready = await ask("GET", "readyz").then(
      () => true,
      () => false,
    );
    cards.replaceChildren(overview_cards(metrics, before, is_ready));
    routes.replaceChildren(overview_routes(metrics));
    before = {metrics, at: Date.now()};
  };
  main.append(cards, make("h2", {}, word("models")), models, make("h2", {}, word("routes")), routes);
  models.append(overview_models((await call("GET", "v1/models")).data));
  await refresh();
  const timer = setInterval(() => {
    if (!document.hidden)
      refresh().then(
        () => notice(""),
        problem => notice(problem.message),
      );
  }, 5000);
  return () => clearInterval(timer);
}
