"""Publishes known totals: `publish.py BASE_URI STEP_SECONDS ROUNDS`."""
import sys
import time

from spectator import Registry

base, step, rounds = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
registry = Registry()
registry.start({"frequency": step, "uri": base + "/api/v4/update", "common_tags": {"nf.app": "python"}})
counter = registry.counter("st.counter", {"kind": "plain"})
timer = registry.timer("st.timer")
summary = registry.distribution_summary("st.summary")
gauge = registry.gauge("st.gauge")
for _ in range(rounds):
    counter.increment(10)
    timer.record(0.02)
    summary.record(1000)
    gauge.set(42.5)
    time.sleep(0.1)
registry.stop()
