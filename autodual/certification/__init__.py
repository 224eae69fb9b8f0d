"""What users do with dual networks: certificates, cascades, certified radii, detection, verdicts on properties."""

from autodual.certification.cascade import Cascade, CascadeCertificate, certify_cascade
from autodual.certification.cascade_attack import attack_cascade
from autodual.certification.certificate import Certificate, Status
from autodual.certification.certify import certify
from autodual.certification.detect import detect
from autodual.certification.positions import Positions
from autodual.certification.radius import certified_radius
from autodual.certification.verdicts.decide_property import verify
from autodual.certification.verdicts.verdict import Verdict, VerdictStatus

__all__ = [
    "Cascade",
    "CascadeCertificate",
    "Certificate",
    "Positions",
    "Status",
    "Verdict",
    "VerdictStatus",
    "attack_cascade",
    "certified_radius",
    "certify",
    "certify_cascade",
    "detect",
    "verify",
]
