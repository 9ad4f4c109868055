"""`python -m plugmux.cli`, for an interpreter whose scripts are not on the path."""

from __future__ import annotations

import sys

from plugmux.cli import main

sys.exit(main())
