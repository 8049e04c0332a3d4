"""10,000 damaged models: each gives one clear error or is shown; no traceback, no hang, little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.patience import NET

CASES = 10_000
MEGABYTES = 640  # of address space, of which Python with numpy takes about half


def test_ten_thousand_damaged_models(testdata: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fuzz_models", str(CASES), "0", str(MEGABYTES), str(testdata)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread of numpy's would take address space
        capture_output=True,
        text=True,
        timeout=6 * NET,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert found["cases"] == CASES
    assert found["shown"] > CASES / 20, "nearly everything was refused, so that little was tried"
    assert found["effort"] < 4 * CASES, "2,500 for all cases is usual"
    assert found["slowest"] < 500
