#!/usr/bin/env python3
"""The console page in a browser, against a live daemon: every view does its work, in both languages, and what texts
and answers hold never becomes markup."""
import hashlib
import json
import os
import re
import tempfile

from browser import Page, find
from daemon import SOURCE, Daemon, ask
from tap import check, run

HOSTILE = "<img src=x onerror=alert(1)>"
PRESS = "[...document.querySelectorAll('main button')].find(each => each.textContent === {!r}).click()"


class Console:
    """A page of a daemon, closed with it."""

    def __init__(self, settings="", language="en-GB"):
        find()
        self.daemon = Daemon(settings)
        self.page = Page(language)
        self.url = "http://%s:%d/" % self.daemon.address

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.page.close()
        self.daemon.__exit__(kind)

    def view(self, name, ready):
        self.page.open("about:blank")
        self.page.open(self.url + "#" + name)
        self.page.wait(f"location.href.startsWith('http') && document.readyState === 'complete' && ({ready})")

    def fill(self, selector, value):
        self.page.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")

    def press(self, name):
        self.page.run(PRESS.format(name))

    def text(self):
        return self.page.run("document.getElementById('main').innerText")

    def is_clean(self):
        notice = self.page.run("document.getElementById('notice').textContent")
        check(notice == "", f"the page says: {notice}")
        # A status that is no success is told by the browser too; that is the daemon's answer and no fault of the page.
        said = [each for each in self.page.said if each.get("entry", {}).get("source") != "network"]
        check(not said, f"the browser says: {said}")
        check("[object" not in self.text() and "undefined" not in self.text(), self.text())


def news_of(folder):
    return (f"[news]\npath = {folder}/news.db\nmodel = sentiment\nmodel_zh = none\n"
            "[alert any]\nlevel = red\nsubject = all\nitems_min = 4\n")


def test_overview():
    with Console() as console:
        console.view("overview", "document.querySelector('.cards')")
        text = console.text()
        for wanted in ("ready", "sentiment", "encoder", "movies", "GET /v1/models"):
            check(wanted in text, f"{wanted} is not in: {text}")
        console.press("encoder")
        console.page.wait("document.querySelector('main pre')?.textContent.includes('hidden_size')")
        console.is_clean()


def test_classifies_and_explains():
    with Console() as console:
        console.view("news", "document.querySelector('textarea')")
        text = "shares rose 5% — " + HOSTILE + " 股价上涨 😀"
        console.fill("textarea", text)
        console.press("Run")
        console.page.wait("document.querySelector('.bars') && document.querySelector('.tokens')")
        shown = console.page.run("document.querySelector('.tokens').textContent")
        check(shown == text, f"coloured words give another text: {shown!r}")
        check(console.page.run("document.querySelectorAll('.tokens span').length") > 5, "no words are coloured")
        check(console.page.run("document.querySelectorAll('main img').length") == 0, "a text became markup")
        check("curl http" in console.page.run("document.querySelector('main pre').textContent"), "no request is shown")
        console.is_clean()


def test_news_report_and_alerts():
    with tempfile.TemporaryDirectory() as folder:
        with Console(news_of(folder)) as console:
            urls = ["javascript:alert(1)", "https://news.example/1", "https://news.example/2"]
            lines = [{"id": f"n{i}", "source": "wire", "text": f"{HOSTILE} item number {i} rose", "url": url}
                     for i, url in enumerate(urls)]
            status, _, said = ask(console.daemon.address, "POST", "/v1/ingest", json.dumps({"items": lines}))
            check(status == 200, said)
            console.view("news", "document.querySelector('svg.chart') && document.querySelector('iframe')")
            console.page.wait("document.querySelector('.chip.positive')?.textContent === 'live' || "
                              "[...document.querySelectorAll('h2 .chip')].some(each => each.textContent === 'live')")
            check(HOSTILE in console.text(), "the news is not listed")
            links = console.page.run("[...document.querySelectorAll('main a')].map(each => each.href)")
            check(sorted(links) == urls[1:], f"links: {links}")
            ask(console.daemon.address, "POST", "/v1/ingest", '{"id":"more","text":"one more"}')
            console.page.wait("document.querySelector('.chip.red')")
            console.press("Write the report")
            console.page.wait("!document.querySelector('iframe').hidden")
            report = console.page.run("document.querySelector('iframe').srcdoc")
            check("<svg" in report and HOSTILE not in report, "no report, or one with the text as markup")
            sandbox = console.page.run("document.querySelector('iframe').getAttribute('sandbox')")
            check(sandbox == "", f"its sandbox allows: {sandbox}")
            console.is_clean()


def test_dialogue():
    with Console() as console:
        entries = [{"id": 1, "question": "How do I return an item?", "answer": "Print the label. " + HOSTILE,
                    "prompts": [2]},
                   {"id": 2, "question": "How long does a refund take?", "answer": "Five days."}]
        status, _, said = ask(console.daemon.address, "PUT", "/v1/kb/default", json.dumps({"entries": entries}))
        check(status == 200, said)
        console.view("replies", "document.querySelector('form.row input')")
        console.fill("form.row input", "How do I return an item?")
        console.press("Send")
        console.page.wait("document.querySelectorAll('.turn').length === 2")
        check("Print the label. " + HOSTILE in console.text(), console.text())
        console.press("How long does a refund take?")
        console.page.wait("document.querySelectorAll('.turn').length === 4")
        check("Five days." in console.text(), console.text())
        console.press("yes")
        console.page.wait("document.querySelector('.turn').parentNode.innerText.includes('noted')")
        console.is_clean()
        console.press("New dialogue")
        console.page.wait("document.querySelectorAll('.turn').length === 0")


def test_recommends():
    with Console() as console:
        _, _, popular = ask(console.daemon.address, "POST", "/v1/recommend", '{"top_k":1,"history":[]}')
        console.view("recommend", "document.querySelector('form.row input')")
        console.fill("form.row input", json.loads(popular)["items"][0]["id"])
        console.press("Find")
        console.page.wait("document.querySelector('td button')")
        console.press("add")
        console.page.wait("[...document.querySelectorAll('td button')].some(each => each.textContent === 'remove')")
        console.press("Run")
        console.page.wait("document.querySelectorAll('.scored').length === 10")
        check("sequence" in console.text() and "100.0 %" in console.text(), console.text())
        console.is_clean()


def test_speaks_chinese():
    with Console(language="zh-CN") as console:
        console.view("overview", "document.querySelector('.cards')")
        check("就绪" in console.text() and console.page.run("document.documentElement.lang") == "zh-CN", console.text())
        console.page.run("document.getElementById('language').click()")
        console.page.wait("document.getElementById('main').innerText.includes('Answered since the start')")
        console.is_clean()


def test_asks_for_a_key():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keys")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"reader {hashlib.sha256(b'secret').hexdigest()} infer\n")
        os.chmod(path, 0o600)
        with Console(f"api_keys = {path}\n") as console:
            console.page.open(console.url)
            console.page.wait("document.getElementById('notice')?.textContent.includes('API key')")
            console.fill("#key", "secret")
            console.page.run("document.getElementById('key-form').requestSubmit()")
            console.page.wait("document.querySelector('.cards')")
            check(console.page.run("document.getElementById('notice').hidden"), "the notice stays")


def test_topics_are_called_as_in_reports():
    def words(path, pattern):
        with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
            return {name: (english, chinese) for name, english, chinese in re.findall(pattern, f.read())}
    report = words("news/words.c", r'\{"(\w+)", "([^"]+)", "([^"]+)"\}')
    page = words("server/console/words.js", r'(\w+): \["([^"]+)", "([^"]+)"\]')
    topics = [name for name in report if name.startswith(("analyst", "energy", "treasuries"))]
    check(len(topics) == 3, topics)
    for name in set(report) & set(page):
        if name not in ("event", "topic", "source", "all", "time"):
            check(report[name] == page[name], f"{name}: {report[name]} in reports, {page[name]} on the page")
    for name in topics:
        check(name in page, f"{name} has no word on the page")


run(test_overview, test_classifies_and_explains, test_news_report_and_alerts, test_dialogue, test_recommends,
    test_speaks_chinese, test_asks_for_a_key, test_topics_are_called_as_in_reports)
