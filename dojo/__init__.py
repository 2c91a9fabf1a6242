"""The tooling of the kata repository: a pytest plugin and the `kata` command.

Solution files import `right` and `wrong` from here; suites import `dojo.checks` and,
where they need torch, `dojo.tensors`. Nothing here knows a kata by name.
"""

from dojo.bank import right, wrong

__all__ = ["right", "wrong"]
