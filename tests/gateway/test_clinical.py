"""The clinic's template: a note through proxy and gateways, FHIR with the receipt out, or nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aiohttp import web
from fhir.resources.R4B.bundle import Bundle

from proofward.evidence import answer_file
from proofward.evidence.policy import Policy
from tests.gateway.world import MODEL, POLICY, config, desk, gateway, serving, upstream

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTE = "Seen in the morning. Pulse 88, blood pressure 132/84, afebrile at 36.8. Feels well."
GOOD = {"heart_rate": 88, "systolic": 132, "diastolic": 84, "temperature": 36.8}

#: What the model says to this note, and why nothing is kept.
BAD = {
    "no JSON": ("The pulse is 88.", "no JSON"),
    "a value that it has made up": (json.dumps({"heart_rate": 89}), "made it up"),
    "a value that cannot be": (json.dumps({"systolic": 8}), "not plausible"),
    "a member more": (json.dumps({**GOOD, "diagnosis": 1}), "not asked for"),
    "a word for a number": (json.dumps({"heart_rate": "88"}), "not asked for"),
    "nothing": ("{}", "found nothing"),
}
NAMED = {
    "Mr. Miller, pulse 88": "a title with a name",
    "Pulse 88. Call +49 30 1234567": "a telephone number",
    "MRN 12345, pulse 88": "a record number",
}


async def test_observations_carry_the_receipt_or_are_not_kept(tmp_path: Path) -> None:
    said, asked = [json.dumps(GOOD)], []

    async def model(request: web.Request) -> web.Response:
        asked.append(await request.json())
        message = {"role": "assistant", "content": said[0]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"id": "c", "object": "chat.completion", "choices": [choice]})

    async with (
        serving(model) as behind,
        gateway(config(tmp_path, upstream(behind, "inside"))) as origin,
        desk(origin, tmp_path) as one,
    ):

        async def run(note: str) -> tuple[int | None, str, str]:
            (tmp_path / "note.txt").write_text(note)
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(EXAMPLES / "note.py"), f"{one.url}/v1", MODEL, str(tmp_path / "note.txt"),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, told = await process.communicate()
            return process.returncode, out.decode(), told.decode()

        code, out, told = await run(NOTE)
        assert code == 0, told
        resources = [entry["resource"] for entry in json.loads(out)["entry"]]
        assert [each["valueQuantity"]["value"] for each in resources[:-1]] == [84, 88, 132, 36.8]
        (file,) = one.answers()
        kept = answer_file.load(file)
        assert resources[-1]["entity"][0]["what"]["identifier"]["value"] == kept.receipt["receipt_id"]
        assert len(resources[-1]["target"]) == len(GOOD)
        policy = Policy.for_development(measurements=POLICY.measurements)
        assert kept.verdict(policy).word == "accepted (simulated)"
        assert asked[0]["messages"][-1]["content"] == NOTE
        Bundle.model_validate_json(out)
        for fault, (answer, reason) in BAD.items():
            said[0] = answer
            code, out, told = await run(NOTE)
            assert (code, out) == (1, ""), fault
            assert reason in told
        before = len(asked)
        for note, reason in NAMED.items():
            code, out, told = await run(note)
            assert (code, out) == (1, "")
            assert reason in told
        assert len(asked) == before, "a note that names somebody goes nowhere"
