"""The program of command.yaml: it measures itself and prints its rate as one line of JSON."""

import argparse
import hashlib
import json
import time

parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int)
parser.add_argument("--algorithm")
parser.add_argument("--kilobytes", type=int)
chosen = parser.parse_args()

sample = bytes(1024 * chosen.kilobytes)
latencies = []
begin = time.perf_counter()
while time.perf_counter() - begin < 0.5:
    start = time.perf_counter()
    for _ in range(chosen.batch):
        hashlib.new(chosen.algorithm, sample).digest()
    latencies.append(1000 * (time.perf_counter() - start))
throughput = chosen.batch * len(latencies) / (time.perf_counter() - begin)
print(json.dumps({"throughput": throughput, "latencies_ms": latencies}))
