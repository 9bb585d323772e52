"""Hospitals learn together. Read in this order: `policy` and `study` (who allows and who asks), `budget`,
`update` (clip, quantise, commit), `enclave` (the sum), `site` (what a hospital does in a round), `engine`
(Flower over them). docs/federation.md is normative for the bytes.
"""
