/* What the views share. Everything an answer holds goes into the page as text, never as markup. */

/* make("td", {class: "number", onclick: f}, child, …): children are nodes, texts or nothing. */
function make(tag, attributes = {}, ...children) {
  const node =
    tag === "svg" || SVG_TAGS.has(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(child => child !== undefined && child !== null && child !== false));
  return node;
}
const SVG_TAGS = new Set(["g", "rect", "line", "path", "text"]);

function table(columns, rows) {
  if (rows.length === 0) return make("p", {class: "faint"}, word("none_yet"));
  return make(
    "div",
    {class: "scroll"},
    make(
      "table",
      {},
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          columns.map(name => make("th", {scope: "col"}, name)),
        ),
      ),
      make(
        "tbody",
        {},
        rows.map(cells =>
          make(
            "tr",
            {},
            cells.map(cell =>
              cell instanceof Node && cell.tagName === "TD"
                ? cell
                : make("td", {class: typeof cell === "number" ? "number" : null}, cell),
            ),
          ),
        ),
      ),
    ),
  );
}

const number = value => make("td", {class: "number"}, String(value));
const chip = (name, text = word(name)) => make("span", {class: "chip " + name}, text);
const field = (name, input) => make("label", {}, make("small", {}, word(name) + " "), input);
const button = (name, act, attributes = {}) =>
  make("button", {type: "button", onclick: act, ...attributes}, word(name));
const choice = (pairs, attributes = {}) =>
  make(
    "select",
    attributes,
    pairs.map(([value, name]) => make("option", {value}, name)),
  );
const percent = share => (100 * share).toFixed(1) + " %";

/* share: of the whole length, 0 to 1 */
function bar(share) {
  const filled = make("i");
  filled.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return make("div", {class: "track"}, filled);
}

/* Rows of [name, share, what stands behind the bar] */
const bars = rows =>
  make(
    "div",
    {class: "bars"},
    rows.map(([name, share, label]) => [make("span", {}, name), bar(share), make("span", {class: "number"}, label)]),
  );

/* The text with its words coloured by their weights; offsets count bytes of UTF-8. */
function coloured(text, tokens) {
  const bytes = new TextEncoder().encode(text),
    decoder = new TextDecoder();
  const largest = Math.max(...tokens.map(token => Math.abs(token.weight)), 1e-9);
  const line = make("p", {class: "tokens"});
  let at = 0;
  for (const token of tokens.filter(each => each.end > each.start).sort((a, b) => a.start - b.start)) {
    if (token.start < at) continue;
    const share = token.weight / largest;
    const span = make(
      "span",
      {title: token.weight.toPrecision(3)},
      decoder.decode(bytes.slice(token.start, token.end)),
    );
    span.style.background = `rgb(${share < 0 ? "220 60 60" : "60 120 230"} / ${(0.6 * Math.abs(share)).toFixed(3)})`;
    line.append(decoder.decode(bytes.slice(at, token.start)), span);
    at = token.end;
  }
  line.append(decoder.decode(bytes.slice(at)));
  return line;
}

function notice(text) {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.hidden = text === "";
}

/* ---- calls: paths are relative, so that the page also works behind a proxy's prefix ---- */

function headers(more = {}) {
  const key = sessionStorage.getItem("key");
  return key ? {...more, Authorization: "Bearer " + key} : more;
}

/* The response, whose status is good; otherwise throws what the daemon said. */
async function ask(method, path, body, signal) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      cache: "no-store",
      headers: headers(body === undefined ? {} : {"Content-Type": "application/json"}),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Error(word("unreachable"));
  }
  if (response.ok) return response;
  let said = response.status + " " + response.statusText;
  try {
    said = (await response.json()).error.message;
  } catch {
    /* no JSON: a proxy's page */
  }
  throw new Error(response.status === 401 ? word("key_wanted") : said);
}

async function call(method, path, body) {
  return (await ask(method, path, body)).json();
}

/* The request as a line for the shell, and the answer as it came. */
function wire(path, body, answer) {
  const key = sessionStorage.getItem("key") ? " -H 'Authorization: Bearer KEY'" : "";
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return make(
    "details",
    {},
    make("summary", {}, word("as_request")),
    make("pre", {}, `curl${key} ${new URL(path, location.href)} --json '${json}'`),
    make("pre", {}, JSON.stringify(answer, null, 1)),
  );
}

/* Runs what a button does, once at a time; what goes wrong is told at the top of the page. */
async function attempt(control, act) {
  control.disabled = true;
  notice("");
  try {
    await act();
  } catch (problem) {
    if (problem.name !== "AbortError") notice(problem.message);
  } finally {
    control.disabled = false;
  }
}

/* Models that serve one of the tasks, as a choice. */
async function model_choice(...tasks) {
  const list = (await call("GET", "v1/models")).data.filter(
    model => tasks.includes(model.task) && model.status === "serving",
  );
  return choice(list.map(model => [model.id, model.id]));
}
