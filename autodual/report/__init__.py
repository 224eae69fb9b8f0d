"""What people and programs read after a run: JSON documents, CSV files and summary tables."""

from autodual.report.attacked import attack_row, summarise_attacks
from autodual.report.cascades import cascade_row, summarise_cascade
from autodual.report.certificates import certificate_row, summarise_certificates
from autodual.report.csv_file import write_csv
from autodual.report.detections import detection_row, summarise_detections
from autodual.report.document import build_document, finite_or_none
from autodual.report.radii import radius_row, summarise_radii
from autodual.report.storage import load_document, read_document, write_document
from autodual.report.table import format_table
from autodual.report.units import units

__all__ = [
    "attack_row",
    "build_document",
    "cascade_row",
    "certificate_row",
    "detection_row",
    "finite_or_none",
    "format_table",
    "load_document",
    "radius_row",
    "read_document",
    "summarise_attacks",
    "summarise_cascade",
    "summarise_certificates",
    "summarise_detections",
    "summarise_radii",
    "units",
    "write_csv",
    "write_document",
]
