"""Attested Confidential Inference, `aci/1`: its documents, its transport encryption, its streams; pure.

Source: the ACI specification and its E2EE v2 compatibility protocol (Dstack-TEE/private-ai-gateway, `spec/`,
Apache-2.0). Section numbers in docstrings are of these two.
"""
