"""Statements: a proof of one sentence about committed outputs or inputs, and of nothing else.

Read `sentence` (what can be said), `meaning` (what it says of a model's integers), `program` (the circuit),
`keys`, `statement` (the file), `accuracy` (k of n records of a test set are right).
"""
