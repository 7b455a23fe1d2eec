"""Tests of server/routes/v2."""
