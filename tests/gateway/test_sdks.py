"""OpenAI's and Anthropic's own Python clients, unmodified, through proxy and two gateways.

They are the extra `sdk`, not in the locks: `pip install 'openai>=3.57,<4' 'anthropic>=2.14,<3'`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proofward.evidence import answer as answers
from proofward.evidence.policy import Policy
from tests.gateway.world import MODEL, POLICY, Desk, Echo, desk, house

openai = pytest.importorskip("openai", reason="the extra `sdk` is not installed")
anthropic = pytest.importorskip("anthropic", reason="the extra `sdk` is not installed")

SAY = [{"role": "user", "content": "hello, ü and \U0001f600"}]
TEXT = SAY[0]["content"]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


async def streamed(stream: Any) -> tuple[str, list[Any]]:
    text, usage = "", []
    async for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage += [chunk.usage] if chunk.usage else []
    return text, usage


async def chat(o: Any, _a: Any) -> None:
    found = await o.chat.completions.create(model=MODEL, messages=SAY)
    assert found.choices[0].message.content == TEXT
    assert found.usage.total_tokens == 3


async def chat_stream(o: Any, _a: Any) -> None:
    text, usage = await streamed(await o.chat.completions.create(model=MODEL, messages=SAY, stream=True))
    assert (text, usage) == (TEXT, [])


async def chat_stream_with_usage(o: Any, _a: Any) -> None:
    options = {"include_usage": True}
    stream = await o.chat.completions.create(model=MODEL, messages=SAY, stream=True, stream_options=options)
    text, usage = await streamed(stream)
    assert (text, [one.total_tokens for one in usage]) == (TEXT, [3])


async def parts(o: Any, _a: Any) -> None:
    content = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:,y"}}]
    found = await o.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert '"data:,y"' in found.choices[0].message.content


async def unusual_roles(o: Any, _a: Any) -> None:
    messages = [{"role": role, "content": "x"} for role in ("developer", "system", "assistant", "critic")]
    found = await o.chat.completions.create(model=MODEL, messages=[*messages, *SAY])
    assert found.choices[0].message.content == TEXT


async def tools(o: Any, _a: Any) -> None:
    found = await o.chat.completions.create(model=MODEL, messages=SAY, tools=[TOOL])
    assert found.choices[0].message.tool_calls[0].function.name == "f"
    call = found.choices[0].message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": "call-1", "content": "42"}
    again = await o.chat.completions.create(model=MODEL, messages=[*SAY, call, result])
    assert again.choices[0].message.content == "42"


async def completions(o: Any, _a: Any) -> None:
    assert (await o.completions.create(model=MODEL, prompt="a prompt")).choices[0].text == "a prompt"
    stream = await o.completions.create(model=MODEL, prompt="a prompt", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "a prompt"


async def embeddings(o: Any, _a: Any) -> None:
    found = await o.embeddings.create(model=MODEL, input=["a", "b"], encoding_format="float")
    assert found.data[0].embedding == [0.5, -1.0]


async def models(o: Any, _a: Any) -> None:
    assert [model.id async for model in o.models.list()] == [MODEL]


async def unknown_model(o: Any, _a: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await o.chat.completions.create(model="other", messages=SAY)
    assert caught.value.code == "model_not_found"


async def unknown_endpoint(o: Any, _a: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        await o.responses.create(model=MODEL, input="x")


async def cancelled(o: Any, _a: Any) -> None:
    stream = await o.chat.completions.create(model=MODEL, messages=SAY, stream=True)
    async for _ in stream:
        break
    await stream.close()


async def message(_o: Any, a: Any) -> None:
    found = await a.messages.create(model=MODEL, max_tokens=9, messages=SAY, system="be brief")
    assert (found.content[0].text, found.stop_reason) == (TEXT, "end_turn")


async def message_stream(_o: Any, a: Any) -> None:
    async with a.messages.stream(model=MODEL, max_tokens=9, messages=SAY) as stream:
        assert "".join([text async for text in stream.text_stream]) == TEXT
        assert (await stream.get_final_message()).usage.output_tokens == 2


async def message_of_unknown_model(_o: Any, a: Any) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await a.messages.create(model="other", max_tokens=9, messages=SAY)


CASES: list[Callable[[Any, Any], Awaitable[None]]] = [
    chat, chat_stream, chat_stream_with_usage, parts, unusual_roles, tools, completions, embeddings, models,
    unknown_model, unknown_endpoint, cancelled, message, message_stream, message_of_unknown_model,
]  # fmt: skip


async def test_their_clients_notice_nothing(tmp_path: Path) -> None:
    policy = Policy.for_development(measurements=POLICY.measurements)
    async with house(tmp_path) as (behind, outer), desk(outer, tmp_path) as one:
        async with (
            openai.AsyncOpenAI(base_url=f"{one.url}/v1", api_key="a-key", max_retries=0) as o,
            anthropic.AsyncAnthropic(base_url=one.url, api_key="a-key", max_retries=0) as a,
        ):
            for case in CASES:
                await case(o, a)
            await _errors(o, behind)
        kept(one, policy)


async def _errors(o: Any, behind: Echo) -> None:
    for fault, wanted in (("is down", openai.InternalServerError), ("redirects", openai.InternalServerError)):
        behind.fault = fault
        with pytest.raises(wanted):
            await o.chat.completions.create(model=MODEL, messages=SAY)
    behind.fault = "dies in the middle"
    stream = await o.chat.completions.create(model=MODEL, messages=SAY, stream=True)
    with pytest.raises(openai.APIError):
        await streamed(stream)


def kept(one: Desk, policy: Policy) -> None:
    files = one.answers()
    assert len(files) == 12, "one an answer: none of errors, none of what was cancelled"
    assert {answers.load(path).verdict(policy).word for path in files} == {"accepted (simulated)"}
