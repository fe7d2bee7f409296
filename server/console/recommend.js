/* A user's history and interest in, ranked items and what they rest on out. */

const EVENT_TYPES = ["view", "click", "buy", "rate"];
const event_name = type => word(type === "rate" ? "rate_event" : type);

function history_table(history, titles, redraw) {
  return table(
    [word("event"), word("item"), ""],
    history.map((event, place) => [
      event_name(event.type) + (event.value ? " " + event.value : ""),
      titles.get(event.item) || event.item,
      button("remove", () => {
        history.splice(place, 1);
        redraw();
      }),
    ]),
  );
}

function add_controls(item, title, history, titles, redraw) {
  const type = choice(
    EVENT_TYPES.map(name => [name, event_name(name)]),
    {"aria-label": word("event")},
  );
  return make(
    "span",
    {},
    type,
    " ",
    button("add", () => {
      titles.set(item, title);
      history.push(type.value === "rate" ? {item, type: "rate", value: 5} : {item, type: type.value});
      redraw();
    }),
  );
}

function recommend_answer(body, answer, titles) {
  const name = reason => titles.get(reason.item) || reason.item;
  const highest = Math.max(...answer.items.map(item => item.score), 1e-9);
  return [
    answer.fallback === "popularity" ? make("p", {class: "faint"}, word("popular_only")) : null,
    answer.unknown.length > 0 ? make("p", {class: "faint"}, word("unknown", answer.unknown.join(", "))) : null,
    table(
      ["", word("item"), word("score"), word("source"), word("rests_on")],
      answer.items.map(item => [
        number(item.rank),
        item.title || item.id,
        make("div", {class: "scored"}, bar(item.score / highest), item.score.toPrecision(3)),
        word(item.source),
        (item.reasons || [])
          .slice(0, 3)
          .map(reason => `${name(reason)} ${percent(reason.weight)}`)
          .join("; ") || "–",
      ]),
    ),
    (answer.weights || []).length > 0
      ? [
          make("h2", {}, word("weights")),
          bars(
            answer.weights.map(each => [
              name({item: each.item || body.history[each.event]?.item}),
              each.weight,
              percent(each.weight),
            ]),
          ),
        ]
      : null,
    wire("v1/recommend", body, answer),
  ]
    .flat()
    .filter(Boolean);
}

/* Items for these words; what is no model's item by its id is looked for by its meaning. */
async function find_items(model, words) {
  const known = await call("POST", "v1/recommend", {
    model,
    candidates: [words],
    exclude_seen: false,
    explain: false,
  }).catch(() => null);
  if (known && known.items.length > 0) return known.items;
  return (await call("POST", "v1/recommend", {model, interest: words, top_k: 8, explain: false})).items;
}

/* A view: see overview.js. */
async function view_recommend(main) {
  const model = await model_choice("recommend"),
    history = [],
    titles = new Map();
  const words = make("input", {
    class: "wide",
    maxlength: 500,
    placeholder: word("find_hint"),
    "aria-label": word("find"),
  });
  const interest = make("input", {class: "wide", maxlength: 2000, placeholder: word("interest_hint")});
  const top = make("input", {type: "number", min: 1, max: 100, value: 10, size: 4});
  const diversity = make("input", {type: "range", min: 0, max: 1, step: 0.1, value: 0});
  const found = make("div"),
    events = make("div"),
    out = make("div");
  const redraw = () => events.replaceChildren(history_table(history, titles, redraw));
  const find = make("button", {}, word("look"));
  const run = button(
    "run",
    () =>
      attempt(run, async () => {
        const body = {model: model.value, history, top_k: Number(top.value), diversity: Number(diversity.value)};
        if (interest.value.trim() !== "") body.interest = interest.value;
        out.replaceChildren(...recommend_answer(body, await call("POST", "v1/recommend", body), titles));
      }),
    {class: "main"},
  );
  const form = make(
    "form",
    {
      class: "row",
      onsubmit: event => {
        event.preventDefault();
        if (words.value.trim() === "") return;
        attempt(find, async () => {
          const items = await find_items(model.value, words.value.trim());
          found.replaceChildren(
            table(
              [word("found"), ""],
              items.map(item => [
                item.title || item.id,
                add_controls(item.id, item.title || item.id, history, titles, redraw),
              ]),
            ),
          );
        });
      },
    },
    words,
    find,
  );
  model.addEventListener("change", () => {
    history.length = 0;
    found.replaceChildren();
    out.replaceChildren();
    redraw();
  });
  redraw();
  main.append(
    make("div", {class: "row"}, field("model", model)),
    make(
      "div",
      {class: "columns"},
      make("section", {}, make("h2", {}, word("find")), form, found),
      make("section", {}, make("h2", {}, word("history")), events),
    ),
    make("h2", {}, word("interest")),
    make("div", {class: "row"}, interest, field("how_many", top), field("diversity", diversity), run),
    make("h2", {}, word("ranked")),
    out,
  );
}
