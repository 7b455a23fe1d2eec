"""One module a topic; each has `routes()`, the list of what it answers. `server.app` mounts them, also under
/api.
"""
