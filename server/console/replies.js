/* A dialogue with a knowledge base: what would be said, on what ground, and whether that was right. */

const CONTEXT_TURNS = 8;

function reply_feedback(answer, question) {
  const choices = make("fieldset", {class: "row"});
  const say = type =>
    attempt(choices, async () => {
      const {id, kb, answers} = answer;
      await call("POST", "v1/feedback", {type, reply: id, kb, entry: answers[0].id, question});
      choices.replaceChildren(make("small", {}, word("noted")));
    });
  choices.append(
    make("small", {}, word("was_it")),
    button("right", () => say("accepted")),
    button("wrong", () => say("rejected")),
  );
  return choices;
}

function reply_ground(body, answer) {
  const rows = answer.answers.map(each => [number(each.score.toFixed(3)), each.question, each.answer]);
  const words = answer.explain ? coloured(body.question, answer.explain.tokens) : null;
  const found = table(["score", "entry", "answer"], rows);
  return make("details", {}, make("summary", {}, word("found_entries")), words, found);
}

/* What a generative model made of the entries, or why there is nothing; only where it was asked for. */
function reply_written(answer) {
  const {generated, generate} = answer;
  if (!generate) return null;
  if (generate.withheld) {
    const text = make("details", {}, make("summary", {}, word("withheld_text")), make("p", {}, generate.withheld));
    return make("div", {}, make("small", {}, word("withheld", generate.why)), text);
  }
  if (generated === null) return make("small", {}, word("not_written", generate.why));
  const origin = word("written_by", generate.model, percent(generate.covered));
  return make("div", {}, make("p", {}, generated), make("small", {}, origin));
}

/* choose: called with a question that the customer may ask next */
function reply_turn(body, answer, choose) {
  const best = answer.answers[0];
  const is_answered = answer.decision === "answered";
  const next = (is_answered ? best.prompts : answer.options) || [];
  const ground = best
    ? `${word("confidence")} ${percent(best.confidence)}, ${word("matched")}: ${best.matched || best.question}`
    : "";
  return make(
    "div",
    {class: "turn"},
    make("div", {class: "row"}, chip(answer.decision), make("small", {}, ground)),
    make("p", {}, is_answered ? best.answer : answer.fallback || "–"),
    reply_written(answer),
    is_answered && next.length > 0 ? make("small", {}, word("next_questions")) : null,
    make(
      "div",
      {class: "row"},
      next.map(each => text_button(each.text, () => choose(each.text))),
    ),
    is_answered ? reply_feedback(answer, body.question) : null,
    reply_ground(body, answer),
    wire("v1/reply", body, answer),
  );
}

/* A view: see overview.js. */
function view_replies(main) {
  const turns = make("div", {"aria-live": "polite"});
  const kb = make("input", {placeholder: word("kb_default"), maxlength: 128, size: 16});
  const question = make("input", {
    class: "wide",
    maxlength: 4000,
    "aria-label": word("question"),
    placeholder: word("question"),
  });
  const writes = make("input", {type: "checkbox"});
  const send = make("button", {class: "main"}, word("send"));
  let dialogue = {context: [], previous_id: undefined};

  function begin_anew() {
    dialogue = {context: [], previous_id: undefined};
    turns.replaceChildren();
  }

  async function put(text) {
    const own = dialogue;
    const body = {question: text, context: own.context.slice(-CONTEXT_TURNS), top: 3, explain: "attention"};
    if (kb.value) body.kb = kb.value;
    if (writes.checked) body.generate = true;
    if (own.previous_id !== undefined) body.previous_id = own.previous_id;
    const answer = await call("POST", "v1/reply", body);
    if (dialogue !== own) return; /* another one has begun meanwhile */
    if (question.value.trim() === text) question.value = "";
    const turn = reply_turn(body, answer, choose);
    turns.append(make("div", {class: "turn user"}, make("p", {}, text)), turn);
    own.context.push({role: "user", content: text});
    if (answer.decision === "answered") {
      own.context.push({role: "assistant", content: answer.answers[0].answer});
      own.previous_id = answer.answers[0].id;
    }
    turn.scrollIntoView({block: "nearest"});
  }

  const choose = text => attempt(send, () => put(text));
  const form = make(
    "form",
    {
      class: "row",
      onsubmit: event => {
        event.preventDefault();
        const text = question.value.trim();
        if (text !== "") choose(text);
      },
    },
    question,
    send,
    button("again", begin_anew),
  );
  kb.addEventListener("change", begin_anew);
  main.append(make("div", {class: "row"}, field("kb", kb), field("also_write", writes)), turns, form);
}
