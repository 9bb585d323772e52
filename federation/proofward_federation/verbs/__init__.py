"""`proofward federation …` and `proofward consent …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from proofward.cli.verbs import Groups
from proofward.publisher import cards
from proofward_federation.verbs import consent, site, study

if TYPE_CHECKING:
    from proofward.chain import SubstrateClient
    from proofward.check import Check

CARD_FORMAT = "proofward/federation-card/v1"

federation_app = typer.Typer(
    name="federation",
    no_args_is_help=True,
    help="Studies of several hospitals: what a site lets, what it costs.",
)
consent_app = typer.Typer(
    name="consent", no_args_is_help=True, help="Which patients agree that their records are learnt from."
)


def register(groups: Groups) -> None:
    """The entry point of group `proofward.cli`."""
    federation_app.command("policy")(site.policy)
    federation_app.command("admit")(site.admit)
    federation_app.command("budget")(site.budget)
    federation_app.command("measurement")(site.measurement)
    federation_app.command("watch")(site.watch)
    federation_app.command("rehearse")(site.rehearse)
    federation_app.command("audit")(site.audit)
    federation_app.command("serve")(study.serve)
    federation_app.command("announce")(study.announce)
    federation_app.command("take-part")(study.take_part)
    federation_app.command("status")(study.status)
    federation_app.command("close")(study.close)
    federation_app.command("seal-records")(site.seal_records)
    federation_app.command("post-accuracy")(study.post_accuracy)
    federation_app.command("posted")(study.posted)
    consent_app.command("grant")(consent.grant)
    consent_app.command("revoke")(consent.revoke)
    consent_app.command("accept")(consent.accept)
    consent_app.command("take-back")(consent.take_back)
    consent_app.command("note")(consent.note_down)
    consent_app.command("strike")(consent.strike)
    consent_app.command("erase")(consent.erase)
    consent_app.command("show")(consent.show)
    consent_app.command("path")(consent.path_of)
    consent_app.command("placed")(consent.placed)
    groups.root.add_typer(federation_app, name="federation")
    groups.root.add_typer(consent_app, name="consent")
    cards.READERS[CARD_FORMAT] = _follow


def _follow(model: bytes, document: bytes, client: SubstrateClient | None) -> list[Check]:
    from proofward_federation.network.card import follow

    return follow(model, document, client)
