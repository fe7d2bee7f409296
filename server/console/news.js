/* Stored news: a chart, the newest items, alerts, and the report. */

const SENTIMENTS = ["negative", "neutral", "positive"];
const CHART_DAYS = 7;
const local_time = text =>
  new Date(text).toLocaleString(chinese ? "zh-CN" : "en-GB", {dateStyle: "short", timeStyle: "short"});

/* "+08:00" */
function utc_offset() {
  const minutes = -new Date().getTimezoneOffset();
  const two = value => String(Math.floor(Math.abs(value))).padStart(2, "0");
  return (minutes < 0 ? "-" : "+") + two(minutes / 60) + ":" + two(minutes % 60);
}

/* ---- chart ---- */

/* Bars of a day, stacked by sentiment. series: as /v1/trends answers */
function trend_chart(series) {
  const [width, height, foot, head] = [640, 170, 22, 18];
  const days = series[0].points.map(point => point.begin);
  const of_day = (name, day) => series.find(each => each.id === name)?.points[day].items || 0;
  const total = days.map((_, day) => SENTIMENTS.reduce((sum, name) => sum + of_day(name, day), 0));
  const highest = Math.max(...total, 1);
  const step = width / days.length;
  const label = (day, y, text) => draw("text", {x: (day + 0.5) * step, y, "text-anchor": "middle"}, text);
  const column = (begin, day) => {
    let y = height - foot;
    const blocks = SENTIMENTS.map(name => {
      const tall = (of_day(name, day) / highest) * (height - foot - head);
      y -= tall;
      const says = `${begin.slice(0, 10)}, ${label_word(name)}: ${of_day(name, day)}`;
      return draw(
        "rect",
        {x: (day + 0.15) * step, y, width: 0.7 * step, height: tall, class: name},
        draw("title", {}, says),
      );
    });
    return [blocks, label(day, y - 4, total[day] || ""), label(day, height - 6, begin.slice(5, 10))];
  };
  const sums = SENTIMENTS.map(
    name => `${label_word(name)} ${days.reduce((sum, _, day) => sum + of_day(name, day), 0)}`,
  );
  return make(
    "figure",
    {},
    draw(
      "svg",
      {class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": sums.join(", ")},
      days.map(column),
    ),
    make(
      "figcaption",
      {},
      SENTIMENTS.map((name, i) => [chip(name, sums[i]), " "]),
    ),
  );
}

async function read_chart() {
  const from = new Date();
  from.setHours(0, 0, 0, 0);
  from.setDate(from.getDate() - CHART_DAYS + 1);
  const query = new URLSearchParams({from: from.toISOString(), bucket: "day", utc_offset: utc_offset()});
  const {series} = await call("GET", "v1/trends?" + query);
  return series.length > 0 ? trend_chart(series) : faint(word("none_yet"));
}

/* ---- items ---- */

function news_row(item) {
  const head = item.title || item.evidence?.text || item.id;
  const is_web = /^https?:\/\//i.test(item.url || "");
  const link = is_web ? make("a", {href: item.url, target: "_blank", rel: "noopener noreferrer"}, head) : head;
  return [
    make("td", {class: "number"}, local_time(item.time)),
    item.source || "–",
    make("td", {class: "heading"}, link),
    item.sentiment ? chip(item.sentiment, label_word(item.sentiment)) : "–",
    item.topics.map(topic => label_word(topic.label)).join(", "),
    number(item.importance?.toFixed(2) ?? "–"),
  ];
}

/* {nodes, refresh} */
function items_panel() {
  const list = make("div");
  const options = [["", word("all")], ...SENTIMENTS.map(name => [name, label_word(name)])];
  const sentiment = choice(options);
  const columns = ["time", "source", "heading", "sentiment", "topics", "importance"];
  const read = async () => {
    const wanted = sentiment.value;
    const {data} = await call("GET", "v1/news?limit=20&noise_max=0.5" + (wanted ? "&sentiment=" + wanted : ""));
    if (wanted === sentiment.value) list.replaceChildren(table(columns, data.map(news_row)));
  };
  const refresh = () => read().catch(problem => list.replaceChildren(faint(problem.message)));
  sentiment.addEventListener("change", refresh);
  return {
    nodes: [make("div", {class: "row"}, field("sentiment", sentiment), make("small", {}, word("no_noise"))), list],
    refresh,
  };
}

/* ---- report ---- */

function save_as(name, text, type) {
  const link = make("a", {download: name, href: URL.createObjectURL(new Blob([text], {type}))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function report_panel() {
  const span = choice([
    ["24h", word("day")],
    ["7d", word("week")],
    ["30d", word("month")],
  ]);
  const language = choice([
    ["zh", "中文"],
    ["en", "English"],
  ]);
  /* No script of a report may run; its links open windows of their own. */
  const frame = make("iframe", {
    sandbox: "allow-popups allow-popups-to-escape-sandbox",
    hidden: "",
    title: word("report"),
  });
  const report = async format => {
    const body = {window: span.value, lang: language.value, format, utc_offset: utc_offset()};
    return (await ask("POST", "v1/report", body)).text();
  };
  const show = async () => {
    frame.srcdoc = (await report("html")).replace("<head>", '<head><base target="_blank">');
    frame.hidden = false;
  };
  const save = (format, name, type) =>
    text_button(name, event =>
      attempt(event.target, async () => save_as("report." + name, await report(format), type)),
    );
  const start = button("make", () => attempt(start, show), {class: "main"});
  span.value = "7d";
  language.value = chinese ? "zh" : "en";
  return [
    make(
      "div",
      {class: "row"},
      [field("window", span), field("language", language), start, make("small", {}, word("save"))],
      [
        save("html", "html", "text/html"),
        save("markdown", "md", "text/markdown"),
        save("json", "json", "application/json"),
      ],
    ),
    frame,
  ];
}

/* A view: see overview.js. Each panel stands by itself: what one cannot have is said in its place. What is stored is read
 * anew whenever the view comes into sight. */
function view_news(main) {
  const section = (name, ...nodes) => make("section", {}, make("h2", {}, word(name)), nodes);
  const classifier = make("div");
  const chart = make("div");
  const items = items_panel();
  const alerts = alerts_panel();
  let has_classifier = false;

  async function show_in(place, build) {
    try {
      place.replaceChildren(...[await build()].flat());
      return true;
    } catch (problem) {
      place.replaceChildren(faint(problem.message));
      return false;
    }
  }

  main.append(
    section("classify", classifier),
    section("trend", chart),
    section("stored", items.nodes),
    section("alerts", alerts.nodes),
    section("report", report_panel()),
  );
  return {
    resume: async () => {
      alerts.resume();
      items.refresh();
      show_in(chart, read_chart);
      has_classifier ||= await show_in(classifier, classify_panel);
    },
    pause: alerts.pause,
  };
}
