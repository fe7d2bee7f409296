/* What the views share. Everything an answer holds goes into the page as text, never as markup. */

/* Children are nodes, texts, arrays of them, or nothing (null, false). */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const faint = text => make("p", {class: "faint"}, text);
const number = value => make("td", {class: "number"}, String(value));
const chip = (name, text = word(name)) => make("span", {class: "chip " + name}, text);
const field = (name, input) => make("label", {}, make("small", {}, word(name) + " "), input);
const text_button = (text, act, attributes = {}) => make("button", {type: "button", onclick: act, ...attributes}, text);
const button = (name, act, attributes) => text_button(word(name), act, attributes);
const percent = share => (100 * share).toFixed(1) + " %";

function choice(pairs, attributes = {}) {
  const options = pairs.map(([value, name]) => make("option", {value}, name));
  return make("select", attributes, options);
}

/* columns: names of words. A cell may be a TD of its own, or what goes into one. */
function table(columns, rows) {
  if (rows.length === 0) return faint(word("none_yet"));
  const head = columns.map(name => make("th", {scope: "col"}, word(name)));
  const cell = content => (content instanceof HTMLTableCellElement ? content : make("td", {}, content));
  const body = rows.map(cells => make("tr", {}, cells.map(cell)));
  return make(
    "div",
    {class: "scroll"},
    make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)),
  );
}

/* share: of the whole length, 0 to 1 */
function bar(share) {
  const filled = make("i");
  filled.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return make("div", {class: "track"}, filled);
}

/* Rows of [name, share, what stands behind the bar] */
function bars(rows) {
  const row = ([name, share, label]) => [make("span", {}, name), bar(share), make("span", {class: "number"}, label)];
  return make("div", {class: "bars"}, rows.map(row));
}

/* The text with its words coloured by their weights; offsets count bytes of UTF-8. */
function coloured(text, tokens) {
  const bytes = new TextEncoder().encode(text);
  const decode = (begin, end) => new TextDecoder().decode(bytes.slice(begin, end));
  const largest = Math.max(...tokens.map(token => Math.abs(token.weight)), 1e-9);
  const line = make("p", {class: "tokens"});
  let at = 0;
  for (const token of tokens.filter(each => each.end > each.start).sort((a, b) => a.start - b.start)) {
    if (token.start < at) continue;
    const share = token.weight / largest;
    const span = make("span", {title: token.weight.toPrecision(3)}, decode(token.start, token.end));
    span.style.background = `rgb(${share < 0 ? "220 60 60" : "60 120 230"} / ${(0.6 * Math.abs(share)).toFixed(3)})`;
    line.append(decode(at, token.start), span);
    at = token.end;
  }
  line.append(decode(at, bytes.length));
  return line;
}

/* ---- what the browser keeps: nothing where it does not let us ---- */

function kept(storage, name) {
  try {
    return window[storage].getItem(name) || "";
  } catch {
    return "";
  }
}

function keep(storage, name, value) {
  try {
    window[storage].setItem(name, value);
  } catch {
    /* The page works without. */
  }
}

/* ---- calls: paths are relative, so that the page also works behind a proxy's prefix ---- */

let api_key = kept("sessionStorage", "key");

/* What the daemon said, in its words; status 0: it said nothing. */
class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function refusal_of(response, had_key) {
  const {error} = await response.json().catch(() => ({}));
  if (response.status === 401) return new Refusal(401, word(had_key ? "key_unknown" : "key_wanted"));
  return new Refusal(response.status, error?.message || `${response.status} ${response.statusText}`);
}

/* The response when its status is good; otherwise a Refusal is thrown. */
async function ask(method, path, body, signal) {
  const headers = {};
  if (api_key) headers["X-API-Key"] = api_key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {method, signal, cache: "no-store", headers, body: JSON.stringify(body)}).catch(
    problem => {
      throw problem.name === "AbortError" ? problem : new Refusal(0, word("unreachable"));
    },
  );
  if (!response.ok) throw await refusal_of(response, "X-API-Key" in headers);
  return response;
}

async function call(method, path, body, signal) {
  const response = await ask(method, path, body, signal);
  return response.json().catch(() => {
    throw new Refusal(0, word("unreachable"));
  });
}

/* The request as a line for the shell, and the answer as it came. */
function wire(path, body, answer) {
  const header = api_key ? " -H 'X-API-Key: KEY'" : "";
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return make(
    "details",
    {},
    make("summary", {}, word("as_request")),
    make("pre", {}, `curl${header} ${new URL(path, location.href)} --json '${json}'`),
    make("pre", {}, JSON.stringify(answer, null, 1)),
  );
}

/* ---- what goes wrong is told at the top of the view that it happened in ---- */

function tell(node, text) {
  const line = node.closest(".view")?.querySelector(".notice");
  if (!line) return;
  line.textContent = text;
  if (text !== "") line.scrollIntoView({block: "nearest"});
}

/* Runs what a button does, once at a time. */
async function attempt(control, act) {
  if (control.disabled) return;
  control.disabled = true;
  tell(control, "");
  try {
    await act();
  } catch (problem) {
    tell(control, problem.message);
  } finally {
    control.disabled = false;
  }
}

/* The models that serve a task, as a choice; null: there is none. */
async function model_choice(task) {
  const {data} = await call("GET", "v1/models");
  const names = data.filter(model => model.task === task && model.status === "serving").map(model => model.id);
  return names.length > 0 ? choice(names.map(name => [name, name])) : null;
}
