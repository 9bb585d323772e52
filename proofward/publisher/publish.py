"""Publishing a model: rebuild its verifier contract, deploy it once, put the model on the chain.

Every step can be repeated: a contract with the same code is used again, whoever deployed it (it keeps no
state), and a model that is on the
chain already is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward.chain import Call, DispatchError, Outbox, SubstrateClient, accounts
from proofward.chain.ethereum.revive import contract_code
from proofward.chain.pallets import attestation, models
from proofward.chain.pallets.models import ModelRecord
from proofward.client.store import default_directory
from proofward.errors import NotFound, Refused
from proofward.protocol import Lane, keccak256, model_id, sha256
from proofward.zkml import PublicArtifact
from proofward.zkml.hiding import hides
from proofward.zkml.verifier_contract import expected_contract

#: Most weight that a deployment may use: what fits an extrinsic of the runtime.
DEPLOY_WEIGHT = {"ref_time": 900_000_000_000, "proof_size": 5_000_000}
#: Most that a deployment may hold as its storage deposit, in the smallest unit (1,000 UNIT).
DEPLOY_DEPOSIT = 1_000 * 10**12


#: What `proofward model setup` leaves beside an artefact's two halves.
QUOTE_FILE = "setup.quote"
BLOCK_FILE = "setup.block"
COLLATERAL_FILE = "setup.collateral"


@dataclass(frozen=True, slots=True)
class Published:
    """A model on the chain. `deployed` and `published` say whether this call did it, or found it done."""

    model: bytes
    record: ModelRecord
    deployed: bool
    published: bool


def publish(
    client: SubstrateClient,
    outbox: Outbox,
    signer: Any,
    public: PublicArtifact,
    *,
    price: int,
    claim_blocks: int = 60,
    setup_quote: tuple[bytes, int] | None = None,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Published:
    """Deploy the model's verifier, unless its code is there already, and publish the model.

    Args:
        price: least price of a job, in the smallest unit.
        claim_blocks: blocks after which a worker's claim lapses, 5 to 600.
        setup_quote: the quote of an attested setup and the number of the block that dates it; the pallet
        checks what it binds.

    Raises Refused, ContractError, DispatchError, ChainError.
    """
    manifest = public.manifest
    expected = expected_contract(public, cache)
    if not hides(manifest.lane):
        progress(f"proofs of the {manifest.lane} lane are not hiding: no sealed job takes this model")
    progress(f"verifier rebuilt from the verifying key: code hash 0x{expected.code_hash.hex()}")
    account = bytes(signer.public_key)
    verifier = _deployed(client, expected.code_hash)
    deployed = verifier is None
    if verifier is None:
        verifier = _deploy(outbox, signer, expected.bytecode, expected.code_hash)
        if keccak256(contract_code(client, verifier)) != expected.code_hash:
            raise Refused(
                f"the code at 0x{verifier.hex()} is not the verifier that was deployed; publish again"
            )
    progress(f"verifier {'deployed' if deployed else 'found'} at 0x{verifier.hex()}")
    fields: dict[str, Any] = {
        "weights_digest": bytes.fromhex(manifest.weights_digest),
        "manifest_hash": public.manifest_hash,
        "lane": Lane.from_label(manifest.lane),
        "vk_hash": bytes.fromhex(manifest.vk_hash),
        "verifier": verifier,
        "code_hash": expected.code_hash,
    }
    name = model_id(publisher=account, **fields)
    record = models.get(client, name)
    published = record is None
    if record is None:
        call = models.publish(
            name=manifest.name,
            input_shape=manifest.input.shape,
            batch=manifest.batch,
            circuit_digest=bytes.fromhex(manifest.circuit_digest),
            price=price,
            claim_blocks=claim_blocks,
            setup_quote=setup_quote,
            **fields,
        )
        outbox.send(f"publish:{name.hex()}", call, signer)
        record = models.get(client, name)
    if record is None:
        raise Refused(f"the chain accepted model 0x{name.hex()} and does not show it; look again in a moment")
    progress(f"model {'published' if published else 'found'}: 0x{name.hex()}, setup {record.setup.label}")
    return Published(name, record, deployed, published)


def publish_at(
    url: str,
    signer: str,
    public: PublicArtifact,
    *,
    price: int,
    claim_blocks: int,
    evidence: Path | None = None,
    state: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Published:
    """`publish` on the chain at `url`, with its outbox in the client's state directory.

    `signer` is `//Name` or a key file; `evidence` the folder with an attested setup's `setup.quote` and,
    for the chain to
    store, `setup.collateral`. Raises what `publish` raises, and AccountError.
    """
    keypair = accounts.keypair_of(signer)
    directory = state or default_directory()
    attested = public.manifest.setup == "attested"
    quote, collateral = _read(evidence, QUOTE_FILE), _read(evidence, COLLATERAL_FILE)
    dated = _read(evidence, BLOCK_FILE)
    if attested and (quote is None or dated is None or not dated.strip().isdigit()):
        raise NotFound(
            f"the artefact's setup is attested, and {evidence or 'its folder'} has no {QUOTE_FILE} with its "
            f"{BLOCK_FILE}; `proofward model setup` makes both"
        )
    with SubstrateClient.connect(url) as client:
        folder = directory / client.genesis.hex()[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        outbox = Outbox(folder / "outbox.sqlite", client)
        if attested and quote is not None and collateral is not None:
            _store_collateral(outbox, keypair, quote, collateral)
        return publish(
            client,
            outbox,
            keypair,
            public,
            price=price,
            claim_blocks=claim_blocks,
            setup_quote=(quote, int(dated)) if attested and quote and dated else None,
            cache=directory / "contracts",
            progress=progress,
        )


def _read(folder: Path | None, name: str) -> bytes | None:
    path = folder / name if folder is not None else None
    return path.read_bytes() if path is not None and path.is_file() else None


def _store_collateral(outbox: Outbox, keypair: Any, quote: bytes, collateral: bytes) -> None:
    call = attestation.refresh_collateral(quote, collateral)
    try:
        outbox.send(f"collateral:{sha256(quote + collateral).hex()}", call, keypair)
    except DispatchError as error:
        if error.name != "CollateralOlder":  # the chain has newer: so much the better
            raise


def _deployed(client: SubstrateClient, code_hash: bytes) -> bytes | None:
    """A contract with this very code that a published model names already."""
    for _, record in models.all(client):
        if record.code_hash == code_hash and keccak256(contract_code(client, record.verifier)) == code_hash:
            return record.verifier
    return None


def _deploy(outbox: Outbox, signer: Any, bytecode: bytes, code_hash: bytes) -> bytes:
    call = Call(
        "Revive",
        "instantiate_with_code",
        {
            "value": 0,
            "weight_limit": DEPLOY_WEIGHT,
            "storage_deposit_limit": DEPLOY_DEPOSIT,
            "code": bytecode,
            "data": b"",
            "salt": None,
        },
    )
    receipt = outbox.send(f"deploy:{code_hash.hex()}", call, signer)
    event = receipt.find("Revive", "Instantiated")
    if event is None:
        raise Refused(f"the deployment in block {receipt.block} made no contract")
    return bytes(event.fields["contract"])
