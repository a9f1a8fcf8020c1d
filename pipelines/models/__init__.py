"""Model families that can be trained from scratch: the table, plain networks, and their adapters for transformers."""

from .building import build_model
from .families import FAMILIES, Family, find_family

__all__ = ["FAMILIES", "Family", "build_model", "find_family"]
