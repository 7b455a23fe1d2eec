"""An asset in the words of the assets API."""

from datetime import UTC, datetime
from typing import Any

from server.assets.records import Asset


def moment(seconds: float) -> str:
    """A time in the words of the API, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(asset: Asset) -> dict[str, Any]:
    """An asset as the API shows it."""
    previewed = asset.preview or (asset.id if asset.type.startswith("image/") else None)
    return {
        "id": asset.id,
        "name": asset.name,
        "display_name": asset.name,
        "hash": asset.hash,
        "asset_hash": asset.hash,
        "size": asset.size,
        "mime_type": asset.type,
        "tags": list(asset.tags),
        "user_metadata": dict(asset.metadata),
        "metadata": {},
        "preview_id": previewed,
        "preview_url": f"/api/assets/{previewed}/content?disposition=inline" if previewed else None,
        "file_path": asset.place.file_path,
        "loader_path": asset.place.choice,
        "job_id": asset.job,
        "prompt_id": asset.job,
        "created_at": moment(asset.created),
        "updated_at": moment(asset.updated),
        "last_access_time": moment(asset.accessed),
        "is_immutable": False,
    }
