"""What a model's owner does: build an artefact, publish it, audit what is published."""
