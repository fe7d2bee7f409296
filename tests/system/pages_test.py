#!/usr/bin/env python3
"""The manual pages say what --help and the table of options say."""
import os
import re
import shutil
import subprocess

from tap import Skip, check, run

SOURCE = os.environ["ATT_SOURCE_ROOT"]
BUILD = os.environ["ATT_BUILD_ROOT"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def help_of(name):
    return subprocess.run([f"{BUILD}/{name}", "--help"], text=True, capture_output=True, check=True).stdout


def test_options_of_attentd():
    told = set(re.findall(r"--([a-z-]+)", help_of("attentd")))
    written = set(re.findall(r"^\.It Fl -([a-z-]+)", read(f"{SOURCE}/man/attentd.8"), re.M))
    check(told == written, f"--help {sorted(told)}, man/attentd.8 {sorted(written)}")


def test_commands_of_attend():
    told = sorted(re.findall(r"^  ([a-z-]+)  ?", help_of("attend"), re.M))
    written = sorted(re.findall(r"^\.It Cm ([a-z-]+)", read(f"{SOURCE}/man/attend.1"), re.M))
    check(told == written, f"--help {told}, man/attend.1 {written}")


def test_options_of_the_configuration():
    page = read(f"{BUILD}/conf/attentd.conf.5")
    known = re.findall(r"^SRV_OPTION(?:_OF)?\((\w+), (\w+),", read(f"{SOURCE}/server/config/options.def"), re.M)
    check(len(known) > 30, "options.def was not understood")
    check(len(known) == len(re.findall(r"^\.It Cm ", page, re.M)), "an option is missing in attentd.conf(5)")
    for section, name in known:
        check(re.search(rf'^\.Ss "\[{section}[\] ].*?^\.It Cm {name} = ', page, re.M | re.S), f"{section}.{name}")


def test_pages_are_clean():
    if not shutil.which("mandoc"):
        raise Skip("no mandoc")
    for path in (f"{SOURCE}/man/attentd.8", f"{SOURCE}/man/attend.1", f"{BUILD}/conf/attentd.conf.5"):
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], text=True, capture_output=True)
        check(result.returncode == 0, result.stdout)


run(test_options_of_attentd, test_commands_of_attend, test_options_of_the_configuration, test_pages_are_clean)
