"""What users do with dual networks: certificates, cascades, certified radii, detection, verdicts on properties."""

from autodual.certification.cascade import Cascade, CascadeCertificate, certify_cascade
from autodual.certification.certificate import Certificate, Status
from autodual.certification.certify import certify
from autodual.certification.detect import detect
from autodual.certification.positions import Positions
from autodual.certification.radius import certified_radius
from autodual.certification.verification.verdict import Verdict, VerdictStatus
from autodual.certification.verification.verify import verify

__all__ = [
    "Cascade",
    "CascadeCertificate",
    "Certificate",
    "Positions",
    "Status",
    "Verdict",
    "VerdictStatus",
    "certified_radius",
    "certify",
    "certify_cascade",
    "detect",
    "verify",
]
