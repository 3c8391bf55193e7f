"""Does what no module of the product may do; the guard has to notice."""

import os

URL = os.environ.get("PROMETHEUS_URL")
