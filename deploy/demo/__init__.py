"""`python -m deploy.demo`: the main job of Sluice on real network events, on one screen."""

import sys
from pathlib import Path

# The demo runs from a checkout in which nothing of Sluice is installed: make the generated contracts importable.
_CONTRACTS = str(Path(__file__).resolve().parents[2] / "libs" / "contracts")
if _CONTRACTS not in sys.path:
    sys.path.append(_CONTRACTS)
