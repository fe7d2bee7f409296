/* The tabs, the language and the key; one view at a time. */

const VIEWS = {overview: view_overview, news: view_news, replies: view_replies, recommend: view_recommend};
let leave = null,
  shown = 0;

async function show() {
  const name = Object.hasOwn(VIEWS, location.hash.slice(1)) ? location.hash.slice(1) : "overview";
  const turn = ++shown,
    place = make("div");
  leave?.();
  leave = null;
  notice("");
  document.documentElement.lang = chinese ? "zh-CN" : "en";
  document.getElementById("language").textContent = word("other_language");
  document.querySelector('[data-word="key"]').textContent = word("key");
  document.getElementById("tabs").replaceChildren(
    ...Object.keys(VIEWS).map(each =>
      make(
        "button",
        {
          type: "button",
          "aria-current": each === name && "page",
          onclick: () => {
            location.hash = each;
          },
        },
        word(each),
      ),
    ),
  );
  document.getElementById("main").replaceChildren(place);
  try {
    const left = await VIEWS[name](place);
    if (turn === shown) leave = left;
    else left?.();
  } catch (problem) {
    if (turn === shown) notice(problem.message);
  }
}

document.getElementById("language").addEventListener("click", () => {
  chinese = !chinese;
  localStorage.setItem("language", chinese ? "zh" : "en");
  show();
});
document.getElementById("key").value = sessionStorage.getItem("key") || "";
document.getElementById("key-form").addEventListener("submit", event => {
  event.preventDefault();
  const key = document.getElementById("key").value.trim();
  if (key) sessionStorage.setItem("key", key);
  else sessionStorage.removeItem("key");
  show();
});
window.addEventListener("hashchange", show);
show();
