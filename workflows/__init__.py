"""Workflow files of the editor, with widgets, groups and reroutes: one way in, workflow → prompt."""
