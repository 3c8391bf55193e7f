"""What the handlers and waiters share; every decision about an instance is made in here.

Floors, from the ground: ``errors``, ``telemetry``, ``clients``, ``evidence``; then ``events``,
``settings``, ``buffers``; then ``operations``; then the adapters (``autoscaling``, ``instances``,
``cloud_map``, ``prometheus``, ``credentials``, ``queues``); then ``batch``. No import runs up or in
a circle. Everything up to ``operations`` but ``clients`` and ``telemetry`` is pure.
"""
