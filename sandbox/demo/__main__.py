"""`python -m sandbox.demo` is `python -m sandbox demo`."""

import sys

from sandbox.demo.cli import main

sys.exit(main())
