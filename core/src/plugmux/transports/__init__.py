"""HTTP below `plugmux.transport`: httpx's requests, answers and errors, and not its client.

    sending -> pools -> httpx           proxies, and everything on trio
       |         |----> httpcore_pool -> sockets -> dialling     asyncio
       |         '----> fast ----------> http1, dialling         asyncio with plugmux[fast]
       '-> exchange -> failures
"""
