"""What `pulumi preview --policy-pack policy` starts."""

import sys
from pathlib import Path

# Pulumi runs this folder as a program, so only the folder itself would be on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import EnforcementLevel, PolicyPack

from policy.rules import POLICIES

PolicyPack("thimble", policies=POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
