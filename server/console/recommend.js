/* A user's history and interest in, ranked items and what they rest on out. */

const EVENT_TYPES = ["view", "click", "buy", "rate"];
const BEST_RATING = 5;
const event_name = type => word(type === "rate" ? "rate_event" : type);

/* The item with this id, where there is one, then those whose texts mean what the words say. */
async function find_items(model, words) {
  const ask_for = async wish => (await call("POST", "v1/recommend", {model, explain: false, ...wish})).items;
  const outcomes = await Promise.allSettled([
    ask_for({candidates: [words.slice(0, 64)], exclude_seen: false}),
    ask_for({interest: words, top_k: 8}),
  ]);
  const [same, like] = outcomes.map(outcome => outcome.value || []);
  if (same.length === 0 && outcomes[1].status === "rejected") throw outcomes[1].reason;
  return [...same, ...like.filter(item => item.id !== same[0]?.id)];
}

function ranked_table(items, name) {
  const highest = Math.max(...items.map(item => item.score), 1e-9);
  const ground = item => (item.reasons || []).slice(0, 3).map(each => `${name(each.item)} ${percent(each.weight)}`);
  const rows = items.map(item => [
    number(item.rank),
    item.title || item.id,
    make("div", {class: "scored"}, bar(item.score / highest), item.score.toPrecision(3)),
    word(item.source),
    ground(item).join("; ") || "–",
  ]);
  return table(["", "item", "score", "source", "rests_on"], rows);
}

/* name: an item's title by its id */
function recommend_answer(body, answer, name) {
  const weights = (answer.weights || []).map(each => {
    const item = each.item || body.history[each.event].item;
    return [name(item), each.weight, percent(each.weight)];
  });
  return make(
    "div",
    {},
    answer.fallback === "popularity" ? faint(word("popular_only")) : null,
    answer.unknown.length > 0 ? faint(word("unknown", answer.unknown.join(", "))) : null,
    ranked_table(answer.items, name),
    weights.length > 0 ? [make("h2", {}, word("weights")), bars(weights)] : null,
    wire("v1/recommend", body, answer),
  );
}

/* {nodes, events()}: what the user did, which add() lengthens */
function history_panel() {
  const events = [];
  const titles = new Map();
  const list = make("div");
  const name = item => titles.get(item) || item;
  function show() {
    const row = (event, place) => [
      event_name(event.type) + (event.value ? " " + event.value : ""),
      name(event.item),
      button("remove", () => {
        events.splice(place, 1);
        show();
      }),
    ];
    list.replaceChildren(table(["event", "item", ""], events.map(row)));
  }
  show();
  return {
    list,
    name,
    events: () => [...events],
    add: (item, title, type) => {
      titles.set(item, title);
      events.push(type === "rate" ? {item, type, value: BEST_RATING} : {item, type});
      show();
    },
    clear: () => {
      events.length = 0;
      show();
    },
  };
}

function found_table(items, history) {
  const row = ({id, title}) => {
    const name = title || id;
    const type = choice(
      EVENT_TYPES.map(each => [each, event_name(each)]),
      {"aria-label": word("event")},
    );
    return [
      name,
      make(
        "span",
        {class: "pair"},
        type,
        button("add", () => history.add(id, name, type.value)),
      ),
    ];
  };
  return table(["found", ""], items.map(row));
}

/* A view: see overview.js. */
async function view_recommend(main) {
  const model = await model_choice("recommend");
  if (model === null) {
    main.append(faint(word("no_recommender")));
    return;
  }
  const history = history_panel();
  const words = make("input", {
    class: "wide",
    maxlength: 500,
    placeholder: word("find_hint"),
    "aria-label": word("find"),
  });
  const interest = make("input", {
    class: "wide",
    maxlength: 2000,
    placeholder: word("interest_hint"),
    "aria-label": word("interest"),
  });
  const top = make("input", {type: "number", min: 1, max: 100, value: 10, size: 4});
  const diversity = make("input", {type: "number", min: 0, max: 1, step: 0.1, value: 0, size: 4});
  const found = make("div", {"aria-live": "polite"});
  const out = make("div", {"aria-live": "polite"});
  const look = make("button", {}, word("look"));

  /* What came for a model that is chosen no more is dropped. */
  const find = async () => {
    const asked = model.value;
    const items = await find_items(asked, words.value.trim());
    if (asked === model.value) found.replaceChildren(found_table(items, history));
  };
  const run = async () => {
    const body = {
      model: model.value,
      history: history.events(),
      top_k: Number(top.value),
      diversity: Number(diversity.value),
    };
    if (interest.value.trim() !== "") body.interest = interest.value;
    const answer = await call("POST", "v1/recommend", body);
    if (body.model === model.value) out.replaceChildren(recommend_answer(body, answer, history.name));
  };
  const submit = event => {
    event.preventDefault();
    if (words.value.trim() !== "") attempt(look, find);
  };
  const start = button("run", () => attempt(start, run), {class: "main"});
  model.addEventListener("change", () => {
    history.clear();
    found.replaceChildren();
    out.replaceChildren();
  });
  main.append(
    make("div", {class: "row"}, field("model", model)),
    make(
      "div",
      {class: "columns"},
      make(
        "section",
        {},
        make("h2", {}, word("find")),
        make("form", {class: "row", onsubmit: submit}, words, look),
        found,
      ),
      make("section", {}, make("h2", {}, word("history")), history.list),
    ),
    make("h2", {}, word("interest")),
    make("div", {class: "row"}, interest, field("how_many", top), field("diversity", diversity), start),
    make("h2", {}, word("ranked")),
    out,
  );
}
