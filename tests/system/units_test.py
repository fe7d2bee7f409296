#!/usr/bin/env python3
"""The units: clean for systemd-analyze, and as little exposed as promised."""
import configparser
import os
import re
import shutil
import subprocess
import tempfile

from tap import Skip, check, run

SOURCE = os.environ["ATT_SOURCE_ROOT"]
BUILD = os.environ["ATT_BUILD_ROOT"]
SERVICES = {"attentd.service": 2, "attentd-standalone.service": 10}  # exposure at most, in tenths
SOCKETS = ("attentd.socket", "attentd-admin.socket")


def path_of(unit):
    return os.path.join(BUILD if unit in SERVICES else SOURCE, "systemd", unit)


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    return subprocess.run(["systemd-analyze", *arguments], text=True, capture_output=True)


def test_units_are_clean():
    with tempfile.TemporaryDirectory() as folder:
        for unit in (*SERVICES, *SOCKETS):
            with open(path_of(unit), encoding="utf-8") as f:
                # The program that was built stands for the one that is not installed yet.
                text = re.sub(r"^ExecStart=\S+", f"ExecStart={BUILD}/attentd", f.read(), flags=re.M)
            with open(os.path.join(folder, unit), "w", encoding="utf-8") as f:
                f.write(text)
        for unit in (*SERVICES, *SOCKETS):
            result = analyze("verify", "--man=no", os.path.join(folder, unit))
            complaints = [x for x in result.stderr.splitlines() if "attentd" in x]
            check(result.returncode == 0 and not complaints, f"{unit}: {result.returncode}: {result.stderr}")


def test_exposure():
    for unit, tenths in SERVICES.items():
        result = analyze("security", "--offline=yes", f"--threshold={tenths}", path_of(unit))
        check(result.returncode == 0, f"{unit} is above {tenths / 10}:\n{result.stdout}{result.stderr}")


def read(unit):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(path_of(unit), encoding="utf-8")
    return parser


def test_units_fit_together():
    service = read("attentd.service")
    for unit, name in zip(SOCKETS, ("http", "admin")):
        socket = read(unit)["Socket"]
        check(socket["Service"] == "attentd.service", f"{unit}: Service")
        check(socket["FileDescriptorName"] == name, f"{unit}: FileDescriptorName")
    # A folder of the service would be removed with it, and the admin socket inside.
    check("RuntimeDirectory" not in service["Service"], "attentd.service has a RuntimeDirectory")
    check(service["Unit"]["Requires"] == "attentd.socket", "attentd.service does not want its socket")
    with open(os.path.join(SOURCE, "conf/attentd.conf"), encoding="utf-8") as f:
        drain_ms = int(re.search(r"^drain_timeout_ms = (\d+)", f.read(), re.M).group(1))
    for unit in SERVICES:
        check(int(read(unit)["Service"]["TimeoutStopSec"]) * 1000 > drain_ms, f"{unit}: stopped before it has drained")
        check("@" not in read(unit)["Service"]["ExecStart"], f"{unit}: a variable is left")


run(test_units_are_clean, test_exposure, test_units_fit_together)
