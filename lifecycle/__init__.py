"""What the handlers and waiters share; every decision about an instance is made in here.

One rule: flows > adapters > decisions > the rest of this folder. No import runs up or in a circle.
"""
