"""What more than one Hugging Face plugin needs. Nothing else in plugmux imports it.

`tokens`     the Hub token: where it is found, and the credential it makes
`endpoints`  where the Hub and the router are; the switch that blocks them
`upstreams`  the names of those who compute behind the router
`failures`   from an error body to a typed error
`hub`        facts on models from the Hub's API
`images`     the wire of the two image routes that two plugins share
`pictures`   the pictures that a request brings
`unsaid`     what a media model is not told, in notices
"""
