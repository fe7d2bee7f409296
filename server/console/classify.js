/* Any classifier on any text, with the words that its answer rests on. */

const EXAMPLES = {
  finance: "Shares of Northfield plunged 12% after it cut its full-year outlook",
  "finance-zh": "东湖集团下调全年业绩预期，股价盘中大跌12%",
};

function classify_head(name, head) {
  const labels = (head.labels || [head.label]).map(label => [chip(label, label_word(label)), " "]);
  const scores = head.scores.slice(0, 5).map(each => [label_word(each.label), each.score, percent(each.score)]);
  const abstained = head.abstained ? chip("clarify", word("abstained")) : null;
  return make("div", {}, make("h2", {}, label_word(name), " ", labels, abstained), bars(scores));
}

function classify_explanation(text, explain) {
  const title = explain.label
    ? word("explained", label_word(explain.label), label_word(explain.head))
    : word("explained_attention");
  const legend = explain.label ? make("small", {}, word("weight_sign")) : null;
  return [make("h2", {}, title), coloured(text, explain.tokens), legend];
}

function classify_answer(body, answer) {
  const {heads, explain} = answer.data[0];
  return make(
    "div",
    {},
    make(
      "div",
      {class: "columns"},
      Object.entries(heads).map(([name, head]) => classify_head(name, head)),
    ),
    explain ? classify_explanation(body.input, explain) : null,
    wire("v1/classify", body, answer),
  );
}

async function classify_panel() {
  const model = await model_choice("classify");
  if (model === null) return faint(word("no_classifier"));
  if (chinese && [...model.options].some(option => option.value === "finance-zh")) model.value = "finance-zh";
  const text = make("textarea", {maxlength: 100000, "aria-label": word("text")}, EXAMPLES[model.value] || "");
  const methods = ["none", "attention", "rollout", "occlusion"];
  const why = choice(methods.map(name => [name, word("explain_" + name)]));
  const out = make("div", {"aria-live": "polite"});
  const run = async () => {
    const body = {model: model.value, input: text.value, explain: why.value, windows: {}};
    out.replaceChildren(classify_answer(body, await call("POST", "v1/classify", body)));
  };
  why.value = "occlusion";
  model.addEventListener("change", () => {
    if (text.value === "" || Object.values(EXAMPLES).includes(text.value)) text.value = EXAMPLES[model.value] || "";
  });
  const start = button("run", () => attempt(start, run), {class: "main"});
  return [make("div", {class: "row"}, field("model", model), field("why", why), start), text, out];
}
