"""The gate: every file that is about to be shipped is checked for what breaks on somebody else's machine."""

from coralforge.elf.gate import check_tree, gate
from coralforge.elf.policy import Policy, Violation, policy_for

__all__ = ["Policy", "Violation", "check_tree", "gate", "policy_for"]
