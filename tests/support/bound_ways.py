"""Every way to bound a network: dual bounds with each slope policy; interval bounds inside, at the output, or both."""

from __future__ import annotations

from typing import Any

WAYS: dict[str, dict[str, Any]] = {
    "shared": {"slopes": "shared"},
    "adaptive": {"slopes": "adaptive"},
    "optimized": {"slopes": "optimized"},
    "adaptive in balls": {"slopes": "adaptive", "balls": True},
    "interval": {"inner": "interval", "last": "interval"},
    "interval inside, shared": {"inner": "interval", "slopes": "shared"},
    "interval inside, adaptive": {"inner": "interval", "slopes": "adaptive"},
    "dual inside, interval at the end": {"last": "interval"},
}
