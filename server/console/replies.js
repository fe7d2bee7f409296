/* A dialogue with a knowledge base: what would be said, on what ground, and whether that was right. */

function reply_feedback(answer, question) {
  const place = make("span");
  const say = type =>
    attempt(place, async () => {
      await call("POST", "v1/feedback", {type, reply: answer.id, kb: answer.kb, entry: answer.answers[0].id, question});
      place.replaceChildren(make("small", {}, word("noted")));
    });
  place.append(
    make("small", {}, word("was_it") + " "),
    button("right", () => say("accepted")),
    " ",
    button("wrong", () => say("rejected")),
  );
  return place;
}

/* Questions that the customer may choose. */
const reply_choices = (list, choose) =>
  make(
    "div",
    {class: "row"},
    list.map(each => make("button", {type: "button", onclick: () => choose(each.text)}, each.text)),
  );

function reply_turn(body, answer, choose) {
  const best = answer.answers[0],
    explain = answer.explain;
  const said = answer.decision === "answered" ? best.answer : answer.fallback || "–";
  const options =
    answer.decision === "clarify" ? answer.options : answer.decision === "answered" ? best.prompts || [] : [];
  return make(
    "div",
    {class: "turn"},
    make(
      "div",
      {class: "row"},
      chip(answer.decision),
      best
        ? make(
            "small",
            {},
            `${word("confidence")} ${percent(best.confidence)}, ${word("matched")}: ${best.matched || best.question}`,
          )
        : null,
    ),
    make("p", {}, said),
    options.length > 0 && answer.decision === "answered" ? make("small", {}, word("next_questions")) : null,
    reply_choices(options, choose),
    best ? reply_feedback(answer, body.question) : null,
    make(
      "details",
      {},
      make("summary", {}, word("candidates")),
      explain ? coloured(body.question, explain.tokens) : null,
      table(
        [word("score"), word("entry"), word("answer")],
        answer.answers.map(each => [number(each.score.toFixed(3)), each.question, each.answer]),
      ),
    ),
    wire("v1/reply", body, answer),
  );
}

/* A view: see overview.js. */
async function view_replies(main) {
  const turns = make("div"),
    context = [];
  const kb = make("input", {placeholder: word("kb_default"), maxlength: 128, size: 12});
  const question = make("input", {
    class: "wide",
    maxlength: 4000,
    "aria-label": word("question"),
    placeholder: word("question"),
  });
  let previous = null;
  const put = async text => {
    const body = {question: text, context: context.slice(-8), top: 3, explain: "attention"};
    if (kb.value) body.kb = kb.value;
    if (previous !== null) body.previous_id = previous;
    const answer = await call("POST", "v1/reply", body);
    const turn = reply_turn(body, answer, choose);
    turns.append(make("div", {class: "turn user"}, make("p", {}, text)), turn);
    context.push({role: "user", content: text});
    if (answer.decision === "answered") {
      context.push({role: "assistant", content: answer.answers[0].answer});
      previous = answer.answers[0].id;
    }
    question.value = "";
    turn.scrollIntoView({block: "nearest"});
  };
  const send = make("button", {class: "main"}, word("send"));
  const choose = text => attempt(send, () => put(text));
  const form = make(
    "form",
    {
      class: "row",
      onsubmit: event => {
        event.preventDefault();
        if (question.value.trim() !== "" && !send.disabled) choose(question.value);
      },
    },
    question,
    send,
    button("again", () => {
      context.length = 0;
      previous = null;
      turns.replaceChildren();
    }),
  );
  main.append(make("div", {class: "row"}, field("kb", kb)), turns, form);
  question.focus();
}
