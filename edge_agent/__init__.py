"""edge-agent: one asyncio process that lets a Lego train read road signs and drive itself."""

__version__ = "0.1.0"
