#!/usr/bin/env python3
"""What the compiler and the linker shall have done to the programs, read back with readelf."""
import os
import re
import shutil
import subprocess

from tap import Skip, check, run

PROGRAMS = ("attentd", "attend")


def readelf(*arguments):
    """{program: output}"""
    if not shutil.which("readelf"):
        raise Skip("no readelf")
    build = os.environ["ATT_BUILD_ROOT"]
    return {name: subprocess.run(["readelf", "-W", *arguments, os.path.join(build, name)], text=True,
                                 capture_output=True, check=True).stdout for name in PROGRAMS}


def needs(option, name):
    if os.environ.get(option) != "yes":
        raise Skip(f"this build is without {name}")


def test_position_independent():
    for name, text in readelf("-h").items():
        check(re.search(r"Type:\s+DYN \(Position-Independent", text), f"{name}: not PIE")


def test_relocations_are_read_only():
    for name, text in readelf("-l", "-d").items():
        check("GNU_RELRO" in text, f"{name}: no RELRO")
        check(re.search(r"\(FLAGS(_1)?\).*\b(BIND_NOW|NOW)\b", text), f"{name}: not bound at start")


def test_stack_is_not_executable():
    for name, text in readelf("-l").items():
        m = re.search(r"GNU_STACK(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", text)
        check(m and "E" not in m.group(1), f"{name}: the stack")
        check(not re.search(r"LOAD(?:\s+0x\w+){5}\s+RWE", text), f"{name}: a segment both writable and executable")


def test_stack_protector():
    for name, text in readelf("--dyn-syms").items():
        check("__stack_chk_fail" in text, f"{name}: no stack protector")


def test_fortified_calls():
    needs("ATT_FORTIFIED", "_FORTIFY_SOURCE")
    for name, text in readelf("--dyn-syms").items():
        check(re.search(r"__v?snprintf_chk", text), f"{name}: snprintf is not checked")


def test_control_flow():
    needs("ATT_CONTROL_FLOW", "-fcf-protection")
    for name, text in readelf("-n").items():
        check(re.search(r"x86 feature: .*SHSTK", text), f"{name}: no shadow stack")
    # The start code of the C library decides whether the whole program is fit for IBT; our part is.
    build = os.environ["ATT_BUILD_ROOT"]
    for name in ("libattend.a", "libattend_tasks.a", "libattend_server.a", "libattend_cli.a"):
        text = subprocess.run(["readelf", "-nW", os.path.join(build, name)], text=True, capture_output=True,
                              check=True).stdout
        files = re.split(r"^File: ", text, flags=re.M)[1:]
        check(len(files) > 3, f"{name}: holds {len(files)} files")
        for part in files:
            check(re.search(r"x86 feature: .*IBT.*SHSTK", part), f"{name}: {part.splitlines()[0]}: no IBT or SHSTK")



run(test_position_independent, test_relocations_are_read_only, test_stack_is_not_executable, test_stack_protector,
    test_fortified_calls, test_control_flow)
