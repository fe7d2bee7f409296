#!/usr/bin/env python3
"""The console page in a browser, against a live daemon: every view does its work, in both languages, says what it
cannot have, comes back after the daemon, and what texts and answers hold never becomes markup."""
import hashlib
import json
import os
import re
import tempfile

from browser import Page, find
from daemon import SOURCE, Daemon, ask, listener
from tap import check, run

HOSTILE = "<img src=x onerror=alert(1)>"
SEEN = "[...document.querySelectorAll('.view')].find(each => !each.hidden)"
SETTINGS = """[news]
path = {folder}/news.db
model = sentiment
model_zh = none
[alert any]
level = red
subject = all
items_min = {least}
cooldown_minutes = 0
"""
WRITING = """[model tiny]
path = {source}/tests/data/models/tiny-chat
[kb written]
path = {folder}/written.db
model = encoder
generator = tiny
generated_cover_min = 0
"""


class Console:
    """A page of a daemon, closed with it."""

    def __init__(self, settings="", language="en-GB"):
        find()
        self.daemon = Daemon(settings)
        self.url = "http://%s:%d/" % self.daemon.address
        try:
            self.page = Page(language)
        except BaseException:
            self.daemon.__exit__(Exception)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.page.close()
        self.daemon.__exit__(kind)

    def post(self, method, path, body):
        status, _, said = ask(self.daemon.address, method, path, json.dumps(body))
        check(status == 200, said)
        return json.loads(said)

    def view(self, name, selector):
        self.page.open(self.url + "#" + name)
        self.page.wait(f"document.readyState === 'complete' && document.querySelector({json.dumps(selector)})")

    def fill(self, selector, value):
        self.page.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")

    def press(self, name, times=1):
        self.page.run(f"[...{SEEN}.querySelectorAll('button')].filter(each => each.textContent === {json.dumps(name)})"
                      f".slice(0, 1).forEach(each => {{ for (let i = 0; i < {times}; i++) each.click() }})")

    def shows(self, *texts):
        for text in texts:
            self.page.wait(f"{SEEN}.innerText.includes({json.dumps(text)})")

    def text(self):
        return self.page.run(SEEN + ".innerText")

    def count(self, selector):
        return self.page.run(f"document.querySelectorAll({json.dumps(selector)}).length")

    def is_clean(self):
        notices = self.page.run("[...document.querySelectorAll('.notice')].map(each => each.textContent).join('')")
        check(notices == "", f"the page says: {notices}")
        # A status that is no success is told by the browser too; that is the daemon's answer and no fault of the page.
        said = [each for each in self.page.said if each.get("entry", {}).get("source") != "network"]
        check(not said, f"the browser says: {said}")
        check(not re.search(r"\[object|undefined|NaN", self.text()), self.text())


def test_overview():
    with Console() as console:
        console.view("overview", ".card")
        console.shows("ready", "sentiment", "encoder", "movies", "Running for")
        console.press("encoder")
        console.shows("hidden_size")
        console.post("POST", "/v1/classify", {"model": "sentiment", "input": "rose"})
        console.shows("POST /v1/classify")
        console.shows("hidden_size")
        console.is_clean()


def test_classifies_and_explains():
    with Console() as console:
        console.view("news", "textarea")
        text = "shares rose 5% — " + HOSTILE + " 股价上涨 😀"
        console.fill("textarea", text)
        console.press("Run", times=2)
        console.page.wait("document.querySelector('.bars') && document.querySelector('.tokens')")
        shown = console.page.run("document.querySelector('.tokens').textContent")
        check(shown == text, f"coloured words give another text: {shown!r}")
        check(console.count(".tokens span") > 5, "no words are coloured")
        check(console.count("main img") == 0, "a text became markup")
        check("curl http" in console.page.run("document.querySelector('main pre').textContent"), "no request is shown")
        console.shows("no news store is configured")
        console.is_clean()


def test_news_report_and_alerts():
    with tempfile.TemporaryDirectory() as folder, Console(SETTINGS.format(folder=folder, least=4)) as console:
        urls = ["javascript:alert(1)", "https://news.example/1", "https://news.example/2"]
        items = [{"id": f"n{i}", "source": "wire", "text": f"{HOSTILE} item number {i} rose", "url": url}
                 for i, url in enumerate(urls)]
        console.post("POST", "/v1/ingest", {"items": items})
        console.view("news", "svg.chart")
        console.shows("live", HOSTILE)
        links = console.page.run("[...document.querySelectorAll('main a')].map(each => each.href)")
        check(sorted(links) == urls[1:], f"links: {links}")
        console.post("POST", "/v1/ingest", {"items": [{"id": "more", "text": "one more"}]})
        console.page.wait("document.querySelector('.chip.red')")
        console.press("Write the report")
        console.page.wait("!document.querySelector('iframe').hidden")
        report = console.page.run("document.querySelector('iframe').srcdoc")
        check("<svg" in report and HOSTILE not in report, "no report, or one with the text as markup")
        sandbox = console.page.run("document.querySelector('iframe').getAttribute('sandbox')")
        check("allow-scripts" not in sandbox and "allow-same-origin" not in sandbox, sandbox)
        console.is_clean()


def test_comes_back_after_the_daemon():
    page = Page()
    socket = listener()
    url = "http://%s:%d/" % socket.getsockname()
    with tempfile.TemporaryDirectory() as folder:
        settings = SETTINGS.format(folder=folder, least=2)
        try:
            with Daemon(settings, sockets=[(socket, "http")]):
                page.open(url + "#overview")
                page.wait("document.querySelector('.card b.positive')")
                page.open(url + "#news")
                page.wait("[...document.querySelectorAll('.chip')].some(each => each.textContent === 'live')")
            page.wait("document.body.innerText.includes('not connected')")
            with Daemon(settings, sockets=[(socket, "http")]) as second:
                page.wait("[...document.querySelectorAll('.chip')].some(each => each.textContent === 'live')")
                ask(second.address, "POST", "/v1/ingest", '[{"text":"after the restart"},{"text":"one more"}]')
                page.wait("document.querySelector('.chip.red')")
                page.open(url + "#overview")
                page.wait("!document.querySelector('.view').hidden")
            page.wait("document.querySelector('.card b.negative')")
            with Daemon(settings, sockets=[(socket, "http")]):
                page.wait("document.querySelector('.card b.positive')")
                page.open("about:blank")
        finally:
            page.close()
            socket.close()


def test_dialogue():
    entries = [{"id": 1, "question": "How do I return an item?", "prompts": [2], "answer": "Print the label. " + HOSTILE},
               {"id": 2, "question": "How long does a refund take?", "answer": "Five days."}]
    with Console() as console:
        console.post("PUT", "/v1/kb/default", {"entries": entries})
        console.view("replies", "form.row input.wide")
        console.fill("form.row input.wide", entries[0]["question"])
        console.press("Send")
        console.shows("Print the label. " + HOSTILE)
        console.press(entries[1]["question"], times=2)
        console.shows("Five days.")
        check(console.count(".turn") == 4, f"{console.count('.turn')} turns: a double click asks twice")
        console.press("yes", times=2)
        console.shows("noted")
        console.is_clean()
        console.view("overview", ".card")
        console.view("replies", ".turn")
        console.press("New dialogue")
        check(console.count(".turn") == 0, "the dialogue stays")


def test_an_answer_that_was_not_given_is_not_judged():
    with Console() as console:
        console.view("replies", "form.row input.wide")
        console.fill("form.row input.wide", "How do I pay?")
        console.press("Send")
        console.page.wait("document.querySelector('.chip.handoff')")
        check("Was that right?" not in console.text(), console.text())


def test_what_a_model_writes_is_shown_with_its_ground():
    entries = [{"id": 1, "question": "How can I pay?", "answer": "By card."}]
    with tempfile.TemporaryDirectory() as folder, Console(WRITING.format(source=SOURCE, folder=folder)) as console:
        for kb in ("default", "written"):
            console.post("PUT", "/v1/kb/" + kb, {"entries": entries})
        console.view("replies", "form.row input.wide")
        console.page.run(f"{SEEN}.querySelector('input[type=checkbox]').click()")
        for kb, shown in (("default", "Nothing written: no generative model is configured for this knowledge base"),
                          ("written", "written by tiny from what was found")):
            console.page.run(f"{SEEN}.querySelector('input[maxlength=\"128\"]').value = '{kb}'")
            console.fill("form.row input.wide", entries[0]["question"])
            console.press("Send")
            console.shows(shown)
        console.is_clean()


def test_recommends():
    with Console() as console:
        popular = console.post("POST", "/v1/recommend", {"top_k": 1, "history": []})["items"][0]["id"]
        console.view("recommend", ".columns form input")
        console.fill(".columns form input", popular)
        console.press("Find")
        console.page.wait("document.querySelector('td button')")
        console.press("add")
        console.shows("remove")
        console.press("Run")
        console.page.wait("document.querySelectorAll('.scored').length === 10")
        console.shows("sequence", "100.0 %")
        console.is_clean()


def test_speaks_chinese():
    with Console(language="zh-CN") as console:
        console.view("overview", ".card")
        console.shows("就绪")
        check(console.page.run("document.documentElement.lang") == "zh-CN", "the page does not say its language")
        console.page.run("document.getElementById('language').click()")
        console.shows("Answered since the start")
        console.is_clean()


def test_asks_for_a_key():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keys")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"reader {hashlib.sha256(b'secret').hexdigest()} infer\n")
        os.chmod(path, 0o600)
        with Console(f"api_keys = {path}\n") as console:
            console.page.open(console.url)
            console.page.wait("document.readyState === 'complete' && document.querySelector('.view')")
            console.shows("An API key is needed")
            for key, said in (("wrong", "not known here"), ("secret", "sentiment")):
                console.fill("#key", key)
                console.page.run("document.getElementById('key-form').requestSubmit()")
                console.shows(said)
            console.fill("#key", "schlüssel")
            console.page.run("document.getElementById('key-form').requestSubmit()")
            console.page.wait(SEEN + ".querySelector('.notice').textContent.includes('not known here')")


def test_topics_are_called_as_in_reports():
    def words(path, pattern):
        with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
            return {name: (english, chinese) for name, english, chinese in re.findall(pattern, f.read())}
    report = words("news/words.c", r'\{"(\w+)", "([^"]+)", "([^"]+)"\}')
    page = words("server/console/words.js", r'(\w+): \["([^"]+)", "([^"]+)"\]')
    both = set(report) & set(page) - {"event", "topic", "source", "all", "time"}
    check(len(both) > 30, f"only {both} are in both")
    for name in both:
        check(report[name] == page[name], f"{name}: {report[name]} in reports, {page[name]} on the page")
    missing = [name for name in report if name.startswith(("analyst", "energy", "treasuries")) and name not in page]
    check(not missing, f"topics without a word on the page: {missing}")


run(test_overview, test_classifies_and_explains, test_news_report_and_alerts, test_comes_back_after_the_daemon,
    test_dialogue, test_an_answer_that_was_not_given_is_not_judged, test_what_a_model_writes_is_shown_with_its_ground,
    test_recommends, test_speaks_chinese, test_asks_for_a_key, test_topics_are_called_as_in_reports)
