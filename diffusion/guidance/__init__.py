"""Estimates under several conditionings combined into one."""
