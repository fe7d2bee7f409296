#!/usr/bin/env python3
"""meson install into an empty root: everything is there, and what was installed runs with what was installed."""
import os
import re
import shutil
import signal
import subprocess
import tempfile

from tap import check, run

SOURCE = os.environ["ATT_SOURCE_ROOT"]
BUILD = os.environ["ATT_BUILD_ROOT"]
PREFIX = os.environ["ATT_PREFIX"]
SYSCONFDIR = os.path.join(PREFIX, os.environ["ATT_SYSCONFDIR"])
ROOT = tempfile.mkdtemp(prefix="attentd-install-")
CONF = f"{SYSCONFDIR}/attentd/attentd.conf"


def inside(path):
    return ROOT + path


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def install():
    # Installing asks no network and changes nothing in the build folder but its log.
    result = subprocess.run([os.environ["ATT_MESON"], "install", "-C", BUILD, "--no-rebuild", "--destdir", ROOT],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout)


def test_tree():
    install()
    units = [f"lib/systemd/system/{x}" for x in (
        "attentd.service", "attentd-standalone.service", "attentd.socket", "attentd-admin.socket")]
    models = [f"share/attentd/models/{x}" for x in (
        "finance/adapter_model.safetensors", "support-intent/attend.json", "movies-sasrec/model.safetensors",
        "support-kb/kb.jsonl", "README.md")]
    pages = [f"share/man/{x}" for x in ("man8/attentd.8", "man1/attend.1", "man5/attentd.conf.5")]
    documents = [f"share/doc/attentd/{x}" for x in ("README.md", "LICENSE", "operations.md", "api.md")]
    for path in ("bin/attentd", "bin/attend", *units, *models, *pages, *documents):
        check(os.path.isfile(inside(f"{PREFIX}/{path}")), f"{path} was not installed")
    check(os.path.isdir(inside(CONF + ".d")), "no folder for drop-ins")
    check(not [x for x in os.listdir(inside(f"{PREFIX}/share/doc/attentd")) if x == "meson.build"], "a build file")


def test_units_name_installed_files():
    for unit in ("attentd.service", "attentd-standalone.service"):
        text = read(inside(f"{PREFIX}/lib/systemd/system/{unit}"))
        program, config = re.search(r"^ExecStart=(\S+) --config (\S+)$", text, re.M).groups()
        check(os.access(inside(program), os.X_OK), f"{unit}: {program}")
        check(os.path.isfile(inside(config)), f"{unit}: {config}")


def test_configuration():
    text = read(inside(CONF))
    for path in re.findall(r"^(?:path|catalogue|classifiers|entities) = (?!none$)(.*)$", text, re.M):
        check(path.startswith("/"), f"path = {path} in the installed configuration")
        check(path.startswith("/var/lib/attentd/") or os.path.exists(inside(path)) or "lib/attentd/" in path,
              f"{path} was not installed")
    # Options and their comments are those of the repository: only paths differ.
    changed = [x for x in set(text.splitlines()) ^ set(read(f"{SOURCE}/conf/attentd.conf").splitlines())]
    check(all(re.match("path|catalogue|classifiers|entities", x) or "Relative paths" in x for x in changed), f"{changed}")
    result = subprocess.run([inside(f"{PREFIX}/bin/attentd"), "--check", "--config", inside(CONF)], text=True,
                            capture_output=True)
    check(result.returncode == 0, result.stderr)


def test_start():
    """The installed program on the installed configuration, with small models where the fetched ones would be."""
    config = inside(CONF)
    original = read(config)
    text = re.sub(r"^listen = .*", "listen = 127.0.0.1:0", original, flags=re.M)
    text = re.sub(r"^(path|catalogue|classifiers|entities) = (?!none$)", rf"\1 = {ROOT}", text, flags=re.M)
    # The adapters of the repository need the encoder that is fetched.
    text = re.sub(r"^\[model (finance|finance-zh|support|support-intent)\]\n.*\n", "", text, flags=re.M)
    text = re.sub(r"^model_zh = .*", "model_zh = none", text, flags=re.M)
    text = re.sub(r"^model = support$", "model = e5", text, flags=re.M)
    state = os.path.dirname(os.path.dirname(re.search(r"^path = (.*)\nmodel = e5", text, re.M).group(1)))
    for model, data in (("e5", "e5-tiny"), ("minilm", "st-bert-mean"), ("movies", "sasrec")):
        target = re.search(rf"^\[model {model}\]\npath = (.*)", text, re.M).group(1)
        shutil.copytree(f"{SOURCE}/tests/data/models/{data}", target)
    os.makedirs(f"{state}/kb", exist_ok=True)
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    daemon = subprocess.Popen([inside(f"{PREFIX}/bin/attentd"), "--config", config], text=True, stderr=subprocess.PIPE)
    try:
        lines = []
        for line in daemon.stderr:
            lines.append(line)
            if line.startswith("ready on "):
                break
        check(lines and lines[-1].startswith("ready on 127.0.0.1:"), "".join(lines))
    finally:
        daemon.send_signal(signal.SIGTERM)
        rest = daemon.communicate()[1]
    check(daemon.returncode == 0, f"exit {daemon.returncode}: {rest}")


def test_changed_configuration_stays():
    with open(inside(CONF), "w", encoding="utf-8") as f:
        f.write("# mine\n")
    install()
    check(read(inside(CONF)) == "# mine\n", "the administrator's file was replaced")
    check("[server]" in read(inside(CONF + ".new")), "the new one is not beside it")


try:
    run(test_tree, test_units_name_installed_files, test_configuration, test_start, test_changed_configuration_stays)
finally:
    shutil.rmtree(ROOT)
