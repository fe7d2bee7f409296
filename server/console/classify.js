/* Any classifier on any text, with the words that its answer rests on. */

const EXAMPLES = {
  finance: "Shares of Northfield plunged 12% after it cut its full-year outlook",
  "finance-zh": "东湖集团下调全年业绩预期，股价盘中大跌12%",
};

function classify_head(name, head) {
  const labels = head.labels ? head.labels.join(", ") : head.label;
  return make(
    "div",
    {},
    make(
      "h2",
      {},
      label_word(name),
      " ",
      labels ? chip(labels, label_word(labels)) : null,
      head.abstained ? [" ", chip("clarify", word("abstained"))] : null,
    ),
    bars(head.scores.slice(0, 5).map(each => [label_word(each.label), each.score, percent(each.score)])),
  );
}

function classify_answer(text, body, answer) {
  const data = answer.data[0],
    explain = data.explain;
  return [
    make(
      "div",
      {class: "columns"},
      Object.entries(data.heads).map(([name, head]) => classify_head(name, head)),
    ),
    explain
      ? [
          make(
            "h2",
            {},
            explain.label
              ? word("explained", label_word(explain.label), label_word(explain.head))
              : word("explained_attention"),
          ),
          coloured(text, explain.tokens),
          explain.label ? make("small", {}, word("weight_sign")) : null,
        ]
      : null,
    wire("v1/classify", body, answer),
  ].flat();
}

async function classify_panel() {
  const model = await model_choice("classify");
  if (chinese && [...model.options].some(option => option.value === "finance-zh")) model.value = "finance-zh";
  const text = make("textarea", {maxlength: 100000, "aria-label": word("text")}, EXAMPLES[model.value] || "");
  const why = choice(["none", "attention", "rollout", "occlusion"].map(name => [name, word("explain_" + name)]));
  const out = make("div");
  const run = button(
    "run",
    () =>
      attempt(run, async () => {
        const body = {model: model.value, input: text.value, explain: why.value, windows: {}};
        out.replaceChildren(
          ...classify_answer(text.value, body, await call("POST", "v1/classify", body)).filter(Boolean),
        );
      }),
    {class: "main"},
  );
  why.value = "occlusion";
  model.addEventListener("change", () => {
    text.value = EXAMPLES[model.value] || text.value;
  });
  return make(
    "section",
    {},
    make("h2", {}, word("classify")),
    make("div", {class: "row"}, field("model", model), field("why", why), run),
    text,
    out,
  );
}
