"""Scanning of old logs: archives in parts, events in order of time, and the outages they make up."""
