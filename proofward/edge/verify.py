"""Verify a device's log: every line computed again, one named check a line."""

from __future__ import annotations

from collections.abc import Sequence

from proofward.chain import SubstrateClient
from proofward.chain.pallets import system
from proofward.check import Check, said
from proofward.edge import log as logs
from proofward.edge.log import Log, Post
from proofward.evidence.verdict import Verdict
from proofward.zkml import PublicArtifact

LEVEL_WORD = (
    "device: its owner ran the model on a machine that nothing attests; the computation is proved, that the "
    "samples are a patient's is not"
)


def verify_log(
    log: Log, public: PublicArtifact, *, chain: SubstrateClient | None = None, development: bool = False
) -> Verdict:
    """Check a log against its model and, with a chain, its posts. For a bad log a check fails."""
    mine = public.manifest_hash.hex() == log.run.manifest_hash
    model = f"{public.manifest.name!r}, manifest 0x{public.manifest_hash.hex()}"
    checks = [Check("model", mine, model if mine else f"the log is about 0x{log.run.manifest_hash}")]
    bad = [
        number
        for number, proof in log.proofs.items()
        if number >= len(log.windows) or not _holds(log, public, number, proof)
    ]
    told = f"{len(log.proofs)} of {len(log.windows)} windows are proved"
    checks.append(Check("proofs", not bad, told if not bad else f"of windows {_some(bad)} do not hold"))
    checks.append(_roots(log))
    if log.left:
        checks.append(
            said("left out", f"{log.left} windows outside the model's range, by the log's own word")
        )
    checks += _chain(log, chain)
    checks.append(_owed(log, chain))
    setup = public.manifest.setup
    if setup == "dev":
        told = "dev: one party made the keys and could forge proofs"
        checks.append(Check("setup", development, told if development else f"{told}; refused without --dev"))
    else:
        checks.append(
            Check("setup", None, f"{setup}: the manifest's own word; `proofward model audit` checks it")
        )
    checks.append(said("level", LEVEL_WORD))
    flags = ("level: device", f"setup: {setup}")
    return Verdict(bytes.fromhex(log.run.run), flags, tuple(checks))


def _holds(log: Log, public: PublicArtifact, number: int, proof: bytes) -> bool:
    window = log.windows[number]
    return public.verify(bytes.fromhex(window.input), bytes.fromhex(window.output), proof)


def _roots(log: Log) -> Check:
    """Posts follow one another over the windows, and each root is of its windows."""
    at, run = 0, bytes.fromhex(log.run.run)
    for post in log.posts:
        windows = log.windows[post.first : post.first + post.count]
        if post.first != at or len(windows) != post.count:
            return Check("roots", False, f"post {post.number} is not of the windows from {at} on")
        if logs.root_of(run, windows).hex() != post.root:
            return Check("roots", False, f"post {post.number} has another root than its windows")
        at += post.count
    left = len(log.windows) - at
    return Check(
        "roots", True, f"{len(log.posts)} posts over {at} windows" + (f", {left} in none" if left else "")
    )


def _chain(log: Log, chain: SubstrateClient | None) -> list[Check]:
    """Each root stands in its block, signed by the device's account."""
    if log.run.account is None:
        if log.posts:
            return [Check("posts", False, "the run names no account, and yet there are posts")]
        return [said("posts", "the run posted nothing: when its windows were, only the log says")]
    if chain is None:
        return [Check("posts", None, "no chain was asked; give --chain")]
    if chain.genesis.hex() != log.run.genesis:
        return [Check("posts", False, f"the run was on the chain 0x{log.run.genesis}, this is another")]
    absent = [post.number for post in log.posts if not _stands(log, chain, post)]
    told = f"{len(log.posts)} roots signed by 0x{log.run.account}: {chain.witness}"
    covered = sum(post.count for post in log.posts) == len(log.windows)
    found = [Check("posts", not absent, told if not absent else f"not in their blocks: {_some(absent)}")]
    return found + ([] if covered else [Check("coverage", None, "the last windows are in no post")])


def _stands(log: Log, chain: SubstrateClient, post: Post) -> bool:
    wanted, account = logs.remark(log.run, post), bytes.fromhex(log.run.account or "")
    if post.block > chain.finalised_head().number:
        return False
    return (account, wanted) in system.remarks(chain, chain.block_hash(post.block))


def _owed(log: Log, chain: SubstrateClient | None) -> Check:
    """All windows that should be proved are: all, or those that the chain picked."""
    if log.run.sample == 1_000_000:
        missing = [one.number for one in log.windows if one.number not in log.proofs]
        return Check("sampled", not missing, "all" if not missing else f"unproved: {_some(missing)}")
    if log.run.account is None:
        return Check(
            "sampled", False, "a run that posts nothing has no beacon: all its windows must be proved"
        )
    share = f"{log.run.sample / 10_000:g} % of each post"
    if chain is None:
        return Check("sampled", None, f"{share}: which ones, the chain says; give --chain")
    missing = []
    for post in log.posts:
        if post.block + 1 > chain.finalised_head().number:
            return Check("sampled", None, f"{share}: block {post.block + 1} is not final yet")
        owed = logs.chosen(log.run, post, chain.block_hash(post.block + 1))
        missing += [one for one in owed if one not in log.proofs]
    told = f"{share}, by the hash of the next block: its author had a choice, and so had the device"
    return Check("sampled", not missing, told if not missing else f"unproved: {_some(missing)}")


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")
