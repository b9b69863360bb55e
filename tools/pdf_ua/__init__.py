"""Tickets as PDF, held against PDF/UA-1 by veraPDF."""
