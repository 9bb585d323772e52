"""OpenAI's and Anthropic's own clients, of PyPI and of npm, unmodified, through proxy and two gateways.

Both go through one table, `sdks/cases.json`. `make test-gateway` installs them; elsewhere these are skipped.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from proofward.evidence import answer_file
from proofward.evidence.policy import Policy
from proofward.protocol import sha256
from tests.gateway.world import MODEL, POLICY, Desk, desk, house

FOLDER = Path(__file__).parent / "sdks"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
KEY = "a-key"

Results = dict[str, dict[str, Any]]


async def of_pypi(url: str) -> Results:
    """What each case comes to by the clients of PyPI."""
    openai, anthropic = importlib.import_module("openai"), importlib.import_module("anthropic")
    results: Results = {}
    async with AsyncExitStack() as stack:
        clients = {}
        for key in (KEY, "another"):
            options = {"api_key": key, "max_retries": 0}
            for sdk, client in (
                ("openai", openai.AsyncOpenAI(base_url=f"{url}/v1", **options)),
                ("anthropic", anthropic.AsyncAnthropic(base_url=url, **options)),
            ):
                clients[sdk, key] = await stack.enter_async_context(client)
        for one in CASES:
            method = clients[one["sdk"], one.get("key", KEY)]
            for name in one["call"].split("."):
                method = getattr(method, name)
            try:
                results[one["name"]] = {"found": await _found(method, one)}
            except (openai.APIError, anthropic.APIError) as error:
                body = error.body if isinstance(error.body, dict) else {}
                code = getattr(error, "code", None) or (body.get("error") or {}).get("code")
                results[one["name"]] = {"error": [getattr(error, "status_code", None), code]}
    return results


async def _found(method: Any, one: dict[str, Any]) -> Any:
    if one["args"] is None:
        return (await method()).model_dump()
    found = await method(**{"model": MODEL, **one["args"]}, extra_body=one.get("extra"))
    return await _streamed(found, one) if one["args"].get("stream") else found.model_dump()


async def _streamed(stream: Any, one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"text": "", "usage": []}
    seen = 0
    async for event in stream:
        seen += 1
        if one.get("cancel") == seen:
            await stream.close()
            return {"cancelled": True}
        value = event.model_dump()
        for choice in value.get("choices") or ():
            delta = choice.get("delta") or {}
            found["text"] += delta.get("content") or choice.get("text") or ""
            for call in delta.get("tool_calls") or ():
                said = call["function"]
                found["tools"] = found.get("tools", "") + (said.get("name") or "") + said["arguments"]
        if value.get("type") == "response.output_text.delta":
            found["text"] += value["delta"]
        if value.get("type") == "content_block_delta":
            found["text"] += value["delta"]["text"]
        ended = value.get("type") == "response.completed"
        if usage := value["response"]["usage"] if ended else value.get("usage"):
            found["usage"].append(usage.get("total_tokens") or usage["output_tokens"])
    return found


async def of_npm(url: str) -> Results:
    """What each case comes to by the clients of npm."""
    process = await asyncio.create_subprocess_exec(
        "node", str(FOLDER / "drive.mjs"), url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, told = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, told.decode()
    return dict(json.loads(out))


def _missing(client: str) -> str | None:
    if client == "pypi":
        absent = [name for name in ("openai", "anthropic") if importlib.util.find_spec(name) is None]
        return f"{' and '.join(absent)} of PyPI" if absent else None
    there = (FOLDER / "node_modules" / "openai").exists() and shutil.which("node")
    return None if there else "the clients of npm"


@pytest.mark.parametrize("client", ["pypi", "npm"])
async def test_their_clients_notice_nothing(client: str, tmp_path: Path) -> None:
    if missing := _missing(client):
        pytest.skip(f"{missing} are not installed: make test-gateway")
    run: Callable[[str], Awaitable[Results]] = of_pypi if client == "pypi" else of_npm
    known = frozenset({sha256(KEY.encode()).hex()})
    async with house(tmp_path, keys_sha256=known) as (_, outer), desk(outer, tmp_path) as one:
        results = await run(one.url)
        faults = [told for case in CASES if (told := _fault(case, results[case["name"]]))]
        assert not faults, "\n".join(faults)
        _kept(one)


def test_the_table_has_what_clients_do() -> None:
    assert len({one["name"] for one in CASES}) == len(CASES) >= 40
    assert all(("want" in one) != ("error" in one) for one in CASES)


def _fault(case: dict[str, Any], result: dict[str, Any]) -> str | None:
    """What is wrong with a result; None when it is as the table has it."""
    if "error" in case:
        status, code = case["error"]
        got = result.get("error")
        good = got is not None and status in (None, got[0]) and code in (None, got[1])
        return None if good else f"{case['name']}: wanted error {case['error']}, got {result}"
    if "found" not in result:
        return f"{case['name']}: got {result}"
    found = result["found"]
    if "text" in case["want"]:
        return None if found == case["want"] else f"{case['name']}: wanted {case['want']}, got {found}"
    for path, wanted in case["want"].items():
        value = found
        for name in path.split("."):
            value = value[int(name)] if isinstance(value, list) else value.get(name)
        if value != wanted:
            return f"{case['name']}: {path} is {value!r}, wanted {wanted!r}"
    return None


def _kept(one: Desk) -> None:
    """One file an answer: none of errors, none of what was left; each is accepted by itself."""
    policy = Policy.for_development(measurements=POLICY.measurements)
    whole = [case for case in CASES if "want" in case and "cancel" not in case and case["args"] is not None]
    files = one.answers()
    assert len(files) == len(whole)
    assert {answer_file.load(path).verdict(policy).word for path in files} == {"accepted (simulated)"}
