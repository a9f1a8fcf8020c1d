"""Sharing: the facts of a training or an evaluation as typed records. Imports nothing of the other packages."""

from .facts import RunFacts, read_facts, write_facts

__all__ = ["RunFacts", "read_facts", "write_facts"]
