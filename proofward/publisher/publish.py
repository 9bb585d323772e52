"""Publishing a model: its record, its verifying key and its terms. Its lane's contract is on the chain.

It can be repeated: a model that is on the chain already is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proofward.chain import DispatchError, Outbox, SubstrateClient, accounts
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import attestation, models
from proofward.chain.pallets.models import LaneContract, ModelRecord, Terms
from proofward.client.artifacts import require_contract
from proofward.client.store import chain_folder
from proofward.errors import NotFound, Refused
from proofward.protocol import Lane, sha256
from proofward.protocol.setup_files import BLOCK_FILE, COLLATERAL_FILE, QUOTE_FILE
from proofward.zkml import PublicArtifact
from proofward.zkml.hiding import hides


@dataclass(frozen=True, slots=True)
class Published:
    """A model on the chain, and the contract that judges its proofs. `published` says whether this call did
    it, or found it done.
    """

    model: bytes
    record: ModelRecord
    contract: LaneContract
    published: bool


def publish(
    client: SubstrateClient,
    outbox: Outbox,
    signer: Signer,
    public: PublicArtifact,
    *,
    terms: Terms,
    setup_quote: tuple[bytes, int] | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Published:
    """Publish the model, unless it is on the chain.

    Args:
        terms: price, the publisher's share, the worker's bond, the life of a claim; only the price changes.
        setup_quote: the quote of an attested setup and the number of the block that dates it; the pallet
        checks what it binds.

    Raises Refused (a lane that is closed, or whose contract is unknown), ContractError,
    DispatchError, ChainError.
    """
    manifest = public.manifest
    if not hides(manifest.lane):
        progress(f"proofs of the {manifest.lane} lane are not hiding: no sealed job takes this model")
    lane = Lane.from_label(manifest.lane)
    contract = require_contract(client, lane)
    progress(f"the {manifest.lane} lane's verifier stands at 0x{contract.address.hex()}")
    name = public.model_id(bytes(signer.public_key))
    record = models.get(client, name)
    published = record is None
    if record is None:
        call = models.publish(
            name=manifest.name,
            input_shape=manifest.input.shape,
            batch=manifest.batch,
            weights_digest=bytes.fromhex(manifest.weights_digest),
            circuit_digest=bytes.fromhex(manifest.circuit_digest),
            manifest_hash=public.manifest_hash,
            lane=lane,
            vk_hash=bytes.fromhex(manifest.vk_hash),
            key=public.key,
            terms=terms,
            setup_quote=setup_quote,
        )
        outbox.send(f"publish:{name.hex()}", call, signer)
        record = models.get(client, name)
    if record is None:
        raise Refused(f"the chain accepted model 0x{name.hex()} and does not show it; look again in a moment")
    progress(f"model {'published' if published else 'found'}: 0x{name.hex()}, setup {record.setup.label}")
    return Published(name, record, contract, published)


def publish_at(
    url: str,
    signer: str,
    public: PublicArtifact,
    *,
    terms: Terms,
    evidence: Path | None = None,
    state: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Published:
    """`publish` on the chain at `url`, with its outbox in the client's state directory.

    `signer` is `//Name` or a key file; `evidence` the folder with an attested setup's `setup.quote` and, for
    the chain to store, `setup.collateral`. Raises what `publish` raises, and AccountError.
    """
    keypair = accounts.keypair_of(signer)
    attested = public.manifest.setup == "attested"
    quote, collateral = _read(evidence, QUOTE_FILE), _read(evidence, COLLATERAL_FILE)
    dated = _read(evidence, BLOCK_FILE)
    if attested and (quote is None or dated is None or not dated.strip().isdigit()):
        raise NotFound(
            f"the artefact's setup is attested, and {evidence or 'its folder'} has no {QUOTE_FILE} with its "
            f"{BLOCK_FILE}; `proofward model setup` makes both"
        )
    with SubstrateClient.connect(url) as client:
        outbox = Outbox(chain_folder(client.genesis, state) / "outbox.sqlite", client)
        if attested and quote is not None and collateral is not None:
            _store_collateral(outbox, keypair, quote, collateral)
        return publish(
            client,
            outbox,
            keypair,
            public,
            terms=terms,
            setup_quote=(quote, int(dated)) if attested and quote and dated else None,
            progress=progress,
        )


def _read(folder: Path | None, name: str) -> bytes | None:
    path = folder / name if folder is not None else None
    return path.read_bytes() if path is not None and path.is_file() else None


def _store_collateral(outbox: Outbox, keypair: Signer, quote: bytes, collateral: bytes) -> None:
    call = attestation.refresh_collateral(quote, collateral)
    try:
        outbox.send(f"collateral:{sha256(quote + collateral).hex()}", call, keypair)
    except DispatchError as error:
        if error.name != "CollateralOlder":  # the chain has newer: so much the better
            raise
