"""Writes data/pumps.csv, the table of jobs/anomaly.toml: python3 scripts/pumps.py > data/pumps.csv

Measurements of a pump that are made up: 500 of one in order, whose pressure falls and whose current rises with the flow, and
20 of one with a fault: a leak (too little pressure for the flow), a worn bearing (too much current for it), or heat. Each
measure of a leak is an ordinary one by itself. The same numbers on every machine.
"""

import random

ORDINARY, FAULTS = 500, 20


def row(rng, fault):
    flow = rng.gauss(60, 8)
    pressure = 9 - 0.06 * flow + rng.gauss(0, 0.12)
    current = 2 + 0.05 * flow + rng.gauss(0, 0.1)
    temperature = rng.gauss(45, 3)
    if fault == "leak":
        pressure -= rng.uniform(0.5, 1.0)
    elif fault == "bearing":
        current += rng.uniform(0.4, 0.9)
        temperature += rng.uniform(2, 5)
    elif fault == "heat":
        temperature += rng.uniform(12, 20)
    state = "fault" if fault else "ok"
    return f"{flow:.1f},{pressure:.2f},{current:.2f},{temperature:.1f},{state}"


rng = random.Random(7)
kinds = [None] * ORDINARY + [("leak", "bearing", "heat")[i % 3] for i in range(FAULTS)]
rng.shuffle(kinds)
print("flow,pressure,current,temperature,state")
for kind in kinds:
    print(row(rng, kind))
