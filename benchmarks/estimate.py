"""What `tune --dry-run` promises against what the sweep takes, in seconds of wall clock.

python -m benchmarks.estimate [FLAGS OF tune ...]      # by default: vision tune --trials 20
"""

import json
import subprocess
import sys
import tempfile
import time
from typing import Any


def run(arguments: list[str]) -> tuple[dict[str, Any], float]:
    """Return what a command printed and the seconds it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", *arguments, "--json", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout), time.perf_counter() - began


def main() -> None:
    """Estimate, then run."""
    arguments = sys.argv[1:] or ["vision", "tune", "--trials", "20"]
    with tempfile.TemporaryDirectory() as folder:
        estimate, estimate_s = run([*arguments, "--dry-run"])
        sweep, _ = run([*arguments, "--tracking-uri", f"sqlite:///{folder}/mlflow.db"])
    ratio = estimate["seconds"] / sweep["seconds"]
    print(
        f"promised {estimate['seconds']:.0f} s (after measuring for {estimate_s:.0f} s), "
        f"taken {sweep['seconds']:.0f} s"
    )
    print(f"promised / taken  {ratio:.2f}  (target .70 to 1.30)")


if __name__ == "__main__":
    main()
