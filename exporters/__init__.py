"""Exporters: reports in the formats of other systems. Imports collectors.model, never a collector."""
