"""Starts a real MLflow server, lets `demo_run` log to it, and asks the server what it knows.

    pip install mlflow
    cargo build -p gradloom-track --example demo_run
    python check_mlflow.py target/debug/examples/demo_run
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

PORT = 6118
ADDRESS = f"http://127.0.0.1:{PORT}"


def fetch(path, body=None):
    request = urllib.request.Request(ADDRESS + path, body and json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def history(run, key):
    answer = json.loads(fetch(f"/api/2.0/mlflow/metrics/get-history?run_id={run}&max_results=25000&metric_key="
                              + urllib.parse.quote(key, safe="")))
    return {metric.get("step", 0): float(metric["value"]) for metric in answer["metrics"]}


def check(folder):
    told = subprocess.run([sys.argv[1], str(folder / "runs"), ADDRESS], check=True, text=True, stdout=subprocess.PIPE)
    for line, rate in zip(told.stdout.splitlines(), [0.1, 0.3], strict=True):
        experiment, run = line.split()
        info = json.loads(fetch(f"/api/2.0/mlflow/runs/get?run_id={run}"))["run"]
        assert info["info"]["status"] == "FINISHED" and info["info"]["experiment_id"] == experiment, info
        params = {param["key"]: param["value"] for param in info["data"]["params"]}
        assert params == {"learning_rate": str(rate), "optimizer": "AdamW", "warm_up": "0",
                          "augment": str(rate > 0.2).lower()}, params
        assert history(run, "loss/train") == {s: math.exp(-s * rate / 50) for s in range(600)}
        assert sorted(history(run, "loss/valid")) == list(range(0, 600, 100))
        assert math.isnan(history(run, "broken")[1]) and history(run, "zero") == {0: 0.0}
        artifacts = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts"
        assert fetch(f"{artifacts}/report.html").startswith(b"<!doctype html>")
        assert fetch(f"{artifacts}/images/samples/ramp/3.png").startswith(b"\x89PNG")
        assert b"Once <upon> a time" in fetch(f"{artifacts}/texts/samples/text/3.txt")
        name = json.loads(fetch(f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}"))
        assert name["experiment"]["name"] == "gradloom demo & test", name
        print(f"run {run}: settings, numbers and artifacts are right")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(PORT), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")],
        stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"))
    try:
        for _ in range(180):
            try:
                print("mlflow", fetch("/version").decode())
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise SystemExit((folder / "log").read_text()[-2000:])
        check(folder)
    finally:
        server.terminate()
        server.wait()
