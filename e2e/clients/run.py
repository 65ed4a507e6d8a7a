#!/usr/bin/env python3
"""Drives `cairn dev` with boto3, the AWS CLI and by hand:
`run.py --cairn PROGRAM --programs DIR [--rival PROGRAM] [--dynalite SCRIPT] [--s3-server PROGRAM] [--sdk-javascript SCRIPT]
[--sdk-go PROGRAM] [--sdk-java FOLDER] [--sdk-rust PROGRAM] [NAME…]`.

DIR holds the AWS CLI, and the python that runs this has boto3 (`cargo xtask test --only clients` sees to both). The rival
is dynoxide, whose answers Cairn's are compared with, dynalite's SCRIPT another, the S3 server versitygw, which archives lie in;
those of the SDKs are built from `sdk`. Without one of them its tests are skipped. A NAME is a test's, as in
`test_items` or `test_items.Updates.test_…`. Without one, each file of tests runs in a process of its own, a few at a time:
most of them wait most of the time.
"""

import argparse
import signal
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import suite  # noqa: E402


AT_ONCE = 3


def run_each():
    """Every file of tests; true when all passed."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    running = set()

    def run(file):
        command = [sys.executable, __file__, *sys.argv[1:], file]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            running.add(process)
            output, _ = process.communicate()
            running.discard(process)
        return process.returncode, output

    def end(*_):
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.terminate()
        sys.exit(1)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        signal.signal(signal.SIGTERM, end)
        passed = True
        for ended in as_completed([pool.submit(run, file) for file in files]):
            code, output = ended.result()
            print(output, end="", flush=True)
            passed = passed and code == 0
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--rival")
    parser.add_argument("--dynalite")
    parser.add_argument("--s3-server")
    parser.add_argument("--sdk-javascript")
    parser.add_argument("--sdk-go")
    parser.add_argument("--sdk-java")
    parser.add_argument("--sdk-rust")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if not arguments.names:
        return 0 if run_each() else 1
    suite.PROGRAM, suite.PROGRAMS, suite.RIVAL = arguments.cairn, arguments.programs, arguments.rival
    suite.DYNALITE, suite.S3_SERVER = arguments.dynalite, arguments.s3_server
    suite.SDK_JAVASCRIPT, suite.SDK_GO = arguments.sdk_javascript, arguments.sdk_go
    suite.SDK_JAVA, suite.SDK_RUST = arguments.sdk_java, arguments.sdk_rust
    tests = unittest.TestLoader().loadTestsFromNames(arguments.names)
    # Ended early, it still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    finally:
        suite.remove_servers()
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    # As cargo's tests say it, for xtask's count.
    verdict = "ok" if result.wasSuccessful() else "FAILED"
    print(f"test result: {verdict}. {passed} passed; {failed} failed; {len(result.skipped)} ignored")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
