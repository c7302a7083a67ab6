"""Each request that docs/serve.md shows is answered by `appline <domain> serve` as it is typed."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines import DOMAINS
from tests.command_line import ROOT, command_of, environment_of
from tests.test_one_answer import Trained

PORT = "localhost:8000"  # in the docs
# By domain, the paragraphs of docs/serve.md that begin so.
HEADINGS = {
    "vision": "**Images**",
    "text": "**Texts**",
    "forecast": "**Series**",
    "recommend": "**Users or histories**",
}


def shown_requests(domain: str) -> list[str]:
    """Return the commands of the first block of code behind the heading of a domain."""
    text = (ROOT / "docs" / "serve.md").read_text()
    _, _, paragraph = text.partition(HEADINGS[domain])
    block = re.search(r"```bash\n(.*?)```", paragraph, re.DOTALL)
    assert block
    joined = block[1].replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip()]


def write_what_they_name(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8), dtype="uint8")
    Image.fromarray(pixels).save(folder / "photo.jpg")
    Image.fromarray(pixels).save(folder / "photo.png")
    times = pd.date_range("2024-01-01", periods=60, freq="h").strftime("%Y-%m-%d %H:%M")
    latest = pd.DataFrame({"ds": times, "y": np.sin(np.arange(60) / 4) + 10})
    latest.to_csv(folder / "latest.csv", index=False)
    rows = latest.to_dict(orient="records")
    (folder / "latest.json").write_text(json.dumps({"instances": rows}))


@pytest.mark.slow
@pytest.mark.parametrize("domain", DOMAINS)
def test_each_request_of_the_docs_is_answered_as_it_is_typed(domain: str, tmp_path: Path) -> None:
    trained = Trained(domain, tmp_path)
    write_what_they_name(tmp_path)
    requests = shown_requests(domain)
    assert requests
    command = command_of(domain, "serve", "--model", str(trained.path), "--port", "0", "--json")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment_of()
    ) as server:
        try:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["url"].split("/")[2]
            for typed in requests:
                told = subprocess.run(
                    ["bash", "-c", typed.replace(PORT, address)],
                    capture_output=True,
                    text=True,
                    cwd=tmp_path,
                    timeout=60,
                    check=True,
                )
                answered = json.loads(told.stdout)
                assert answered.get("predictions"), f"{typed}: {answered}"
        finally:
            server.terminate()
            server.wait(timeout=20)
