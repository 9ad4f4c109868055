"""HTTP below `plugmux.transport`: httpx's requests, answers and errors, and not its client.

sending -> pools -> httpx                      proxies, and everything on trio
   |         |----> httpcore_pool -> network   asyncio
   |         '----> fast ----------> http1     asyncio, with plugmux[fast]; both on sockets and dialling
   '-> exchange -> failures
"""
