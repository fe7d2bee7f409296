/* Stored news: a chart, the newest items, alerts as they come, and the report. */

const SENTIMENTS = ["negative", "neutral", "positive"];
const SENTIMENT_COLOURS = {negative: "#c93434", neutral: "#98a2b3", positive: "#1c8a4b"};
const local_time = text =>
  new Date(text).toLocaleString(chinese ? "zh-CN" : "en-GB", {dateStyle: "short", timeStyle: "short"});

/* ---- chart ---- */

/* Bars of a day, stacked by sentiment. series: as /v1/trends answers */
function trend_chart(series) {
  const width = 640,
    height = 170,
    foot = 22,
    days = series[0].points.map(point => point.begin);
  const total = days.map((_, day) => series.reduce((sum, each) => sum + each.points[day].items, 0));
  const highest = Math.max(...total, 1),
    step = width / days.length;
  const chart = make("svg", {
    class: "chart",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": word("trend", word("week")),
  });
  days.forEach((begin, day) => {
    let at = height - foot;
    for (const name of SENTIMENTS) {
      const items = series.find(each => each.id === name)?.points[day].items || 0;
      const tall = (items / highest) * (height - foot - 18);
      at -= tall;
      chart.append(
        make("rect", {
          x: day * step + step * 0.15,
          y: at,
          width: step * 0.7,
          height: tall,
          fill: SENTIMENT_COLOURS[name],
        }),
      );
    }
    chart.append(
      make(
        "text",
        {x: (day + 0.5) * step, y: at - 4, "text-anchor": "middle", "font-size": 11, fill: "currentColor"},
        total[day] || "",
      ),
      make(
        "text",
        {x: (day + 0.5) * step, y: height - 6, "text-anchor": "middle", "font-size": 11, fill: "currentColor"},
        begin.slice(5, 10),
      ),
    );
  });
  return make(
    "figure",
    {},
    chart,
    make(
      "figcaption",
      {},
      SENTIMENTS.map(name => [chip(name, label_word(name)), " "]),
    ),
  );
}

/* ---- items ---- */

function news_row(item) {
  const head = item.title || item.evidence?.text || item.id;
  const safe = /^https?:\/\//i.test(item.url || "");
  return [
    make("td", {class: "number"}, local_time(item.time)),
    item.source || "–",
    safe ? make("a", {href: item.url, target: "_blank", rel: "noopener noreferrer"}, head) : head,
    item.sentiment ? chip(item.sentiment, label_word(item.sentiment)) : "–",
    item.topics.map(topic => label_word(topic.label)).join(", "),
    item.importance === null || item.importance === undefined ? "–" : number(item.importance.toFixed(2)),
  ];
}

async function news_panel() {
  const list = make("div"),
    chart = make("div");
  const sentiment = choice([["", word("all")], ...SENTIMENTS.map(name => [name, label_word(name)])]);
  const refresh = async () => {
    const wanted = sentiment.value ? "&sentiment=" + sentiment.value : "";
    const [news, trends] = await Promise.all([
      call("GET", "v1/news?limit=20&noise_max=0.5" + wanted),
      call("GET", "v1/trends?window=7d&bucket=day&utc_offset=" + utc_offset()),
    ]);
    list.replaceChildren(
      table(
        ["time", "source", "heading", "sentiment", "topics", "importance"].map(name => word(name)),
        news.data.map(news_row),
      ),
    );
    chart.replaceChildren(
      trends.series.length > 0 ? trend_chart(trends.series) : make("p", {class: "faint"}, word("none_yet")),
    );
  };
  sentiment.addEventListener("change", () => attempt(sentiment, refresh));
  await refresh();
  return make(
    "section",
    {},
    make("h2", {}, word("trend", word("week"))),
    chart,
    make("h2", {}, word("stored"), " ", sentiment),
    list,
  );
}

/* "+08:00" */
function utc_offset() {
  const minutes = -new Date().getTimezoneOffset(),
    two = value => String(value).padStart(2, "0");
  return encodeURIComponent(
    (minutes < 0 ? "-" : "+") + two(Math.floor(Math.abs(minutes) / 60)) + ":" + two(Math.abs(minutes) % 60),
  );
}

/* ---- alerts ---- */

const reason_text = reason =>
  `${label_word(reason.measure)} ${reason.value} ${reason.relation === ">=" ? "≥" : "≤"} ${reason.limit}`;

function alert_row(alert) {
  return [
    make("td", {class: "number"}, local_time(alert.time)),
    chip(alert.level, label_word(alert.level)),
    alert.rule,
    alert.subject?.name || "–",
    alert.reasons.map(reason_text).join("; "),
  ];
}

/* The events of a text/event-stream; fetch, since an EventSource can send no key. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const data = lines
        .filter(line => line.startsWith("data:"))
        .map(line => line.slice(5).trimStart())
        .join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}

async function alerts_panel(signal) {
  const list = make("div"),
    state = chip("neutral", word("not_live"));
  const alerts = (await call("GET", "v1/alerts?order=newest&limit=20")).data;
  const draw = () =>
    list.replaceChildren(
      table(
        ["time", "level", "rule", "subject", "reasons"].map(name => word(name)),
        alerts.map(alert_row),
      ),
    );
  const follow = async () => {
    const response = await ask(
      "GET",
      "v1/stream" + (alerts.length > 0 ? "?after=" + alerts[0].id : ""),
      undefined,
      signal,
    );
    state.replaceWith(chip("positive", word("live")));
    for await (const alert of events(response)) {
      alerts.unshift(alert);
      alerts.splice(50);
      draw();
    }
  };
  draw();
  follow().catch(() => {});
  return make("section", {}, make("h2", {}, word("alerts"), " ", state), list);
}

/* ---- report ---- */

function save_link(name, text, type) {
  const link = make("a", {download: name, href: URL.createObjectURL(new Blob([text], {type}))}, name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function report_panel() {
  const span = choice([
    ["24h", word("day")],
    ["7d", word("week")],
    ["30d", word("month")],
  ]);
  const frame = make("iframe", {sandbox: true, hidden: true, title: word("report")});
  const language = choice([
    ["zh", "中文"],
    ["en", "English"],
  ]);
  const fetch_report = async format =>
    (
      await ask("POST", "v1/report", {
        window: span.value,
        lang: language.value,
        format,
        utc_offset: decodeURIComponent(utc_offset()),
      })
    ).text();
  const run = button(
    "make",
    () =>
      attempt(run, async () => {
        frame.srcdoc = await fetch_report("html");
        frame.hidden = false;
      }),
    {class: "main"},
  );
  const save = (format, name, type) =>
    make(
      "button",
      {
        type: "button",
        onclick: event =>
          attempt(event.target, async () => save_link("report." + name, await fetch_report(format), type)),
      },
      name,
    );
  span.value = "7d";
  language.value = chinese ? "zh" : "en";
  return make(
    "section",
    {},
    make("h2", {}, word("report")),
    make(
      "div",
      {class: "row"},
      field("window", span),
      language,
      run,
      make("small", {}, word("save")),
      save("html", "html", "text/html"),
      save("markdown", "md", "text/markdown"),
      save("json", "json", "application/json"),
    ),
    frame,
  );
}

/* A view: see overview.js. */
async function view_news(main) {
  const leaving = new AbortController();
  main.append(await classify_panel());
  try {
    main.append(await news_panel(), await alerts_panel(leaving.signal), report_panel());
  } catch (problem) {
    main.append(make("p", {class: "faint"}, word("no_news", problem.message)));
  }
  return () => leaving.abort();
}
