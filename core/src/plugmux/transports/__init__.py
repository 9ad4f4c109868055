"""HTTP below `plugmux.transport`: httpx's transports and not its client, and a faster one of our own.

sending -> pools -> httpx, or fast -> dialling, http1
   └─> exchange -> failures
"""
