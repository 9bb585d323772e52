"""Verification by name: a job on the chain, a bundle, a proof file, or a gateway's answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from proofward.chain import SubstrateClient
from proofward.check import Check, said
from proofward.client.client import Client
from proofward.client.contest import with_contest
from proofward.client.ids import hash32
from proofward.consensus import genesis_authorities, spec_checkpoint
from proofward.errors import NotFound, Refused
from proofward.evidence import answer_file, proof_file, two_receipts
from proofward.evidence.bundle import load_bundle
from proofward.evidence.ceremony import ceremony_checks
from proofward.evidence.page import load_page, verify_page
from proofward.evidence.policy import KeySources
from proofward.evidence.verify import Policy, Verdict, verify_bundle
from proofward.light.client import LightClient
from proofward.zkml import ArtifactError, load_public
from proofward.zkml.external import whole
from proofward.zkml.hiding import hides

_JOB_ID = re.compile(r"^(0x)?[0-9a-fA-F]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a reader holds evidence to, as it is given on a command line.

    Args:
        genesis, measurements: hashes, 0x and 64 hex digits.
        development: admit what a development chain has.
        spec: the raw spec of the reader's chain: the evidence must prove that the chain's final state holds
            it.
        onnx, ptau: the model's file and phase 1: the key of a ceremony is computed from its transcript.
    """

    development: bool = False
    genesis: str | None = None
    measurements: Sequence[str] = ()
    spec: Path | None = None
    onnx: Path | None = None
    ptau: Path | None = None

    def policy(self) -> Policy:
        """What they accept. Raises Refused (`no-finality`), NotFound."""
        make = Policy.for_development if self.development else Policy
        authorities = None if self.spec is None else genesis_authorities(self.spec)
        if self.spec is not None and authorities is None:
            raise Refused(
                f"the chain of {self.spec} has no GRANDPA: nobody can prove what its state holds; leave "
                "--spec out",
                code="no-finality",
            )
        return make(
            genesis=None if self.genesis is None else hash32(self.genesis, "genesis"),
            measurements=frozenset(hash32(one, "measurement") for one in self.measurements) or None,
            authorities=authorities,
            checkpoint=None if self.spec is None else spec_checkpoint(self.spec),
            sources=_sources(self.onnx, self.ptau),
        )


def verify(
    target: str,
    pins: Pins,
    *,
    chain: str,
    artifact: Path | None = None,
    export: Path | None = None,
    light: Path | None = None,
    boot_nodes: Sequence[str] = (),
) -> Verdict:
    """Verify what `target` names: a job on the chain, a bundle, a proof file or an answer's file.

    With `light`, a chain spec, the chain is read by proofs, from `boot_nodes` when they are given, and the
    node at `chain` is not asked. A job's evidence is written to `export`.

    Raises Refused, NotFound, AnswerError, BundleError, ZkmlError, ChainError.
    """
    asked = pins.policy()
    path = Path(target)
    if path.exists() or not _JOB_ID.match(target):
        if light is not None:
            raise Refused("--light is for a job on the chain; a file is read from no chain", code="usage")
        if export is not None:
            raise Refused("--export is for a job on the chain; a file is evidence already", code="usage")
        return _verify_file(path, artifact, asked)
    source = chain if light is None else LightClient.open(light, boot_nodes=tuple(boot_nodes))
    with Client(source, development=pins.development) as client:
        bundle = client.bundle(target, artifact=artifact, out=export, inclusion=pins.spec is not None)
        policy = client.policy(bundle.job.model)
        policy = replace(
            policy,
            sources=asked.sources,
            genesis=asked.genesis or policy.genesis,
            measurements=asked.measurements or policy.measurements,
            authorities=asked.authorities,
            checkpoint=asked.checkpoint,
        )
        verdict = with_contest(client.chain, verify_bundle(bundle, policy))
        return replace(verdict, checks=(*verdict.checks, _reading(client.chain)))


def _reading(chain: SubstrateClient) -> Check:
    """How the chain was read."""
    if not isinstance(chain, LightClient):
        return said("reading", f"{chain.witness}; --light SPEC has it proved")
    reading = chain.reading
    if not reading.fresh:
        told = f"{reading}: peers may hold back newer blocks, or this machine's clock is wrong"
        return Check("reading", None, f"light client, {told}")
    return Check("reading", True, f"light client, {reading}; no server is believed")


def _sources(onnx: Path | None, ptau: Path | None) -> KeySources | None:
    if onnx is None and ptau is None:
        return None
    if onnx is None or ptau is None:
        raise Refused(
            "a ceremony's key follows from model and powers: give --onnx and --ptau both", code="usage"
        )
    try:
        return KeySources(whole(onnx)[0], ptau)
    except OSError as error:
        raise NotFound(f"cannot read {onnx}: {error.strerror}") from error


def _verify_file(path: Path, artifact: Path | None, policy: Policy) -> Verdict:
    if not path.exists():
        raise NotFound(f"{path} is neither a job's id (0x and 64 hex digits) nor a file")
    if answer_file.is_answer(path):
        return answer_file.load(path).verdict(policy)
    if two_receipts.is_two_receipts(path):
        return two_receipts.load(path).verdict(policy)
    kind = proof_file.kind_of(path)
    if kind == "page":
        return verify_page(load_page(path), policy)
    if kind == "bundle":
        return verify_bundle(load_bundle(path), policy)
    if kind != "proof":
        raise Refused(f"{path} is no bundle of a job or a page, proof, answer's file or two receipts")
    if artifact is None:
        raise ArtifactError(
            "verifying a proof file needs the model's public artefact: give --artifact", code="usage"
        )
    return _verify_proof(path, artifact, policy)


def _verify_proof(path: Path, artifact: Path, policy: Policy) -> Verdict:
    """A proof by itself: no chain, no worker, so no level; and only the manifest vouches for the setup."""
    proof, public = proof_file.load(path), load_public(artifact)
    setup, lane = public.manifest.setup, public.manifest.lane
    if setup == "dev":
        admitted = policy.allow_dev_setup
        told = "dev: one party made the keys and could forge proofs"
        origin = [Check("setup", admitted, told if admitted else f"{told}; refused without --dev")]
    elif setup == "ceremony":
        origin = ceremony_checks(public, None, policy)
    else:
        told = f"{setup}: only the manifest says so; a job on a chain has the evidence"
        origin = [Check("setup", None, told)]
    checks = (
        proof.check(public),
        *origin,
        Check("chain", None, "a proof by itself is of no job on any chain, and no enclave vouches for it"),
        said("model name", f"{public.manifest.name!r}: the publisher's own word"),
    )
    checked = setup == "dev" or all(check.ok for check in origin)
    flags = (
        () if setup == "ceremony" and checked else (f"setup: {setup}" + ("" if checked else ", not checked"),)
    )
    return Verdict(b"", flags if hides(lane) else ("not hiding", *flags), checks)
