"""make demo-gateway: a model in an enclave of ours, a gateway before it, a proxy, and OpenAI's client.

Every process is the product's own command. Prints what each step has shown, and how long it took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tests.gateway import tiny

BEGAN = time.monotonic()
QUESTION = "which of my patients need a second look?"


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def cli(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "proofward.cli", *arguments]


@contextmanager
def running(command: list[str], stream: str, event: str) -> Iterator[dict[str, Any]]:
    """A process, from the line of JSON on one of its streams that names this event until the end."""
    pipes = {"stdout": subprocess.PIPE} if stream == "stdout" else {"stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
    try:
        yield _line(process.stdout or process.stderr, event)
    finally:
        process.terminate()
        process.wait(30)


def _line(pipe: IO[str], event: str) -> dict[str, Any]:
    for line in pipe:
        found = json.loads(line)
        if found.get("event") == event:
            return dict(found)
        if found.get("level") == "error":
            raise SystemExit(f"the demonstration stops: {found}")
    raise SystemExit("the demonstration stops: a process ended before it was ready")


def configuration(folder: Path, name: str, upstream: dict[str, Any]) -> Path:
    path = folder / f"{name}.toml"
    head = {"listen": "127.0.0.1:0", "state": f"{name}-state", "development": True}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    lines += ["[[upstream]]", *(f"{key} = {json.dumps(value)}" for key, value in upstream.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    """Run it. Exit code 1 where a step does not show what it should."""
    import openai

    with TemporaryDirectory(prefix="proofward-gateway-") as name, ExitStack() as stack:
        folder = Path(name)
        os.chdir(folder)
        tiny.write(folder / "tiny.gguf")
        say("wrote tiny.gguf: two layers of random weights, half a megabyte")
        measured = subprocess.run(cli("gateway", "measurement", "--json"), capture_output=True, check=True)
        pin = json.loads(measured.stdout)["measurement"]
        pin = pin if pin.startswith("0x") else f"0x{pin}"
        say(f"this software's measurement is {pin}")

        def serve(label: str, upstream: dict[str, Any]) -> str:
            path = configuration(folder, label, upstream)
            ready = stack.enter_context(
                running(cli("gateway", "serve", "--config", str(path)), "stderr", "ready")
            )
            return f"https://127.0.0.1:{ready['port']}"

        inner = serve("enclave", {"name": "own", "kind": "model", "models": ["tiny"], "weights": "tiny.gguf"})
        say(f"the enclave serves tiny at {inner}; it has measured the weights as it loaded them")
        outer = serve(
            "gateway",
            {"name": "enclave", "kind": "aci", "url": inner, "models": ["tiny"], "measurements": [pin]},
        )
        say(f"the gateway at {outer} sends nothing there before it has verified the enclave's quote")
        for gateway, what in ((inner, "enclave"), (outer, "gateway")):
            answers = folder / f"answers-{what}"
            command = cli(
                "proxy", "--gateway", gateway, "--port", "0", "--proofs", str(answers), "--dev", "--json"
            )
            with running(command, "stdout", "ready") as proxy:
                say(f"the proxy before the {what}: six checks hold; it listens at {proxy['url']}")
                client = openai.OpenAI(base_url=f"{proxy['url']}/v1", api_key="none", max_retries=0)
                stream = client.chat.completions.create(
                    model="tiny",
                    messages=[{"role": "user", "content": QUESTION}],
                    max_tokens=24,
                    stream=True,
                )
                text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
                say(f"OpenAI's client has streamed {len(text)} characters from a model of random weights")
            (file,) = answers.glob("*.json")
            print()
            verified = subprocess.run(cli("verify", str(file), "--dev", "--measurement", pin), check=False)
            print(flush=True)
            if verified.returncode != 0:
                raise SystemExit("the demonstration fails: the answer's file does not verify")
        say("done: two answers, each with a receipt that verifies offline")


if __name__ == "__main__":
    main()
