#!/usr/bin/env python3
"""Drives `cairn dev` with boto3, the AWS CLI and by hand:
`run.py --cairn PROGRAM --programs DIR [--rival PROGRAM] [--s3-server PROGRAM] [NAME…]`.

DIR holds the AWS CLI, and the python that runs this has boto3 (`cargo xtask test --only clients` sees to both). The rival
is dynoxide, whose answers Cairn's are compared with, the S3 server versitygw, which archives lie in; without them those
tests are skipped. A NAME is a test's, as in
`test_items` or `test_items.Updates.test_…`.
"""

import argparse
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import suite  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--rival")
    parser.add_argument("--s3-server")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    suite.PROGRAM, suite.PROGRAMS, suite.RIVAL = arguments.cairn, arguments.programs, arguments.rival
    suite.S3_SERVER = arguments.s3_server
    loader = unittest.TestLoader()
    if arguments.names:
        tests = loader.loadTestsFromNames(arguments.names)
    else:
        tests = loader.discover(str(Path(__file__).parent), "test_*.py")
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
