"""What users do with a dual network: certificates, certified radii, detection of possible adversarial inputs."""

from autodual.certification.certificate import Certificate, Status
from autodual.certification.certify import certify
from autodual.certification.detect import detect
from autodual.certification.radius import certified_radius

__all__ = ["Certificate", "Status", "certified_radius", "certify", "detect"]
