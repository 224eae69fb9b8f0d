"""What users do with a dual network: certificates, certified radii, detection, verdicts on properties."""

from autodual.certification.certificate import Certificate, Status
from autodual.certification.certify import certify
from autodual.certification.detect import detect
from autodual.certification.radius import certified_radius
from autodual.certification.verification.verdict import Verdict, VerdictStatus
from autodual.certification.verification.verify import verify

__all__ = ["Certificate", "Status", "Verdict", "VerdictStatus", "certified_radius", "certify", "detect", "verify"]
