/* The tabs, the language and the key. A view is built when it is first wanted, and keeps what is in it. */

const VIEWS = {overview: view_overview, news: view_news, replies: view_replies, recommend: view_recommend};
/* name: {button, place, built (a promise of {resume, pause} or nothing), is_stale (build it anew), is_running} */
const tabs = {};
let current = null;

function build(tab, view) {
  const place = make("div", {class: "view"}, make("p", {class: "notice", role: "alert"}));
  tab.built?.then(built => built?.pause?.());
  tab.place?.remove();
  document.getElementById("main").append(place);
  Object.assign(tab, {place, is_stale: false, is_running: false});
  tab.built = Promise.resolve(view(place)).catch(problem => {
    tab.is_stale = true;
    tell(place, problem.message);
  });
}

/* Polls and streams run in the view that is seen, and in no other. */
async function settle(tab) {
  const promise = tab.built;
  const built = await promise;
  const is_seen = tab === current && !document.hidden;
  if (promise !== tab.built || is_seen === tab.is_running) return;
  tab.is_running = is_seen;
  (is_seen ? built?.resume : built?.pause)?.();
}

function show() {
  const name = Object.hasOwn(VIEWS, location.hash.slice(1)) ? location.hash.slice(1) : "overview";
  const left = current;
  current = tabs[name];
  if (current.built === undefined || current.is_stale) build(current, VIEWS[name]);
  for (const tab of Object.values(tabs)) {
    if (tab.place) tab.place.hidden = tab !== current;
    if (tab === current) tab.button.setAttribute("aria-current", "page");
    else tab.button.removeAttribute("aria-current");
  }
  if (left !== null && left !== current) settle(left);
  settle(current);
}

/* Also where it is shown already: one that failed is built anew. */
function go(name) {
  if (location.hash === "#" + name) show();
  else location.hash = name;
}

/* Everything anew, in the reader's language. */
function begin() {
  const left = Object.values(tabs);
  document.documentElement.lang = chinese ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  document.getElementById("main").replaceChildren();
  for (const name of Object.keys(VIEWS)) tabs[name] = {button: button(name, () => go(name))};
  document.getElementById("tabs").replaceChildren(...Object.values(tabs).map(tab => tab.button));
  current = null;
  show();
  left.filter(tab => tab.built).forEach(settle);
}

document.getElementById("language").addEventListener("click", () => {
  chinese = !chinese;
  keep("localStorage", "language", chinese ? "zh" : "en");
  begin();
});
document.getElementById("key").value = api_key;
document.getElementById("key-form").addEventListener("submit", event => {
  event.preventDefault();
  const text = document.getElementById("key").value.trim();
  if (/[^\x21-\x7e]/.test(text)) return tell(current.place, word("key_unknown"));
  api_key = text;
  keep("sessionStorage", "key", text);
  /* A dialogue and a history stay; what is read with the key is read anew. */
  for (const tab of [tabs.overview, tabs.news]) tab.is_stale = true;
  for (const tab of Object.values(tabs)) if (tab.place) tell(tab.place, "");
  show();
});
window.addEventListener("hashchange", show);
document.addEventListener("visibilitychange", () => settle(current));
begin();
