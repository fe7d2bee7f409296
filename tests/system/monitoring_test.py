#!/usr/bin/env python3
"""Dashboard and alerts: every metric they name is one of a live daemon, and Prometheus understands both."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from daemon import SOURCE, Daemon, ask
from tap import Skip, check, run

ALERTS = f"{SOURCE}/docs/alerts.yml"
DASHBOARD = f"{SOURCE}/docs/grafana-attentd.json"
NAME = re.compile(r"\b(?:attentd|process)_\w+")
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$job": "attentd"}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def expressions():
    """(where, PromQL) of all panels and alerts."""
    for panel in json.loads(read(DASHBOARD))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression
    for name, expression in re.findall(r"- alert: (\w+)\n(?: +#.*\n)? +expr: ((?:.|\n)+?)\n +(?:for|labels):",
                                       read(ALERTS)):
        yield name, re.sub(r"\s+", " ", expression.removeprefix(">")).strip()


def live_metrics():
    """The text of /metrics after some traffic."""
    # The first hundred answers are the reference of drift, the next ones are compared with it.
    with Daemon("drift_window = 100") as daemon:
        many = json.dumps({"model": "sentiment", "input": ["good"] * 200})
        for body in (many, "{"):
            ask(daemon.address, "POST", "/v1/classify", body)
        for _ in range(200):
            ask(daemon.address, "POST", "/v1/reply", '{"question":"good"}')
        return ask(daemon.address, "GET", "/metrics")[2].decode()


def test_metrics_exist():
    text = live_metrics()
    known = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    # Histograms are asked for by the names of their samples.
    known |= set(re.findall(r"^([a-z_]+)[{ ]", text, re.M))
    pairs = list(expressions())
    check(len(pairs) > 20, f"only {len(pairs)} expressions were found")
    for where, expression in pairs:
        bare = re.sub(r'"[^"]*"', '""', expression)
        for name in NAME.findall(bare):
            check(name in known, f"{where}: {name} is no metric")
        for name, labels in re.findall(r"\b(attentd_\w+)\{([^}]*)\}", expression):
            lines = [x for x in text.splitlines() if x.startswith(name + "{")]
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
                if label not in ("job", "instance"):
                    check(any(f'{label}="{value}"' in x for x in lines), f'{where}: {name} has no {label}="{value}"')


def test_panels_are_sound():
    panels = json.loads(read(DASHBOARD))["panels"]
    check(len({p["id"] for p in panels}) == len(panels), "two panels have one id")
    cells = [(p["gridPos"]["x"] + i, p["gridPos"]["y"] + k) for p in panels
             for i in range(p["gridPos"]["w"]) for k in range(p["gridPos"]["h"])]
    check(len(set(cells)) == len(cells) and all(0 <= x < 24 for x, _ in cells), "panels lie on each other")
    check(all(p["targets"] for p in panels), "a panel without a query")


def test_rules():
    if not shutil.which("promtool"):
        raise Skip("no promtool")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "alerts_test.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(read(f"{SOURCE}/tests/system/alerts.yml").replace("ALERTS", ALERTS))
        for command in (["promtool", "check", "rules", ALERTS], ["promtool", "test", "rules", path]):
            result = subprocess.run(command, text=True, capture_output=True)
            check(result.returncode == 0, result.stdout + result.stderr)


def test_metrics_are_well_formed():
    if not shutil.which("promtool"):
        raise Skip("no promtool")
    result = subprocess.run(["promtool", "check", "metrics"], input=live_metrics(), text=True, capture_output=True)
    # Microseconds where Prometheus would have seconds: kept, the names are a contract.
    complaints = [x for x in (result.stdout + result.stderr).splitlines() if "use base unit" not in x]
    check(not complaints, "\n".join(complaints))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expression}: {error.read().decode()}") from error


def test_scrape():
    """A real Prometheus reads a real daemon, and answers every query of the dashboard and the alerts."""
    if not shutil.which("prometheus"):
        raise Skip("no prometheus")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, Daemon() as daemon:
        ask(daemon.address, "POST", "/v1/classify", '{"model":"sentiment","input":"good"}')
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
                    f"rule_files: ['{ALERTS}']\n"
                    "scrape_configs:\n  - job_name: attentd\n    static_configs: [{targets: ['%s:%d']}]\n"
                    % daemon.address)
        with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log:
            prometheus = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
            try:
                until = time.monotonic() + 30
                found = []
                while not found and time.monotonic() < until:
                    time.sleep(0.2)
                    try:
                        found = query(port, 'up{job="attentd"} == 1')
                    except (OSError, AssertionError):
                        check(prometheus.poll() is None, "prometheus ended")
                log.seek(0)
                check(found, f"nothing was scraped: {log.read()}")
                for _, expression in expressions():
                    query(port, expression)
                check(query(port, "sum(attentd_tokens_total)")[0]["value"][1] != "0", "no token was counted")
            finally:
                prometheus.terminate()
                prometheus.wait()


run(test_metrics_exist, test_panels_are_sound, test_rules, test_metrics_are_well_formed, test_scrape)
