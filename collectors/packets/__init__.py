"""Crafted packets: a client for the scapy helper process, its protocol, and what is built from single SYNs."""
