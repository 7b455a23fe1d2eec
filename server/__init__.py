"""The server process: HTTP and WebSocket in front of the workers. Speaks ComfyUI's API and never imports
torch.
"""
