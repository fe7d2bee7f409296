"""Tests as functions: run(test_a, test_b) calls each and prints TAP. An exception fails a test, Skip skips it."""
import sys
import traceback


class Skip(Exception):
    """Why this machine or build cannot run the test."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def run(*tests):
    n_failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:
            n_failed += 1
            traceback.print_exc()
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(n_failed > 0)
